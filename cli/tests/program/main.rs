//! The program as a person runs it: real processes, sockets and files.

mod demo;
mod histories;
mod inviting;
mod keys;
#[cfg(target_os = "linux")]
mod kills;
mod lost_keys;
mod misuse;
mod node;
mod passphrase;
mod requests;
#[cfg(unix)]
mod serial;
mod served;
mod sharing;
