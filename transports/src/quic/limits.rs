//! The limits of the QUIC transport.

use std::time::Duration;

use crate::gate::Limits;

/// Connections that a server holds at once, those included that are coming about.
pub(super) const CONNECTIONS: Limits = Limits { all: 512, strangers: 192, of_source: 64 };

/// Packets of connections that nobody has looked at yet, for each of which QUIC holds as many bytes as come.
pub(super) const MAX_INCOMING: usize = 64;

/// Bytes that those packets may have, each and in all.
pub(super) const INCOMING_BYTES: u64 = 16 * 1024;
pub(super) const ALL_INCOMING_BYTES: u64 = 1024 * 1024;

/// Exchanges that wait to be taken by the node.
pub(super) const BACKLOG: usize = 64;

/// Exchanges that a peer may have open on one connection, and a stranger.
pub(super) const MAX_STREAMS: u32 = 64;
pub(super) const STRANGER_STREAMS: u32 = 8;

/// Bytes that a peer may send on one exchange before they are read: two frames.
pub(super) const STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// Bytes that a peer may send on one connection before they are read, and that wait to be sent: one message.
pub(super) const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// The same for a stranger: to be told who it is takes some hundreds of bytes, to be read from one exchange at a time
/// some more.
pub(super) const STRANGER_WINDOW: u32 = 64 * 1024;
pub(super) const STRANGER_SEND_WINDOW: u64 = 512 * 1024;

/// A connection on which nothing comes for this long is dead.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(30);

/// The dialling side keeps a connection alive that it may use again.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(10);

const _: () = assert!(KEEP_ALIVE.as_secs() < IDLE_TIME.as_secs(), "what is kept alive is not idle");

/// How long a connection may take to come about.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(5);
