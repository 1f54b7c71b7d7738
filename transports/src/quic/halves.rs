//! The two halves of a stream of quinn's.

use std::{
    pin::Pin,
    task::{Context as Task, Poll},
};

use pleach_core::PublicKey;
use quinn::{Connection, RecvStream, SendStream, WriteError};

use super::drive::Drive;
use crate::{
    TransportError,
    streams::{self, Receiving, Sending, StreamExchange},
};

/// A stream that was opened or accepted, and whose peer has proven a key.
pub(super) type Stream = streams::Stream<SendStream, RecvStream>;

/// The stream of an exchange on a connection whose peer has proven a key.
pub(super) fn stream(
    connection: &Connection,
    peer: PublicKey,
    (sending, receiving): (SendStream, RecvStream),
) -> Stream {
    let binding = streams::binding(sending.id().index(), |exported, label, context| {
        connection.export_keying_material(exported, label, context)
    });
    Stream { peer, binding, sending, receiving }
}

/// An exchange over one stream.
pub(super) type QuicExchange = StreamExchange<SendStream, RecvStream, Drive>;

impl Sending for SendStream {
    fn poll_write(&mut self, task: &mut Task<'_>, bytes: &[u8]) -> Poll<Result<usize, TransportError>> {
        Pin::new(self).poll_write(task, bytes).map_err(|error| match error {
            WriteError::Stopped(_) => TransportError::Cut("the peer let go of the exchange".into()),
            other => TransportError::Cut(other.to_string()),
        })
    }
}

impl Receiving for RecvStream {
    fn poll_read(&mut self, task: &mut Task<'_>, room: &mut [u8]) -> Poll<Result<usize, TransportError>> {
        // The stream's own method of this name, which comes first.
        Self::poll_read(self, task, room).map_err(|error| TransportError::Cut(error.to_string()))
    }
}
