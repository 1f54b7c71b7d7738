//! What is an entry and what is not: each rule with an entry that keeps it and one that breaks it.

mod mutations;
mod raw;
mod rules;
#[cfg(feature = "alloc")]
mod values;
