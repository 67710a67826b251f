//! The HTTP client of an instance: its address and what it asks for.

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::{Url, redirect};
use transport::{Reach, TransportError, builder, innermost};

use crate::error::OptionsError;
use crate::key::ApiKey;
use crate::options::ClientOptions;

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

/// The client for one instance: every request asks for JSON.
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
        .default_headers(headers(options))
        // MISP in maintenance redirects to its login page for ever.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| {
            let reason = innermost(&error);
            OptionsError::Transport(TransportError::Setup { reason })
        })
}

/// The key as a header, which nothing logs.
pub(crate) fn authorization(key: &ApiKey) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut header = HeaderValue::from_str(key.expose())?;
    header.set_sensitive(true);
    Ok(header)
}

fn headers(options: &ClientOptions) -> HeaderMap {
    let encoding = if options.gzip { "gzip" } else { "identity" };
    HeaderMap::from_iter([
        // Without it MISP answers some calls, and every error, with a page for people.
        (ACCEPT, HeaderValue::from_static("application/json")),
        (ACCEPT_ENCODING, HeaderValue::from_static(encoding)),
    ])
}
