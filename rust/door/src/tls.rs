//! TLS and mTLS with rustls and ring.

use std::error::Error;
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// PEM texts; all empty means plaintext.
pub(crate) struct Identity<'a> {
    pub cert: &'a [u8],
    pub key: &'a [u8],
    pub client_ca: &'a [u8],
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let list = list.map_err(|error| format!("{what}: not PEM: {error}"))?;
    if list.is_empty() {
        return Err(format!("{what}: no certificate in the PEM text"));
    }
    Ok(list)
}

/// None: no TLS. The client must show a certificate of `client_ca` if there is one.
pub(crate) fn acceptor(identity: &Identity) -> Result<Option<TlsAcceptor>, String> {
    if identity.cert.is_empty() {
        if !identity.key.is_empty() || !identity.client_ca.is_empty() {
            return Err("certificate: empty, but a key or a client authority is given".into());
        }
        return Ok(None);
    }
    let chain = certificates("certificate", identity.cert)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key).map_err(|error| format!("key: not PEM: {error}"))?;
    let authorities = match identity.client_ca {
        [] => Vec::new(),
        pem => certificates("client authority", pem)?,
    };
    let config = config(chain, key, authorities).map_err(|error| error.to_string())?;
    Ok(Some(Arc::new(config).into()))
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
) -> Result<ServerConfig, Box<dyn Error>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if authorities.is_empty() {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build()?)
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
