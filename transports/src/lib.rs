//! Bytes in and out of a node, and the proof of who is at the other end: nothing else.
//!
//! A transport dials and accepts [`Exchange`]s, on which two nodes send each other messages in turn. A message is a
//! run of frames; no transport looks into one. Everything is a poll function, so that tasks and plain threads drive
//! the same code: [`pump`] does what a node orders, one operation after the other, and [`park_on`] polls any future
//! on a thread without an executor.
//!
//! | module | carries frames over |
//! |---|---|
//! | [`memory`] | the process's memory, with faults on demand |
//! | `http` | HTTP/1.1, signed both ways; on an executor or on plain threads |
//! | `quic` | QUIC, keys proven in TLS; on an executor or on a thread of its own |
//! | `iroh` | QUIC again, to an endpoint that is found by its id, through NATs and over relays; on a thread of its own |
//! | `serial` | a plain line of bytes, keys proven in a signed greeting; two threads a line |
//!
//! [`host`] is what every runtime shares to use them.

#![forbid(unsafe_code)]

mod budget;
#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod error;
#[cfg(any(
    all(feature = "http", any(feature = "smol", feature = "threads")),
    feature = "quic",
    feature = "iroh"
))]
mod framing;
#[cfg(any(
    all(feature = "http", any(feature = "smol", feature = "threads")),
    feature = "quic",
    feature = "iroh"
))]
mod gate;
#[cfg(all(feature = "fuzzing", any(feature = "smol", feature = "threads")))]
#[doc(hidden)]
pub mod fuzzing {
    //! What the fuzzers run, and the ordinary tests over a small corpus.

    pub use crate::http::fuzzing::{http, seeds};

    /// Every body by the name of its target and of the folder that holds its corpus.
    pub const BODIES: &[(&str, pleach_core::fuzzing::Body)] = &[("http", http)];
}
pub mod host;
#[cfg(all(feature = "http", any(feature = "smol", feature = "threads")))]
pub mod http;
#[cfg(any(all(feature = "http", any(feature = "smol", feature = "threads")), feature = "quic"))]
mod identity;
#[cfg(feature = "iroh")]
pub mod iroh;
#[cfg(any(feature = "quic", feature = "iroh"))]
mod kept;
pub mod memory;
mod park;
mod pipe;
#[cfg(any(
    all(feature = "http", any(feature = "smol", feature = "threads")),
    feature = "quic",
    feature = "iroh"
))]
mod place;
mod prover;
mod pump;
#[cfg(feature = "quic")]
pub mod quic;
#[cfg(any(all(feature = "http", feature = "smol"), feature = "quic", feature = "iroh"))]
mod race;
#[cfg(feature = "serial")]
pub mod serial;
#[cfg(any(feature = "quic", feature = "iroh"))]
mod streams;
mod transport;
#[cfg(any(feature = "quic", feature = "iroh", feature = "serial"))]
mod turns;

#[cfg(feature = "executor")]
pub use context::Executor;
pub use context::{Clock, Context, Random};
pub use error::TransportError;
pub use park::{park_on, park_until};
pub use pleach_core::wire::Address;
pub use prover::Prover;
pub use pump::{Op, Outcome, pump};
pub use transport::{Builder, Built, Exchange, Listener, Received, Transport};
