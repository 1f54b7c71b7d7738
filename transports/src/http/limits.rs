//! The limits of the HTTP transport.

use std::time::Duration;

use pleach_core::limits::{MAX_FRAME, MAX_MESSAGE};

use crate::gate::Limits;

/// Connections that a server on an executor holds at once. Each costs a buffer of 8 to 64 KiB and a task.
#[cfg(feature = "smol")]
pub(super) const CONNECTIONS: Limits = Limits { all: 512, strangers: 192, of_source: 64 };

/// Connections that a server on threads holds at once. Each costs the same, and a thread with its stack.
#[cfg(feature = "threads")]
pub(super) const THREADED: Limits = Limits { all: 128, strangers: 64, of_source: 48 };

/// Threads of such a server beside those of its connections: those of connections that had to go are ending.
#[cfg(feature = "threads")]
pub(super) const ENDING_THREADS: usize = 32;

/// Connections that wait for a thread.
#[cfg(feature = "threads")]
pub(super) const MAX_WAITING: usize = 32;

/// Requests that wait to be taken by the node.
pub(super) const BACKLOG: usize = 64;

/// Bytes of a request's body: a message, and a length for each of its frames, of which there are plausibly fewer than
/// one in 64 bytes.
pub(super) const MAX_BODY: usize = MAX_MESSAGE + MAX_MESSAGE / 16;

/// Bytes of a request's body in JSON, as it is sent: as many as a message may have, so that base64 leaves three quarters
/// of them for entries.
pub(super) const MAX_JSON_BODY: usize = MAX_MESSAGE;

/// Bytes of a line in a response in JSON: the longest text of a frame, its commas and brackets.
pub(super) const MAX_LINE: usize = 2 * MAX_FRAME + 64;

/// Bytes in a connection's read buffer, and so in a request's head.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// A request's head arrives within this time of its first byte.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);

/// A body may come to nothing for this long; beyond that its bytes come at [`MIN_RATE`].
pub(super) const BODY_GRACE: Duration = Duration::from_secs(10);

/// Bytes a second below which a body counts as an attack or a dead line.
pub(super) const MIN_RATE: u64 = 32 * 1024;

/// How long a connection may wait for its next request.
#[cfg(feature = "threads")]
pub(super) const IDLE_TIME: Duration = Duration::from_secs(60);

/// How long one write may be stuck.
#[cfg(feature = "threads")]
pub(super) const WRITE_TIME: Duration = Duration::from_secs(30);

/// How long a connection may take to come about.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a request and its response may take: a full message each way at [`MIN_RATE`], and time to think.
pub(super) const CALL_TIME: Duration = Duration::from_secs(600);

/// Bytes read of a refusal's text.
pub(super) const MAX_REFUSAL: usize = 1024;

/// Pieces of a body on their way between a connection and an exchange: frames of a response that is made, or what was
/// read at once of one that comes, at most [`MAX_HEAD`] bytes.
pub(super) const PIECES: usize = 4;

/// How long an answer about who a node is and what time it has is good.
pub(super) const KNOWN_TIME: u64 = 60_000;

/// Nodes about which that is remembered.
pub(super) const MAX_KNOWN: usize = 1024;
