//! What can be wrong with a connection's options, and what went wrong with one.

use std::path::PathBuf;

/// Options that make no connection. No text in here holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Not a proxy's address. The address is not repeated: it may hold a password.
    #[error(
        "`proxy` is no address of a proxy: {reason}; it looks like http://proxy.example.org:3128"
    )]
    Proxy {
        /// What is wrong with it.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is read but is not what it should be.
    #[error("{} holds no {what}: {reason}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A key without a certificate.
    #[error("`tls.client_key_file` is given without `tls.client_cert_file`: give both")]
    KeyWithoutCertificate,
    /// The TLS library has nothing to trust, or the like.
    #[error(
        "the HTTP client cannot be set up: {reason}; if no certificates are installed, install \
         them (ca-certificates) or give `tls.ca_file`"
    )]
    Setup {
        /// What it said.
        reason: String,
    },
}

/// The text of the last cause: what really happened.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

/// Is one of the causes an error of the TLS library?
pub fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if current.is::<rustls::Error>() {
            return true;
        }
        // The source of an I/O error is that of the error inside it, which it thus skips.
        let inside = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause = match inside {
            Some(inside) => Some(inside),
            None => current.source(),
        };
    }
    false
}
