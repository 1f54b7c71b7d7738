//! Takes connections in and queues their streams, while somebody listens.

use std::sync::{Arc, Mutex, PoisonError};

use iroh::{
    Endpoint,
    endpoint::{Connection, Incoming, IncomingAddr, ServerConfig},
};
use pleach_core::{PublicKey, budget::Source};
use tokio::time::timeout;

use super::{
    ALPN, BUSY, NO_KEY, OWN_KEY,
    drive::WeakDrive,
    halves::{IrohExchange, stream},
    limits, proof,
    settings::accepted,
};
use crate::{
    Context, Exchange,
    gate::{Gate, Visitor, source_of},
    pipe::{Receiver, Sender, pipe},
    race::race,
    streams::Hosting,
};

/// Exchanges that wait to be taken by the node.
type Queue = Sender<Box<dyn Exchange>>;

/// A door, open or not. The endpoint's tasks keep it and may not keep the thread; the exchanges do.
#[derive(Clone)]
pub(super) struct Door {
    context: Context,
    drive: WeakDrive,
    queue: Arc<Mutex<Option<Arc<Queue>>>>,
    gate: Arc<Gate>,
}

impl Door {
    pub(super) fn new(context: Context, drive: WeakDrive) -> Self {
        let gate = Gate::new(limits::CONNECTIONS.wanted(context.limits()));
        Self { context, drive, queue: Arc::default(), gate }
    }

    /// Opens it; nothing if it is open.
    pub(super) fn open(&self) -> Option<Receiver<Box<dyn Exchange>>> {
        let mut open = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return None;
        }
        let (queue, accepted) = pipe(limits::BACKLOG);
        *open = Some(Arc::new(queue));
        Some(accepted)
    }

    pub(super) fn close(&self) {
        let closed = self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(closed);
    }

    fn queue(&self) -> Option<Arc<Queue>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Meets everybody who comes, until the endpoint ends. An endpoint that only dials turns them away too: whoever is
    /// not met waits in its memory.
    pub(super) async fn accept(self, endpoint: Endpoint) {
        let config =
            endpoint.create_server_config_builder(vec![ALPN.to_vec()]).set_transport_config(accepted());
        let config = Arc::new(config.build());
        while let Some(incoming) = endpoint.accept().await {
            if self.queue().is_none() {
                incoming.refuse();
                continue;
            }
            if !incoming.remote_addr_validated() && !self.gate.begin() {
                // One that cannot be asked to show its address is let go.
                let _ = incoming.retry();
                continue;
            }
            let (staying, leaving) = async_channel::bounded::<()>(1);
            match self.gate.enter(source(&incoming.remote_addr()), Box::new(move || drop(staying))) {
                Some(visitor) => {
                    tokio::spawn(self.clone().connection(incoming, Arc::clone(&config), visitor, leaving));
                }
                // To say so would cost more than it is worth: who is in earnest tries again.
                None => incoming.ignore(),
            }
        }
    }

    /// A connection, until it ends or has to make room.
    async fn connection(
        self,
        incoming: Incoming,
        config: Arc<ServerConfig>,
        visitor: Visitor,
        leaving: async_channel::Receiver<()>,
    ) {
        let meeting = timeout(limits::CONNECT_TIME, self.meet(incoming, config));
        let left = async {
            // Nothing is ever sent: another connection that takes the place ends the wait.
            let _ = leaving.recv().await;
            Ok(None)
        };
        let Ok(Some((connection, peer))) = race(meeting, left).await else { return };
        visitor.shows(&peer);
        let host = Host { connection, visitor: Arc::new(visitor) };
        let left = async {
            let _ = leaving.recv().await;
            host.connection.close(BUSY, b"others wait");
        };
        race(self.streams(peer, &host), left).await;
    }

    async fn streams(&self, peer: PublicKey, host: &Host) {
        while let Ok((mut sending, mut receiving)) = host.connection.accept_bi().await {
            if !host.visitor.request() {
                host.connection.close(BUSY, b"too many requests: try again later");
                return;
            }
            let Some(drive) = self.drive.upgrade() else { return };
            let Some(queue) = self.queue().filter(|queue| queue.has_room()) else {
                // The stream may be gone already.
                let _ = (sending.reset(BUSY), receiving.stop(BUSY));
                continue;
            };
            let stream = stream(&host.connection, peer, (sending, receiving));
            let exchange = IrohExchange::accepted(stream, host.clone(), drive);
            // A queue that filled up meanwhile drops the exchange, which the peer sees as a cut.
            let _ = queue.try_send(Box::new(exchange));
        }
    }

    /// A connection with both node keys proven. The other side of one that fails is told by QUIC.
    async fn meet(&self, incoming: Incoming, config: Arc<ServerConfig>) -> Option<(Connection, PublicKey)> {
        let connection = incoming.accept_with(config).ok()?.await.ok()?;
        let Ok(peer) = proof::as_responder(&connection, &self.context).await else {
            connection.close(NO_KEY, b"no proof of a node key");
            return None;
        };
        if peer == self.context.key().public() {
            connection.close(OWN_KEY, b"the responder's own key");
            return None;
        }
        Some((connection, peer))
    }
}

/// Where a connection is charged. Whoever comes over a relay is charged to that: ids of endpoints cost nothing.
fn source(from: &IncomingAddr) -> Source {
    match from {
        IncomingAddr::Ip(place) => source_of(place.ip()),
        IncomingAddr::Relay { url, .. } => Source::of(url.as_str().as_bytes()),
        _ => Source::default(),
    }
}

/// The connection of an accepted exchange.
#[derive(Clone)]
struct Host {
    connection: Connection,
    visitor: Arc<Visitor>,
}

impl Hosting for Host {
    fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    fn vouch(&self, peer: PublicKey) {
        self.visitor.vouch(peer);
        self.connection.set_max_concurrent_bi_streams(limits::MAX_STREAMS.into());
        self.connection.set_receive_window(limits::CONNECTION_WINDOW.into());
    }
}
