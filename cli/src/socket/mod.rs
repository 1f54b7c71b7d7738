//! How a command reaches the process that serves the same folder, and is carried out there.
//!
//! | file | holds |
//! |---|---|
//! | `place` | a socket in the folder (mode 0600), or a loopback port with a token in a file (mode 0600) |
//! | `frame` | what the two processes say to each other |
//! | `client` | asks, and prints what comes back |
//! | `server` | carries commands out, each on a thread of its own |

mod client;
mod frame;
mod place;
mod server;

pub(crate) use client::find;
pub(crate) use server::open;
