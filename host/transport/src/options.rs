//! What is to be said of a connection.

use std::fmt;
use std::path::PathBuf;

/// By which way a server is reached.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum ProxyChoice {
    /// As `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// Straight, whatever the environment says.
    Direct,
    /// Through this proxy: `http`, `https`, `socks5` or `socks5h`, a user name and password
    /// in it if need be.
    Url(String),
}

/// As in a configuration: nothing, the word `none`, or a URL.
impl From<Option<String>> for ProxyChoice {
    fn from(given: Option<String>) -> Self {
        match given {
            None => Self::Environment,
            Some(word) if word == "none" => Self::Direct,
            Some(url) => Self::Url(url),
        }
    }
}

impl fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            // It may hold a password.
            Self::Url(_) => "Url([redacted])",
        })
    }
}

/// Whom to trust, and who we are. All files are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// Is the server's certificate checked? Default on. Off, anybody on the way can read the
    /// key and forge what comes.
    pub verify: bool,
    /// Certificates to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, with those that lead to its authority.
    pub client_cert_file: Option<PathBuf>,
    /// Its key; may be in the same file as the certificate and is then left out.
    pub client_key_file: Option<PathBuf>,
}

impl TlsOptions {
    /// Every file that is named.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [
            self.ca_file.as_ref(),
            self.client_cert_file.as_ref(),
            self.client_key_file.as_ref(),
        ]
        .into_iter()
        .flatten()
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            verify: true,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
        }
    }
}
