//! The two halves of a stream of iroh's.

use std::{
    pin::Pin,
    task::{Context as Task, Poll},
};

use iroh::endpoint::{Connection, RecvStream, SendStream, WriteError};
use pleach_core::PublicKey;

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
pub(super) type IrohExchange = StreamExchange<SendStream, RecvStream, Drive>;

impl Sending for SendStream {
    fn poll_write(&mut self, task: &mut Task<'_>, bytes: &[u8]) -> Poll<Result<usize, TransportError>> {
        // The stream's own method of this name, which comes first.
        Self::poll_write(Pin::new(self), task, bytes).map_err(|error| match error {
            WriteError::Stopped(_) => TransportError::Cut("the peer let go of the exchange".into()),
            other => TransportError::Cut(other.to_string()),
        })
    }
}

impl Receiving for RecvStream {
    fn poll_read(&mut self, task: &mut Task<'_>, room: &mut [u8]) -> Poll<Result<usize, TransportError>> {
        Self::poll_read(self, task, room).map_err(|error| TransportError::Cut(error.to_string()))
    }
}
