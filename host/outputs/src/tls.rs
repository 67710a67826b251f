//! What the configuration says of a connection that several outputs make alike.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// How a connection is secured. All files are PEM and read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Is the receiver's certificate checked? Default: true. Off, anybody on the way can
    /// read the credentials.
    pub verify: bool,
    /// A file with certificates to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// A file with our own certificate and those that lead to its authority.
    pub client_cert_file: Option<PathBuf>,
    /// A file with its key. Default: it is in the certificate's file.
    pub client_key_file: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            verify: true,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
        }
    }
}

impl Tls {
    pub(crate) fn transport(&self) -> transport::TlsOptions {
        transport::TlsOptions {
            verify: self.verify,
            ca_file: self.ca_file.clone(),
            client_cert_file: self.client_cert_file.clone(),
            client_key_file: self.client_key_file.clone(),
        }
    }

    /// Every file that is named.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca_file, &self.client_cert_file, &self.client_key_file]
            .into_iter()
            .flatten()
    }

    /// Every file that is named, to be resolved against the configuration's folder.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [
            self.ca_file.as_mut(),
            self.client_cert_file.as_mut(),
            self.client_key_file.as_mut(),
        ]
        .into_iter()
        .flatten()
    }
}

/// An address that may hold a password or a token: `Debug` shows scheme, host, port and path.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Address(pub String);

impl Address {
    /// Without user name, password, query and fragment; `?` if it is no address.
    pub(crate) fn shown(&self) -> String {
        let Ok(mut url) = Url::parse(&self.0) else {
            return "?".to_owned();
        };
        url.set_query(None);
        url.set_fragment(None);
        // Fails for what has no host, which has neither of them.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.to_string()
    }
}

impl Address {
    /// What tells it from other addresses: as it is shown, and a hash of its query, which may hold
    /// a secret.
    pub(crate) fn identity(&self) -> String {
        let shown = self.shown();
        let url = Url::parse(&self.0).ok();
        match url.as_ref().and_then(Url::query) {
            None => shown,
            Some(query) => {
                let digest = Sha256::digest(query);
                let hash: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
                format!("{shown}?{hash}")
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_query_is_another_address() {
        let identity = |text: &str| Address(text.to_owned()).identity();
        let a = identity("https://example.org/x?index=a");
        assert_ne!(a, identity("https://example.org/x?index=b"));
        assert_ne!(a, identity("https://example.org/x"));
        assert_eq!(a, identity("https://example.org/x?index=a#y"));
    }

    #[test]
    fn an_address_shows_no_secret() {
        for (given, shown) in [
            (
                "https://u:canary@example.org:8443/a?key=canary#canary",
                "https://example.org:8443/a",
            ),
            ("canary", "?"),
            ("mailto:x", "mailto:x"),
        ] {
            assert_eq!(Address(given.to_owned()).shown(), shown);
            assert!(!Address(given.to_owned()).identity().contains("canary"));
            assert_eq!(
                format!("{:?}", Address(given.to_owned())),
                format!("{shown:?}")
            );
        }
    }
}
