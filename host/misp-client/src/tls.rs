//! The HTTP client set up from the options: certificates, proxy, time-outs.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Identity, Proxy, Url, redirect};

use crate::error::OptionsError;
use crate::options::{ClientOptions, ProxyChoice, TlsOptions};

/// An idle connection is kept for the next page, not for the next poll.
const IDLE: Duration = Duration::from_secs(60);

/// The address with a slash at its end, so that paths can be joined to it.
pub(crate) fn base(url: &str) -> Result<Url, OptionsError> {
    let refuse = |shown: &str, reason: &str| OptionsError::Url {
        url: shown.to_owned(),
        reason: reason.to_owned(),
    };
    let mut base = Url::parse(url.trim()).map_err(|error| {
        // What does not parse may still hold a password.
        let shown = url.rsplit('@').next().unwrap_or_default();
        refuse(shown, &error.to_string())
    })?;
    if base.password().is_some() || !base.username().is_empty() {
        let _ = base.set_username("");
        let _ = base.set_password(None);
        return Err(refuse(
            base.as_str(),
            "it holds a user name or password, and MISP takes the API key only",
        ));
    }
    if !matches!(base.scheme(), "http" | "https") {
        return Err(refuse(url, "it begins with neither http nor https"));
    }
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(base)
}

/// By which way a server is reached, be it a MISP or one that has a feed.
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

/// The client for one instance: every request has the key and asks for JSON.
pub(crate) fn build(options: &ClientOptions, base: &Url) -> Result<reqwest::Client, OptionsError> {
    let reach = Reach {
        base,
        user_agent: &options.user_agent,
        connect_timeout: options.connect_timeout,
        read_timeout: options.read_timeout,
        proxy: &options.proxy,
        tls: &options.tls,
    };
    builder(reach)?
        .default_headers(headers(options)?)
        // MISP in maintenance redirects to its login page for ever.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| OptionsError::Setup {
            reason: innermost(&error),
        })
}

/// A client by this way, yet without headers and a policy of redirects.
///
/// # Errors
/// When the proxy, a certificate or a key file is not what it should be.
pub fn builder(reach: Reach<'_>) -> Result<reqwest::ClientBuilder, OptionsError> {
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
            builder.proxy(Proxy::all(url).map_err(|error| OptionsError::Proxy {
                reason: innermost(&error),
            })?)
        }
    };
    trust(builder, reach.tls, needs_roots(reach))
}

fn headers(options: &ClientOptions) -> Result<HeaderMap, OptionsError> {
    let mut key =
        HeaderValue::from_str(options.api_key.expose()).map_err(|error| OptionsError::Setup {
            reason: error.to_string(),
        })?;
    key.set_sensitive(true);
    let encoding = if options.gzip { "gzip" } else { "identity" };
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, key),
        // Without it MISP answers some calls, and every error, with a page for people.
        (ACCEPT, HeaderValue::from_static("application/json")),
        (ACCEPT_ENCODING, HeaderValue::from_static(encoding)),
    ]))
}

/// A plain `http` MISP reached without a proxy needs no certificates of the system, which a small
/// container may not have.
fn needs_roots(reach: Reach<'_>) -> bool {
    reach.base.scheme() == "https" || *reach.proxy != ProxyChoice::Direct
}

fn trust(
    mut builder: reqwest::ClientBuilder,
    tls: &TlsOptions,
    needs_roots: bool,
) -> Result<reqwest::ClientBuilder, OptionsError> {
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
        (None, Some(_)) => Err(OptionsError::KeyWithoutCertificate),
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

fn read(path: &Path) -> Result<Vec<u8>, OptionsError> {
    std::fs::read(path).map_err(|source| OptionsError::File {
        path: path.to_owned(),
        source,
    })
}

fn pem_error(path: &Path, what: &'static str, reason: &str) -> OptionsError {
    OptionsError::Pem {
        path: path.to_owned(),
        what,
        reason: reason.to_owned(),
    }
}

/// The text of the last cause: what really happened.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}
