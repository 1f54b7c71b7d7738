//! How a connection keeps time while a body arrives.

use std::time::Duration;

/// Ends what takes too long, in the way of the runtime that carries the connection.
pub(super) trait Pace: Clone + Send + Sync + 'static {
    /// The future's output, or nothing if it takes longer.
    fn within<F: Future + Send>(
        &self,
        time: Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;
}
