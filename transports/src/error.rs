//! Why an exchange or a listener failed, and what to do about it.

use pleach_core::PublicKey;

/// One error for all transports.
///
/// ```
/// # use pleach_transports::TransportError;
/// assert!(TransportError::Busy.is_transient());
/// assert!(TransportError::Misbehaved("it said nothing".into()).is_peer_fault());
/// assert!(TransportError::Misuse("it was sent before it was opened").is_misuse());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody answers there.
    #[error("cannot reach {address}: {reason}; check that the peer runs and that the address is right")]
    Unreachable {
        /// The address dialled.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// Something answers there, but not a Pleach node.
    #[error("{address} is not a Pleach node: {found}; check the address and the port")]
    NotPleach {
        /// The address dialled.
        address: String,
        /// What came instead.
        found: String,
    },
    /// Another node than the address names.
    #[error(
        "expected the node {expected}, got {found}: the address names another node, ask for its address again"
    )]
    WrongKey {
        /// The key that the address names.
        expected: PublicKey,
        /// The key that the node proved.
        found: PublicKey,
    },
    /// This node's own key, at the other end.
    #[error("the peer has this node's own key: it is an address of this node itself, or a copy of its data")]
    OwnKey,
    /// The peer's clock and the time in a request are too far apart, even after asking for the peer's time.
    #[error("the peer refused the request's time twice: set the clocks of both nodes")]
    Clock,
    /// A transport cannot dial this address.
    #[error("the transport {transport} cannot dial {address}: {reason}")]
    CannotDial {
        /// The kind of transport.
        transport: &'static str,
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address to listen on is taken.
    #[error("{address} is in use: stop the other program or listen on another port")]
    InUse {
        /// The address to bind.
        address: String,
    },
    /// The address to listen on cannot be had.
    #[error("cannot listen on {address}: {reason}")]
    CannotListen {
        /// The address to bind, or what stands for it.
        address: String,
        /// Why.
        reason: String,
    },
    /// The connection ended in the middle of something.
    #[error("the connection ended early ({0}): try again")]
    Cut(String),
    /// The peer was silent for too long, or too slow.
    #[error("the peer took too long ({0}): try again later")]
    TimedOut(&'static str),
    /// The peer serves as many as it can.
    #[error("the peer is busy: try again later")]
    Busy,
    /// The peer refused the request.
    #[error("the peer refused the request: {0}")]
    Refused(String),
    /// The peer broke the rules of the transport.
    #[error("the peer misbehaved: {0}")]
    Misbehaved(String),
    /// A frame or a message is larger than the protocol allows.
    #[error("{what} has at most {limit} bytes, got {found}")]
    TooLarge {
        /// `a frame` or `a message`.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
        /// Bytes that were announced or given.
        found: usize,
    },
    /// The caller used an exchange or a transport out of turn.
    #[error("used out of turn: {0}")]
    Misuse(&'static str),
    /// The transport needs something that the caller did not give.
    #[error("{0}")]
    Setup(String),
}

impl TransportError {
    /// Whether the network is to blame, so that trying again later is all there is to do.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Cut(_) | Self::TimedOut(_) | Self::Busy | Self::InUse { .. }
        )
    }

    /// Whether the peer broke the protocol or is not who it should be.
    pub fn is_peer_fault(&self) -> bool {
        matches!(self, Self::NotPleach { .. } | Self::WrongKey { .. } | Self::OwnKey | Self::Misbehaved(_))
    }

    /// Whether this side called or configured something wrongly.
    pub fn is_misuse(&self) -> bool {
        matches!(self, Self::CannotDial { .. } | Self::CannotListen { .. } | Self::Misuse(_) | Self::Setup(_))
    }
}
