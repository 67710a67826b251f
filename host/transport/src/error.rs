//! What can be wrong with a connection's options, and what went wrong with one.

use std::path::PathBuf;

use rustls::CertificateError;

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
    find_tls(error).is_some()
}

fn find_tls<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<rustls::Error>() {
            return Some(found);
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
    None
}

/// What was wrong with a TLS connection and what to do; `None` if it was not TLS that failed.
pub fn tls_failure(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    find_tls(error).map(tls_text)
}

fn tls_text(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return match error {
            rustls::Error::InvalidMessage(_) => {
                "the server does not answer with TLS: it may speak \
                 plain http on this port; use http:// or the port of its TLS service"
                    .to_owned()
            }
            other => other.to_string(),
        };
    };
    match certificate {
        CertificateError::UnknownIssuer => "its certificate is from an authority that is not \
             trusted here: give the authority's certificate as `tls.ca_file`"
            .to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "its certificate expired on {}: the server needs a new one",
            day(not_after.as_secs())
        ),
        CertificateError::Expired => {
            "its certificate has expired: the server needs a new one".to_owned()
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "its certificate is valid from {} on: check the clocks of both machines",
            day(not_before.as_secs())
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let presented: Vec<&str> = presented.iter().map(|name| written(name)).collect();
            format!(
                "its certificate is for {}, not for {}: use a name of the certificate in the \
                 address",
                presented.join(", "),
                expected.to_str()
            )
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

/// The name in the form of the TLS library, such as `DnsName("misp.example.org")`.
fn written(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn day(seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
    let text = time.map(|time| humantime::format_rfc3339_seconds(time).to_string());
    let text = text.unwrap_or_default();
    text.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;
    use rustls::{Error, InvalidMessage};

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    }

    #[test]
    fn a_failed_handshake_says_what_to_do() {
        let certificate = |error| tls_text(&Error::InvalidCertificate(error));
        let plain = tls_text(&Error::InvalidMessage(InvalidMessage::InvalidContentType));
        assert!(plain.contains("plain http"), "{plain}");
        let unknown = certificate(CertificateError::UnknownIssuer);
        assert!(unknown.contains("`tls.ca_file`"), "{unknown}");
        let expired = certificate(CertificateError::ExpiredContext {
            time: at(1_800_000_000),
            not_after: at(1_700_000_000),
        });
        assert!(expired.contains("expired on 2023-11-14"), "{expired}");
        assert!(!expired.contains("ca_file"), "{expired}");
        let name = certificate(CertificateError::NotValidForNameContext {
            expected: "misp.example.org".try_into().unwrap(),
            presented: vec!["DnsName(\"old.example.org\")".to_owned()],
        });
        assert!(
            name.contains("for old.example.org, not for misp.example.org"),
            "{name}"
        );
    }
}
