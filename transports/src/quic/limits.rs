//! The limits of the QUIC transport.

use std::time::Duration;

/// Connections that a server holds at once.
pub(super) const MAX_CONNECTIONS: usize = 512;

/// Connections from which on a new address must answer before it costs anything (a retry packet).
pub(super) const VALIDATE_FROM: usize = 64;

/// Exchanges that wait to be taken by the node.
pub(super) const BACKLOG: usize = 64;

/// Exchanges that a peer may have open on one connection.
pub(super) const MAX_STREAMS: u32 = 64;

/// Bytes that a peer may send on one exchange before they are read: two frames.
pub(super) const STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// Bytes that a peer may send on one connection before they are read, and that wait to be sent: one message.
pub(super) const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// A connection on which nothing comes for this long is dead.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(30);

/// The dialling side keeps a connection alive that it may use again.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(10);

const _: () = assert!(KEEP_ALIVE.as_secs() < IDLE_TIME.as_secs(), "what is kept alive is not idle");

/// How long a connection may take to come about.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Connections that are kept for further exchanges.
pub(super) const MAX_KEPT: usize = 256;

/// Bytes read at once.
pub(super) const READ: usize = 64 * 1024;
