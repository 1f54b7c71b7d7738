//! Frames over a plain line of bytes: a serial port, a pseudo terminal, a pair of pipes.
//!
//! A line carries one exchange at a time: dials wait for their turn, and whoever dials anew ends what the listener at
//! the other end still has under way. A listener whose line goes away opens it again when it is back. Both sides prove their keys in a signed greeting over fresh nonces
//! ([`pleach_core::wire::serial`]); beyond that a line is as trustworthy as its cable.
//!
//! Lines are opened by [`Lines`]: [`Devices`] opens character devices and Unix sockets by their path. The speed and the
//! raw mode of a device are set before, by `stty` for example.
//!
//! | file | holds |
//! |---|---|
//! | `line` | [`Line`], [`Lines`], [`Devices`] |
//! | `port` | an open line: a thread that reads, one that writes, and the session between them |
//! | `exchange` | the exchange over it |
//! | `again` | opening a line again that went away |
//!
//! ```
//! use pleach_transports::serial::SerialTransport;
//! let dialling = SerialTransport::builder();
//! let listening = SerialTransport::builder().bind("/dev/ttyACM0").frame(64 * 1024);
//! # drop((dialling, listening));
//! ```

mod again;
mod exchange;
mod line;
mod port;

use std::{
    io,
    sync::Arc,
    task::{Context as Task, Poll, ready},
};

use pleach_core::limits::MAX_FRAME;

pub use line::{Devices, Line, Lines};

use crate::{Address, Builder, Built, Context, Exchange, Listener, Transport, TransportError, turns::Turns};
use again::Again;
use exchange::SerialExchange;
use port::Port;

/// Settings of a [`SerialTransport`].
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Context, Transport, serial::{Devices, SerialTransport}};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// let settings = SerialTransport::builder().bind("/dev/ttyACM0").frame(64 * 1024).lines(Arc::new(Devices));
/// assert!(settings.transport(context).can_listen());
/// ```
#[derive(Clone)]
pub struct SerialBuilder {
    lines: Arc<dyn Lines>,
    place: Option<String>,
    frame: u32,
}

/// The transport `serial`.
///
/// ```
/// # use pleach_transports::{Address, serial::SerialTransport};
/// let (settings, place) = (SerialTransport::builder(), Address::new("serial", "/dev/ttyACM0"));
/// # drop((settings, place));
/// ```
pub struct SerialTransport {
    settings: SerialBuilder,
    context: Context,
    turns: Turns,
}

impl SerialTransport {
    /// Settings; without [`SerialBuilder::bind`] it only dials.
    pub fn builder() -> SerialBuilder {
        SerialBuilder {
            lines: Arc::new(Devices),
            place: None,
            frame: u32::try_from(MAX_FRAME).unwrap_or(u32::MAX),
        }
    }
}

impl SerialBuilder {
    /// Listens on this line.
    #[must_use]
    pub fn bind(self, place: &str) -> Self {
        Self { place: Some(place.into()), ..self }
    }

    /// Opens lines in another way than [`Devices`].
    #[must_use]
    pub fn lines(self, lines: Arc<dyn Lines>) -> Self {
        Self { lines, ..self }
    }

    /// Takes frames of at most so many bytes, and says so in the greeting.
    #[must_use]
    pub fn frame(self, bytes: u32) -> Self {
        Self { frame: bytes, ..self }
    }

    /// The transport itself.
    pub fn transport(self, context: Context) -> SerialTransport {
        SerialTransport { settings: self, context, turns: Turns::default() }
    }
}

impl std::fmt::Debug for SerialBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SerialBuilder").field("place", &self.place).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SerialTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SerialTransport").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Builder for SerialBuilder {
    fn build(self: Box<Self>, context: Context, _state: Option<&[u8]>) -> Result<Built, TransportError> {
        Ok(Built { transport: Box::new(self.transport(context)), state: None })
    }
}

impl Transport for SerialTransport {
    fn kind(&self) -> &'static str {
        "serial"
    }

    fn dial(&self, address: &Address) -> Result<Box<dyn Exchange>, TransportError> {
        if !self.can_dial(address) || address.address.is_empty() {
            return Err(TransportError::CannotDial {
                transport: "serial",
                address: address.to_string(),
                reason: "use an address such as serial:/dev/ttyACM0".into(),
            });
        }
        let dial = Dial {
            address: address.clone(),
            settings: self.settings.clone(),
            context: self.context.clone(),
            turns: self.turns.clone(),
        };
        Ok(Box::new(SerialExchange::dialled(dial)))
    }

    fn listen(&self) -> Result<Box<dyn Listener>, TransportError> {
        let cannot = |reason: String| TransportError::CannotListen {
            address: format!("serial:{}", self.settings.place.as_deref().unwrap_or_default()),
            reason,
        };
        let Some(place) = self.settings.place.as_deref() else {
            return Err(cannot("the transport was built without bind, so it only dials".into()));
        };
        let line = self.settings.lines.open(place, End::Listener).map_err(|error| {
            if error.kind() == io::ErrorKind::AddrInUse {
                TransportError::InUse { address: format!("serial:{place}") }
            } else {
                cannot(error.to_string())
            }
        })?;
        let port =
            Port::listener(line, &self.context, self.settings.frame).map_err(|e| cannot(e.to_string()))?;
        let (settings, context) = (self.settings.clone(), self.context.clone());
        Ok(Box::new(SerialListener { port, again: None, place: place.into(), settings, context }))
    }
}

/// Which end of a line is opened: most lines do not care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The end that answers.
    Listener,
    /// The end that begins.
    Dialler,
}

struct SerialListener {
    port: Arc<Port>,
    /// The line went away, and is being opened again.
    again: Option<Again>,
    place: String,
    settings: SerialBuilder,
    context: Context,
}

impl Listener for SerialListener {
    fn address(&self) -> Address {
        Address::new("serial", &self.place).with_key(self.context.key().public())
    }

    fn poll_accept(&mut self, task: &mut Task<'_>) -> Poll<Result<Box<dyn Exchange>, TransportError>> {
        loop {
            if let Some(again) = &self.again {
                self.port = ready!(again.poll(task));
                self.again = None;
            }
            match ready!(self.port.poll_accept(task)) {
                Ok((session, peer)) => {
                    let exchange = SerialExchange::accepted(Arc::clone(&self.port), session, peer);
                    return Poll::Ready(Ok(Box::new(exchange)));
                }
                Err(reason) => {
                    self.port.shut();
                    let again = Again::start(&self.settings, &self.place, &self.context);
                    let address = self.address().to_string();
                    self.again = Some(again.map_err(|_| TransportError::CannotListen { address, reason })?);
                }
            }
        }
    }
}

impl Drop for SerialListener {
    fn drop(&mut self) {
        self.port.shut();
    }
}

/// What a dial needs.
struct Dial {
    address: Address,
    settings: SerialBuilder,
    context: Context,
    turns: Turns,
}
