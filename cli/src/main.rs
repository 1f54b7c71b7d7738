//! The program `pleach`: signed databases, kept the same on every device that holds them.
//!
//! | file | holds |
//! |---|---|
//! | `args` | the command line |
//! | `start` | who carries a command out: this process, or the one that serves the folder |
//! | `node`, `context`, `transports` | the folder of a node, and what a command works with |
//! | `commands/` | what each command does |
//! | `import/` | histories as JSON lines |
//! | `serve` | answering peers until interrupted |
//! | `socket/` | how other commands reach a process that serves |
//! | `demo/` | the tour |
//! | `output/` | everything that is printed |
//! | `passphrase` | where a passphrase comes from, and how it is changed |
//! | `permission`, `failure` | permissions as people write them; how a command ends |

#![forbid(unsafe_code)]

mod args;
mod commands;
mod context;
mod demo;
mod failure;
mod import;
mod node;
mod output;
mod passphrase;
mod permission;
mod serve;
mod socket;
mod start;
mod transports;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(start::start().code())
}
