//! The program as a person runs it: real processes, sockets and files.

mod demo;
mod histories;
#[cfg(target_os = "linux")]
mod kills;
mod misuse;
mod node;
mod requests;
#[cfg(unix)]
mod serial;
mod served;
mod sharing;
