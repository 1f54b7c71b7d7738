//! TLS under HTTP: by certificates, or by the node key. Requests and responses are signed all the same; this hides them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use pleach_core::{PublicKey, SecretKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::{ParsedCertificate, ResolvesServerCert},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};

use super::certificate;
use crate::{
    TransportError,
    identity::{NodeKey, key_of},
};

/// The protocol inside.
const ALPN: &[u8] = b"http/1.1";

/// What a server shows.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// A certificate that says the node key.
    Node,
    /// What these files of PEM hold: certificates, its own first, and its secret key.
    Files { chain: PathBuf, key: PathBuf },
}

/// Whose certificates a client takes, besides that of the node it wants.
#[derive(Clone, Debug, Default)]
pub(super) enum Trust {
    /// Those of the authorities that the system trusts.
    #[default]
    System,
    /// Those of the authorities in this file of PEM.
    File(PathBuf),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn bad(path: &Path, error: &dyn std::fmt::Display) -> TransportError {
    TransportError::Setup(format!("{} cannot be used for TLS: {error}", path.display()))
}

/// All certificates of a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| bad(path, &error))?;
    let all = read.collect::<Result<Vec<_>, _>>().map_err(|error| bad(path, &error))?;
    if all.is_empty() { Err(bad(path, &"it holds no certificate")) } else { Ok(all) }
}

/// The accepting side.
pub(super) fn server(shown: &Shown, key: &SecretKey) -> Result<Arc<ServerConfig>, TransportError> {
    let resolver: Arc<dyn ResolvesServerCert> = match shown {
        Shown::Node => {
            let key = Arc::new(NodeKey(key.clone()));
            Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate::of(&key.0)], key)))
        }
        Shown::Files { chain, key } => {
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
            let certified = CertifiedKey::from_der(certificates(chain)?, secret, &provider());
            Arc::new(SingleCertAndKey::from(certified.map_err(|error| bad(chain, &error))?))
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| TransportError::Setup(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![ALPN.to_vec()];
    // No early data: what is said is never heard twice.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// What clients need to dial: the authorities, read once, those of the system when they are first needed.
#[derive(Default)]
pub(super) struct Clients {
    authorities: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
}

/// Judges by these authorities; nothing if there are none.
fn judge(roots: RootCertStore) -> Option<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()
}

fn of_the_system() -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    // What cannot be read is left out: others may do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    judge(roots)
}

impl Clients {
    /// A system without any authority takes nodes by their keys alone; a file has to hold some.
    pub(super) fn new(trust: &Trust) -> Result<Self, TransportError> {
        let Trust::File(path) = trust else { return Ok(Self::default()) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| bad(path, &error))?;
        }
        Ok(Self { authorities: judge(roots).into() })
    }

    /// The dialling side, to a node with this key if one is expected.
    pub(super) fn config(&self, expected: Option<PublicKey>) -> Result<Arc<ClientConfig>, TransportError> {
        let verifier = Verifier {
            expected,
            authorities: self.authorities.get_or_init(of_the_system).clone(),
            provider: provider(),
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TransportError::Setup(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// The name that a server is asked for.
pub(super) fn server_name(place: &str) -> Result<ServerName<'static>, TransportError> {
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(host).map_err(|error| TransportError::CannotDial {
        transport: "https",
        address: place.into(),
        reason: error.to_string(),
    })
}

/// Why there is no TLS with a server.
pub(super) fn failed(place: &str, error: &io::Error) -> TransportError {
    let address = place.to_owned();
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match of_tls {
        Some(Error::InvalidCertificate(reason)) => {
            let found = format!(
                "a certificate that is neither trusted nor of the node that the address names ({reason})"
            );
            TransportError::NotPleach { address, found }
        }
        Some(other) => TransportError::NotPleach { address, found: other.to_string() },
        None => TransportError::Unreachable { address, reason: error.to_string() },
    }
}

/// Takes the certificate that says the expected node key, or one of an authority for the host.
#[derive(Debug)]
struct Verifier {
    expected: Option<PublicKey>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = key_of(&ParsedCertificate::try_from(end_entity)?.subject_public_key_info());
        if shown.is_some_and(|key| Some(key) == self.expected && key.check().is_ok()) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authorities {
            Some(known) => {
                known.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
