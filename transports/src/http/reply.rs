//! The body of a response: bytes that an exchange hands over piece by piece, or a short text.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame};

use crate::pipe::Receiver;

/// One piece of a response that is being made.
pub(super) enum Piece {
    Bytes(Bytes),
    /// The response is complete; without it the connection is cut.
    Last,
}

/// A response's body.
pub(super) enum Reply {
    Whole(Option<Bytes>),
    Stream(Receiver<Piece>),
    Over,
}

impl Reply {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match &mut *self {
            Self::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Over => return Poll::Ready(None),
            Self::Stream(pieces) => std::task::ready!(pieces.poll_receive(task)),
        };
        Poll::Ready(match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::Last) => {
                *self = Self::Over;
                None
            }
            None => {
                *self = Self::Over;
                Some(Err(io::Error::other("the node let go of the request")))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Over | Self::Whole(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Over => hyper::body::SizeHint::with_exact(0),
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}
