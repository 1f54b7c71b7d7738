//! Stands in for `rustdoc` where cargo is to write the documentation as JSON, which the tests read: with the flags of
//! the unstable format for this process alone, so that nothing else is built another way.

use std::{
    env,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let status = Command::new("rustdoc")
        .env("RUSTC_BOOTSTRAP", "1")
        .args(env::args_os().skip(1))
        .args(["-Zunstable-options", "--output-format=json"])
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
