//! TLS 1.3 in which both sides show their node key as a raw public key (RFC 7250), without certificates.
//!
//! The handshake proves that the peer holds its key. Whether it is the expected one is asked afterwards, where an error
//! can name both.

use std::sync::Arc;

use pleach_core::{PublicKey, SecretKey, Signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};

pub(super) use crate::identity::key_of;
use crate::identity::{NodeKey, spki};

/// The protocol inside, with its version.
const ALPN: &[u8] = b"pleach/1";

/// Takes any good Ed25519 key, strictly checked, from either side.
#[derive(Debug)]
struct AnyKey;

fn shown(certificate: &CertificateDer<'_>) -> Result<PublicKey, Error> {
    let key = key_of(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    key.check().map_err(|_| Error::InvalidCertificate(CertificateError::BadSignature))?;
    Ok(key)
}

fn signed(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let refused = || Error::InvalidCertificate(CertificateError::BadSignature);
    if signed.scheme != SignatureScheme::ED25519 {
        return Err(refused());
    }
    let signature = Signature::from_bytes(signed.signature().try_into().map_err(|_| refused())?);
    shown(certificate)?.verify(message, &signature).map_err(|_| refused())?;
    Ok(HandshakeSignatureValid::assertion())
}

fn only_tls13() -> Result<HandshakeSignatureValid, Error> {
    Err(PeerIncompatible::Tls12NotOffered.into())
}

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        shown(end_entity).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        shown(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        only_tls13()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn certified(key: &SecretKey) -> Arc<CertifiedKey> {
    shown_as(key.public(), key)
}

/// What signs with one key, and shows one that is the same unless it lies.
pub(super) fn shown_as(shown: PublicKey, key: &SecretKey) -> Arc<CertifiedKey> {
    let shown = CertificateDer::from(spki(shown));
    Arc::new(CertifiedKey::new(vec![shown], Arc::new(NodeKey(key.clone()))))
}

/// The dialling side.
pub(super) fn client(key: &SecretKey) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(key))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Each connection proves both keys anew, and nothing can be replayed.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The accepting side.
pub(super) fn server(key: &SecretKey) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(AnyKey))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(key))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}
