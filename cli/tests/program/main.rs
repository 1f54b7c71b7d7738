//! The program as a person runs it: real processes, sockets and files.

mod demo;
#[cfg(unix)]
mod ending;
mod guides;
mod histories;
mod inviting;
#[cfg(feature = "iroh")]
mod iroh;
mod keys;
#[cfg(target_os = "linux")]
mod kills;
mod looking;
#[cfg(unix)]
mod lost_keys;
mod misuse;
mod node;
mod passphrase;
mod peers;
#[cfg(unix)]
mod reader;
mod requests;
#[cfg(unix)]
mod serial;
mod served;
mod sharing;
