//! What can go wrong between us and MISP, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use pipeline::{Class, Classify};
use splitter::SpoolError;
use transport::TransportError;

use crate::pace::TooSlow;

/// A request that brought no usable answer. No text in here ever holds the key.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection, or it broke before an answer came.
    #[error(
        "{url} cannot be reached: {reason}; check the address, the network, the proxy, and that \
         MISP runs"
    )]
    Unreachable {
        /// The instance's address.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The two sides do not agree on who they are.
    #[error("no trusted TLS connection to {url}: {reason}")]
    Tls {
        /// The instance's address.
        url: String,
        /// What was wrong with the certificate or the handshake.
        reason: String,
    },
    /// Nothing came in time.
    #[error(
        "nothing came from {url} in time ({seconds} s); MISP builds a whole page before it sends \
         any of it: a smaller `page_size` or a longer `read_timeout` helps"
    )]
    Timeout {
        /// The instance's address.
        url: String,
        /// The longest silence allowed, seconds.
        seconds: u64,
    },
    /// MISP sends everybody to its login page.
    #[error(
        "MISP is in maintenance (it redirects to its login page): wait, or set `MISP.live` there"
    )]
    Maintenance,
    /// Somebody sends us elsewhere.
    #[error("{url} redirects to {location}: set `url` to where MISP really is")]
    Redirected {
        /// The instance's address.
        url: String,
        /// Where to, without query.
        location: String,
    },
    /// 401 or 403.
    #[error(
        "MISP refused the API key ({status}): {message}; make a key for an enabled user with API \
         access, not expired and not limited to other addresses"
    )]
    KeyRefused {
        /// 401 or 403.
        status: u16,
        /// What MISP said.
        message: String,
    },
    /// 429.
    #[error(
        "MISP limits how often this key may search; next try in {} s", wait.as_secs()
    )]
    RateLimited {
        /// How long MISP asks to wait, clamped to 1 s to 1 h.
        wait: Duration,
    },
    /// 5xx: MISP, PHP or the web server before them gave up.
    #[error(
        "MISP failed with status {status}: {message}; if it stays, look into MISP's error log; \
         where a page is too large for PHP's memory or time, a smaller `page_size` helps"
    )]
    ServerError {
        /// The status.
        status: u16,
        /// What it said.
        message: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// Another 4xx: the request itself is wrong.
    #[error("MISP refused the request ({status}): {message}; check `filters` and `url`")]
    RequestRefused {
        /// The status.
        status: u16,
        /// What MISP said.
        message: String,
    },
    /// A status nobody expects here.
    #[error("unexpected answer of status {status}: check that `url` is a MISP")]
    UnexpectedStatus {
        /// The status.
        status: u16,
    },
    /// 200, but a page for people.
    #[error(
        "the answer is {content_type}, not {wanted}, and begins with {snippet:?}: check that `url` \
         is a MISP and that no proxy or login page stands before it"
    )]
    OtherForm {
        /// What it should be.
        wanted: &'static str,
        /// What it says it is.
        content_type: String,
        /// How it begins.
        snippet: String,
    },
    /// A small answer that is no JSON, or not of the shape it has in MISP.
    #[error("the answer of {path} is not what MISP sends: {reason}")]
    Unreadable {
        /// Which call.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More than is taken.
    #[error(
        "the answer is larger than {limit} bytes {}: a smaller `page_size` or a higher limit helps",
        if *unpacked { "unpacked" } else { "on the wire" }
    )]
    TooLarge {
        /// The limit it passed, bytes.
        limit: u64,
        /// After or before decompression?
        unpacked: bool,
    },
    /// Its bytes come too slowly.
    #[error("the answer comes too slowly: {0}")]
    TooSlow(#[source] TooSlow),
    /// It ended before its end.
    #[error("the answer was cut after {received} bytes: {reason}")]
    Truncated {
        /// Bytes that came over the wire.
        received: u64,
        /// What was missing.
        reason: String,
    },
    /// Compressed in a way we did not ask for, or wrongly.
    #[error("the answer cannot be unpacked ({encoding}): {reason}; `gzip: false` avoids it")]
    Encoding {
        /// `Content-Encoding`.
        encoding: String,
        /// What was wrong.
        reason: String,
    },
    /// It could not be kept on this side.
    #[error("the answer could not be kept: {0}; check the space for temporary files")]
    Spool(#[source] SpoolError),
}

impl Classify for ClientError {
    fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Maintenance
            | Self::OtherForm { .. }
            | Self::Unreadable { .. }
            | Self::UnexpectedStatus { .. }
            | Self::Truncated { .. }
            | Self::TooSlow(_)
            | Self::Encoding { .. }
            | Self::Spool(_) => Class::Transient { after: None },
            Self::RateLimited { wait } => Class::Transient { after: Some(*wait) },
            Self::ServerError { wait, .. } => Class::Transient { after: *wait },
            Self::Tls { .. }
            | Self::Redirected { .. }
            | Self::KeyRefused { .. }
            | Self::RequestRefused { .. }
            | Self::TooLarge { .. } => Class::Fatal,
        }
    }
}

impl ClientError {
    /// May a page of fewer events succeed where this one did not?
    pub(crate) fn may_be_too_large(&self) -> bool {
        matches!(
            self,
            Self::ServerError { .. }
                | Self::Timeout { .. }
                | Self::TooLarge { .. }
                | Self::Truncated { .. }
                | Self::Encoding { .. }
                | Self::OtherForm { .. }
                | Self::Spool(_)
                | Self::TooSlow(_)
        )
    }
}

/// Options a client cannot be made of.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Not an address.
    #[error(
        "`{url}` is not a MISP URL: {reason}; it needs https:// in front, such as \
         https://misp.example.org"
    )]
    Url {
        /// What was given, without user name and password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection cannot be made so.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// `trace_file` cannot be written.
    #[error("the trace {} cannot be written: {source}", path.display())]
    Trace {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key is no header.
    #[error("the API key cannot be sent: {reason}")]
    Key {
        /// What is wrong with it.
        reason: String,
    },
}

impl Classify for OptionsError {
    fn class(&self) -> Class {
        Class::Fatal
    }
}
