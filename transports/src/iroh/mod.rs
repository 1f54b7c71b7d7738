//! iroh: QUIC between endpoints that find each other by their ids, through NATs and, where nothing else works, over
//! relays. Each exchange is one bidirectional stream.
//!
//! An endpoint's key is not the node's. It follows from the node key and a salt that is kept under the transport's name,
//! so that an endpoint has the same id after a restart, two transports of one node do not share theirs, and what relays
//! and look-up services see is not the key that databases are granted to. The node keys are proven on each connection by
//! signatures over what its TLS session exports.
//!
//! | relays | how a peer is found | who hears of this endpoint |
//! |---|---|---|
//! | as they come | by its id alone | the public relays and look-up service of iroh |
//! | [`IrohBuilder::relays`] | by the relays and sockets in its address | these relays |
//! | [`IrohBuilder::relays_off`] | by the sockets in its address | nobody |
//!
//! iroh wants tokio. It runs on one thread of its own, whatever executor a node lends.

mod dial;
mod door;
mod drive;
mod halves;
#[cfg(test)]
mod hostile;
mod limits;
mod place;
mod proof;
mod settings;

use std::{
    sync::Arc,
    task::{Context as Task, Poll},
};

use dial::Home;
use door::Door;
use drive::Drive;
use halves::IrohExchange;
use iroh::endpoint::VarInt;
pub use settings::IrohBuilder;

use crate::{Address, Context, Exchange, Listener, Transport, TransportError, park_on, pipe::Receiver};

/// The name in front of addresses.
const KIND: &str = "iroh";

/// The protocol inside, with its version.
const ALPN: &[u8] = b"pleach/1";

/// Why a connection or a stream is ended, for the peer to read: the codes of QUIC's transport.
const OWN_KEY: VarInt = VarInt::from_u32(1);
const WRONG_KEY: VarInt = VarInt::from_u32(2);
const BUSY: VarInt = VarInt::from_u32(3);
/// A proof that proves nothing.
const NO_KEY: VarInt = VarInt::from_u32(4);

/// The transport `iroh`.
///
/// ```
/// # use pleach_transports::iroh::IrohTransport;
/// let settings = IrohTransport::builder().bind("0.0.0.0:0").relays(["https://relay.example"]);
/// # drop(settings);
/// ```
pub struct IrohTransport {
    home: Arc<Home>,
}

impl IrohTransport {
    /// Settings to begin with: the public relays, and no place to listen.
    pub fn builder() -> IrohBuilder {
        IrohBuilder::default()
    }

    fn new(settings: IrohBuilder, context: Context, salt: &[u8; 32]) -> Result<Self, TransportError> {
        let drive = Drive::new()?;
        Ok(Self { home: Arc::new(Home::new(settings, context, salt, drive)) })
    }
}

impl std::fmt::Debug for IrohTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IrohTransport").field("id", &self.home.id()).finish_non_exhaustive()
    }
}

impl Transport for IrohTransport {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn can_listen(&self) -> bool {
        self.home.settings.place().is_some()
    }

    fn dial(&self, address: &Address) -> Result<Box<dyn Exchange>, TransportError> {
        let to = place::read(address)?;
        let (home, drive) = (Arc::clone(&self.home), self.home.drive.clone());
        let (address, thread) = (address.clone(), drive.clone());
        let dialling = Box::pin(async move {
            let stream = async move { home.stream(&address, to).await };
            thread.run(stream).await
        });
        Ok(Box::new(IrohExchange::dialled(dialling, drive)))
    }

    fn listen(&self) -> Result<Box<dyn Listener>, TransportError> {
        crate::place::to_bind(KIND, self.home.settings.place())?;
        let home = Arc::clone(&self.home);
        // The thread of iroh makes it, so that whoever waits here keeps nobody from it.
        let endpoint = park_on(self.home.drive.run(async move { home.endpoint().await }))?;
        let address = self.home.address(&endpoint);
        let accepted =
            self.home.door.open().ok_or_else(|| TransportError::InUse { address: address.to_string() })?;
        let (door, drive) = (self.home.door.clone(), self.home.drive.clone());
        Ok(Box::new(IrohListener { address, accepted, door, _drive: drive }))
    }
}

struct IrohListener {
    address: Address,
    accepted: Receiver<Box<dyn Exchange>>,
    door: Door,
    /// Keeps the thread running.
    _drive: Drive,
}

impl Listener for IrohListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn poll_accept(&mut self, task: &mut Task<'_>) -> Poll<Result<Box<dyn Exchange>, TransportError>> {
        self.accepted.poll_receive(task).map(|exchange| {
            exchange.ok_or_else(|| TransportError::CannotListen {
                address: self.address.to_string(),
                reason: "the endpoint has ended".into(),
            })
        })
    }
}

impl Drop for IrohListener {
    fn drop(&mut self) {
        self.door.close();
    }
}
