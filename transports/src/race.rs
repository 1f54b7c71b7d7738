//! Two futures, of which the first to end wins.

use std::{future::poll_fn, pin::pin, task::Poll};

/// The output of whichever ends first; the other is dropped.
pub(crate) async fn race<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(move |task| match one.as_mut().poll(task) {
        Poll::Ready(output) => Poll::Ready(output),
        Poll::Pending => other.as_mut().poll(task),
    })
    .await
}
