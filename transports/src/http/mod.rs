//! HTTP/1.1 under `/api/v0`, signed both ways; the same service and the same client logic on an executor (`smol`) and
//! on plain threads (`threads`).
//!
//! A message is one `POST /api/v0/sync`: its frames are the body, framed as everywhere or as JSON, as the content type
//! says. The header `pleach-signature` carries the [`RequestHead`](pleach_core::wire::RequestHead). The response begins
//! with a [`ResponseHead`](pleach_core::wire::ResponseHead) and ends with a signature over all before it.
//! `GET /api/v0/node?nonce=…` says who answers there. `docs/http.md` has all of it, with examples. No state is kept
//! between requests, so any proxy and any process over the same storage may stand in between.
//!
//! With TLS, by a certificate or by the node key, addresses begin with `https:`; a transport dials both. TLS hides what is
//! said. Who says it follows from the signatures, as ever, so that a proxy may end TLS in front of a node.
//!
//! Each request is an exchange of its own to the responder, which therefore sees `Closed` after its answer.

mod answer;
mod certificate;
mod form;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod initiator;
mod known;
mod limits;
mod pace;
mod reply;
mod responder;
#[cfg(feature = "threads")]
mod secure;
mod service;
#[cfg(feature = "smol")]
mod smol;
#[cfg(feature = "threads")]
mod threads;
mod tls;

use std::{
    net::{TcpListener, ToSocketAddrs},
    path::Path,
    sync::Arc,
};

use form::Form;
use hyper::header::HeaderMap;
use initiator::{Courier, HttpInitiator};
use known::Known;
use rustls::ServerConfig;
use service::Service;
use tls::{Clients, Shown, Trust};

use crate::{
    Address, Builder, Built, Context, Exchange, Listener, Transport, TransportError,
    gate::Limits,
    pipe::{Receiver, pipe},
};

/// The two beginnings of addresses.
const PLAIN: &str = "http";
const SECURE: &str = "https";

/// Where frames go.
const SYNC_PATH: &str = "/api/v0/sync";
/// Where a node says who it is.
const NODE_PATH: &str = "/api/v0/node";
/// The header of a signed request.
const SIGNATURE_HEADER: &str = "pleach-signature";

/// The one value of a header; nothing if it is there twice.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Settings of an [`HttpTransport`].
///
/// ```
/// # use std::sync::Arc;
/// # use pleach_core::SecretKey;
/// # use pleach_transports::{Context, Transport, http::HttpTransport};
/// # let context = Context::new(SecretKey::from_bytes([1; 32]), Arc::new(|| 0), Arc::new(|bytes| bytes.fill(0)));
/// # #[cfg(feature = "threads")] {
/// let transport = HttpTransport::builder().bind("127.0.0.1:0").transport(context.clone())?;
/// let listener = transport.listen()?;
/// assert!(listener.address().to_string().starts_with("http:"));
///
/// // Over TLS, by the node's own key; what is dialled speaks JSON.
/// let secure = HttpTransport::builder().bind("127.0.0.1:0").node_certificate().json().transport(context.clone())?;
/// assert!(secure.listen()?.address().to_string().starts_with("https:"));
///
/// // Or by the certificate of an authority, here in files that are not there.
/// let by_files = HttpTransport::builder().certificate("node.pem", "node.key").trust("authority.pem");
/// assert!(by_files.transport(context).is_err());
/// # }
/// # Ok::<(), pleach_transports::TransportError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct HttpBuilder {
    bind: Option<String>,
    form: Form,
    shown: Option<Shown>,
    trust: Trust,
}

impl HttpBuilder {
    /// Listens on this `host:port`; port 0 takes a free one. Without it the transport only dials.
    #[must_use]
    pub fn bind(self, place: &str) -> Self {
        Self { bind: Some(place.into()), ..self }
    }

    /// Listens with TLS, by the certificates in a file of PEM (its own first) and the secret key in another. The address
    /// begins with `https:`.
    #[must_use]
    pub fn certificate(self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Self {
        let (chain, key) = (chain.as_ref().to_owned(), key.as_ref().to_owned());
        Self { shown: Some(Shown::Files { chain, key }), ..self }
    }

    /// Listens with TLS, by a certificate that says the node key and is signed by it: whoever has an address that names
    /// the key takes it, without any authority. The address begins with `https:`.
    #[must_use]
    pub fn node_certificate(self) -> Self {
        Self { shown: Some(Shown::Node), ..self }
    }

    /// Dials nodes at `https:` that show a certificate of an authority in this file of PEM, in place of those that the
    /// system trusts. The certificate that says the node key which an address names is always taken.
    #[must_use]
    pub fn trust(self, authorities: impl AsRef<Path>) -> Self {
        Self { trust: Trust::File(authorities.as_ref().to_owned()), ..self }
    }

    /// Speaks JSON where it dials, for whoever listens on the way; every node understands both. A message whose JSON
    /// would have more than 8 MiB goes as postcard all the same.
    #[must_use]
    pub fn json(self) -> Self {
        Self { form: Form::Json, ..self }
    }

    /// The transport itself: on the executor that the context lends, or else on plain threads.
    pub fn transport(self, context: Context) -> Result<HttpTransport, TransportError> {
        let runtime = Runtime::of(&context)?;
        let courier = runtime.courier(Clients::new(&self.trust)?);
        let tls = self.shown.map(|shown| tls::server(&shown, context.key())).transpose()?;
        Ok(HttpTransport {
            bind: self.bind,
            form: self.form,
            tls,
            runtime,
            courier,
            known: Arc::default(),
            context,
        })
    }
}

impl Builder for HttpBuilder {
    fn build(self: Box<Self>, context: Context, _state: Option<&[u8]>) -> Result<Built, TransportError> {
        Ok(Built { transport: Box::new(self.transport(context)?), state: None })
    }
}

/// What carries the bytes.
#[derive(Clone)]
enum Runtime {
    #[cfg(feature = "smol")]
    Smol(crate::Executor),
    #[cfg(feature = "threads")]
    Threads,
}

impl Runtime {
    /// The executor that the context lends, or else threads.
    #[cfg_attr(not(feature = "smol"), expect(unused_variables, reason = "only threads to choose"))]
    fn of(context: &Context) -> Result<Self, TransportError> {
        #[cfg(feature = "smol")]
        let lent = context.executor().map(|executor| Self::Smol(Arc::clone(executor)));
        #[cfg(not(feature = "smol"))]
        let lent = None;
        #[cfg(feature = "threads")]
        let lent = lent.or(Some(Self::Threads));
        lent.ok_or_else(|| {
            let text = "http needs an executor from Context::with_executor, or the feature threads";
            TransportError::Setup(text.into())
        })
    }

    fn courier(&self, tls: Clients) -> Arc<dyn Courier> {
        match self {
            #[cfg(feature = "smol")]
            Self::Smol(executor) => Arc::new(smol::Client::new(executor, tls)),
            #[cfg(feature = "threads")]
            Self::Threads => Arc::new(threads::Client::new(tls)),
        }
    }

    const fn connections(&self) -> Limits {
        match self {
            #[cfg(feature = "smol")]
            Self::Smol(_) => limits::CONNECTIONS,
            #[cfg(feature = "threads")]
            Self::Threads => limits::THREADED,
        }
    }

    fn serve(
        &self,
        listener: TcpListener,
        service: Arc<Service>,
    ) -> Result<Box<dyn Send + Sync>, std::io::Error> {
        match self {
            #[cfg(feature = "smol")]
            Self::Smol(executor) => Ok(Box::new(smol::serve(executor, listener, service)?)),
            #[cfg(feature = "threads")]
            Self::Threads => Ok(Box::new(threads::serve(listener, service)?)),
        }
    }
}

/// The transport `http`.
///
/// ```
/// # use pleach_transports::http::HttpTransport;
/// let settings = HttpTransport::builder().bind("127.0.0.1:0");
/// # drop(settings);
/// ```
pub struct HttpTransport {
    bind: Option<String>,
    form: Form,
    tls: Option<Arc<ServerConfig>>,
    runtime: Runtime,
    courier: Arc<dyn Courier>,
    known: Arc<Known>,
    context: Context,
}

impl HttpTransport {
    /// Settings to begin with: without a place to listen.
    pub fn builder() -> HttpBuilder {
        HttpBuilder::default()
    }
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTransport").field("bind", &self.bind).finish_non_exhaustive()
    }
}

impl Transport for HttpTransport {
    fn kind(&self) -> &'static str {
        PLAIN
    }

    fn can_dial(&self, address: &Address) -> bool {
        [PLAIN, SECURE].contains(&address.transport_type.as_str())
    }

    fn can_listen(&self) -> bool {
        self.bind.is_some()
    }

    fn dial(&self, address: &Address) -> Result<Box<dyn Exchange>, TransportError> {
        let kind = if address.transport_type == SECURE { SECURE } else { PLAIN };
        crate::place::check(kind, address)?;
        let (courier, known) = (Arc::clone(&self.courier), Arc::clone(&self.known));
        Ok(Box::new(HttpInitiator::new(self.context.clone(), self.form, courier, known, address.clone())))
    }

    fn listen(&self) -> Result<Box<dyn Listener>, TransportError> {
        let kind = if self.tls.is_some() { SECURE } else { PLAIN };
        let place = crate::place::to_bind(kind, self.bind.as_deref())?;
        let failed = |error: std::io::Error| crate::place::cannot_bind(kind, place, &error);
        let places: Vec<_> = place.to_socket_addrs().map_err(failed)?.collect();
        let listener = TcpListener::bind(&places[..]).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let (queue, accepted) = pipe(limits::BACKLOG);
        let tls = self.tls.clone();
        let connections = self.runtime.connections().wanted(self.context.limits());
        let service = Arc::new(Service::new(self.context.clone(), queue, connections, tls));
        let server = self.runtime.serve(listener, service).map_err(failed)?;
        let address = Address::new(kind, &local.to_string()).with_key(self.context.key().public());
        Ok(Box::new(HttpListener { address, accepted, _server: server }))
    }
}

struct HttpListener {
    address: Address,
    accepted: Receiver<Box<dyn Exchange>>,
    /// Ends the accepting and all connections when it goes.
    _server: Box<dyn Send + Sync>,
}

impl Listener for HttpListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn poll_accept(
        &mut self,
        task: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<Box<dyn Exchange>, TransportError>> {
        self.accepted.poll_receive(task).map(|exchange| {
            exchange.ok_or_else(|| TransportError::CannotListen {
                address: self.address.to_string(),
                reason: "the server has ended".into(),
            })
        })
    }
}
