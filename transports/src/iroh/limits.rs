//! The limits of the iroh transport.

use std::time::Duration;

use crate::gate::Limits;

/// Connections that a server holds at once, those included that are coming about.
pub(super) const CONNECTIONS: Limits = Limits { all: 512, strangers: 192, of_source: 64 };

/// Exchanges that wait to be taken by the node.
pub(super) const BACKLOG: usize = 64;

/// Exchanges that a peer may have open on one connection, and a stranger.
pub(super) const MAX_STREAMS: u32 = 64;
pub(super) const STRANGER_STREAMS: u32 = 8;

/// Streams of one direction that a peer may have open: the one on which it proves its node key.
pub(super) const MAX_PROOFS: u32 = 1;

/// Bytes that a peer may send on one exchange before they are read: two frames.
pub(super) const STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// Bytes that a peer may send on one connection before they are read, and that wait to be sent: one message.
pub(super) const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

/// The same for a stranger.
pub(super) const STRANGER_WINDOW: u32 = 64 * 1024;

/// Bytes that wait to be sent on a connection that was accepted, a stranger's or not: iroh lets nobody change it later.
pub(super) const ACCEPTED_SEND_WINDOW: u64 = 1024 * 1024;

/// A connection on which nothing comes for this long is dead.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(30);

/// How long a connection may take to come about, look-up, relays and the proof of keys included. iroh itself gives an
/// address that does not answer ten seconds.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(15);

/// How long peers are given to hear that this endpoint ends.
pub(super) const CLOSE_TIME: Duration = Duration::from_secs(3);

/// Ways to reach an endpoint that one address may name, since each one is tried.
pub(super) const MAX_WAYS: usize = 8;
