//! The program as a person runs it: real processes, sockets and files.

mod demo;
mod histories;
mod misuse;
mod node;
#[cfg(unix)]
mod serial;
mod served;
mod sharing;
