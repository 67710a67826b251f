//! The HTTP client set up: certificates, proxy, time-outs.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Identity, Proxy, Url};

use crate::error::{TransportError, innermost};
use crate::options::{ProxyChoice, TlsOptions};

/// An idle connection is kept for the next page or batch, not for the next poll.
const IDLE: Duration = Duration::from_secs(60);

/// By which way a server is reached, be it a MISP, one that has a feed, or one that takes documents.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a> {
    /// Its address.
    pub base: &'a Url,
    /// The header `User-Agent`.
    pub user_agent: &'a str,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long nothing may come.
    pub read_timeout: Duration,
    /// By which way.
    pub proxy: &'a ProxyChoice,
    /// Whom to trust, and who we are.
    pub tls: &'a TlsOptions,
}

/// A client by this way, yet without headers and a policy of redirects.
///
/// # Errors
/// When the proxy, a certificate or a key file is not what it should be.
pub fn builder(reach: Reach<'_>) -> Result<reqwest::ClientBuilder, TransportError> {
    // Fails only if there is a provider already, which then is the one in use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(reach.user_agent)
        .connect_timeout(reach.connect_timeout)
        .read_timeout(reach.read_timeout)
        .pool_idle_timeout(IDLE);
    let builder = match reach.proxy {
        ProxyChoice::Environment => builder,
        ProxyChoice::Direct => builder.no_proxy(),
        ProxyChoice::Url(url) => {
            builder.proxy(Proxy::all(url).map_err(|error| TransportError::Proxy {
                reason: innermost(&error),
            })?)
        }
    };
    trust(builder, reach.tls, needs_roots(reach))
}

/// A plain `http` server reached without a proxy needs no certificates of the system, which a small
/// container may not have.
fn needs_roots(reach: Reach<'_>) -> bool {
    reach.base.scheme() == "https" || *reach.proxy != ProxyChoice::Direct
}

fn trust(
    mut builder: reqwest::ClientBuilder,
    tls: &TlsOptions,
    needs_roots: bool,
) -> Result<reqwest::ClientBuilder, TransportError> {
    if !tls.verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    match &tls.ca_file {
        Some(path) => {
            let pem = read(path)?;
            let authorities = Certificate::from_pem_bundle(&pem)
                .map_err(|error| pem_error(path, "certificate", &innermost(&error)))?;
            if authorities.is_empty() {
                return Err(pem_error(
                    path,
                    "certificate",
                    "there is no PEM block in it",
                ));
            }
            builder = builder.tls_certs_merge(authorities);
        }
        None if !needs_roots => builder = builder.tls_certs_only([]),
        None => {}
    }
    match (&tls.client_cert_file, &tls.client_key_file) {
        (None, None) => Ok(builder),
        (None, Some(_)) => Err(TransportError::KeyWithoutCertificate),
        (Some(certificate), key) => {
            let mut pem = read(certificate)?;
            if let Some(key) = key {
                pem.push(b'\n');
                pem.extend(read(key)?);
            }
            let identity = Identity::from_pem(&pem).map_err(|error| {
                pem_error(certificate, "certificate and key", &innermost(&error))
            })?;
            Ok(builder.identity(identity))
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|source| TransportError::File {
        path: path.to_owned(),
        source,
    })
}

fn pem_error(path: &Path, what: &'static str, reason: &str) -> TransportError {
    TransportError::Pem {
        path: path.to_owned(),
        what,
        reason: reason.to_owned(),
    }
}
