//! Taking in a foreign history, and giving one out, as JSON lines.
//!
//! | file | holds |
//! |---|---|
//! | `line`, `change` | one line: its form, and what it comes to |
//! | `lines` | a file of lines, read again and again |
//! | `content` | what makes two lines with one id the same |
//! | `plan` | the first pass: every line checked before anything is written |
//! | `mark` | the store `_import`: what an entry was before it came here |
//! | `history` | a tree as lines: edges through settings and merges contracted |
//! | `known` | what earlier imports left in a tree |
//! | `author` | keys of foreign authors, and the grants that let them write |
//! | `weave` | the second pass: lines become signed entries |
//! | `export` | the way back |
//! | `fuzzing` | what the fuzzers run, for tests alone |

mod author;
mod change;
mod content;
mod export;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(dead_code, reason = "only a fuzzer calls it"))]
pub(crate) mod fuzzing;
mod history;
mod known;
mod line;
mod lines;
mod mark;
mod plan;
mod weave;

pub(crate) use change::{keys_of, path_of};
pub(crate) use export::export;

pub(crate) use lines::Lines;
pub(crate) use mark::IMPORT;
pub(crate) use plan::Plan;
pub(crate) use weave::{Batch, Tally, Weaver, now};
