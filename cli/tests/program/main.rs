//! The program as a person runs it: real processes, sockets and files.

mod demo;
#[cfg(unix)]
mod ending;
mod histories;
mod inviting;
#[cfg(feature = "iroh")]
mod iroh;
mod keys;
#[cfg(target_os = "linux")]
mod kills;
mod looking;
mod misuse;
mod node;
#[cfg(unix)]
mod pages;
mod passphrase;
mod peers;
#[cfg(unix)]
mod reader;
mod requests;
#[cfg(unix)]
mod serial;
mod served;
mod sharing;
