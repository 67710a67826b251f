//! What can go wrong between us and a feed, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use misp_client::{ClientError, TooSlow};
use pipeline::{Class, Classify};
use splitter::SplitError;
use transport::TransportError;

/// A feed, or a file of it, that could not be read. No text in here ever holds a header that was
/// sent.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Not an address.
    #[error(
        "`{url}` is no address of a feed: {reason}; it looks like https://feed.example.org/misp/ \
         and names the folder that holds manifest.json"
    )]
    Address {
        /// What was given, without user name, password and query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Setup(#[from] TransportError),
    /// A stored cursor that no feed wrote.
    #[error(
        "the stored cursor is not one of a feed ({reason}): give the instance another name or \
         remove its state to start anew"
    )]
    Cursor {
        /// What is wrong with it.
        reason: String,
    },
    /// A folder that cannot be looked into, or its manifest.
    #[error("{} cannot be read: {source}; check `url` and its permissions", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither a manifest nor, in a folder, events.
    #[error("{place} is no MISP feed: {reason}")]
    NoFeed {
        /// The address or folder.
        place: String,
        /// What was looked for, and what to do.
        reason: &'static str,
    },
    /// A manifest that is not one.
    #[error("the manifest of {place} cannot be read: {reason}; it is read again at the next try")]
    Manifest {
        /// The address or folder.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of an event is not there.
    #[error("there is no {file} in the feed")]
    Gone {
        /// Its name.
        file: String,
    },
    /// A file of the folder could not be read.
    #[error("{file} cannot be read: {source}")]
    File {
        /// Its name.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that holds no event.
    #[error("{file} holds no event: {reason}")]
    NotAnEvent {
        /// Its name.
        file: String,
        /// What it is instead, or where it is broken.
        reason: String,
    },
    /// A file that holds another event than the one it is named after.
    #[error(
        "{file} holds {found}, not the event it is named after: it is refused, because it could \
         replace an event of another source; ask the publisher of the feed to fix it"
    )]
    OtherEvent {
        /// Its name.
        file: String,
        /// What it holds.
        found: String,
    },
    /// Its bytes come too slowly.
    #[error("{file} comes too slowly: {reason}")]
    TooSlow {
        /// Its name.
        file: String,
        /// How slowly.
        reason: TooSlow,
    },
    /// A file that is not the one its manifest describes.
    #[error(
        "{file} is not the file the manifest describes: its SHA-256 is another than \
         `integrity:sha256`; the feed is being written, or its files were changed"
    )]
    Integrity {
        /// Its name.
        file: String,
    },
    /// No connection.
    #[error("{place} cannot be reached: {reason}; check the address, the network and the proxy")]
    Unreachable {
        /// The feed's address.
        place: String,
        /// What the network said.
        reason: String,
    },
    /// The two sides do not agree on who they are.
    #[error("no trusted TLS connection to {place}: {reason}")]
    Tls {
        /// The feed's address.
        place: String,
        /// What was wrong with the certificate or the handshake.
        reason: String,
    },
    /// Nothing came in time.
    #[error("nothing came of {file} in time ({seconds} s); a longer `read_timeout` may help")]
    Timeout {
        /// Its name.
        file: String,
        /// The longest silence allowed, seconds.
        seconds: u64,
    },
    /// Somebody sends us elsewhere.
    #[error(
        "{file} is redirected to {location}: redirects are followed within one origin only, at \
         most {} times; set `url` to where the feed really is",
        crate::place::REDIRECTS
    )]
    Redirected {
        /// Its name.
        file: String,
        /// Where to, without query.
        location: String,
    },
    /// 4xx: who we are or what we ask for is not accepted.
    #[error("{file} was refused with status {status}: check `url` and the headers sent with it")]
    Refused {
        /// Its name.
        file: String,
        /// The status.
        status: u16,
    },
    /// 429.
    #[error("the server of the feed limits how often it is asked; next try in {} s", wait.as_secs())]
    RateLimited {
        /// How long it asks to wait, clamped to 1 s to 1 h; 60 s if it does not say.
        wait: Duration,
    },
    /// 5xx, 408 or 425: the server gave up.
    #[error("the server of the feed failed with status {status} at {file}")]
    ServerError {
        /// Its name.
        file: String,
        /// The status.
        status: u16,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// A status nobody expects here.
    #[error("unexpected status {status} for {file}: check that `url` is a feed")]
    UnexpectedStatus {
        /// Its name.
        file: String,
        /// The status.
        status: u16,
    },
    /// More than is taken.
    #[error(
        "{file} is larger than {limit} bytes{}: a higher `max_answer` takes it (a manifest: up to 64 MiB)",
        if *unpacked { "" } else { " on the wire" }
    )]
    TooLarge {
        /// Its name.
        file: String,
        /// The limit it passed, bytes.
        limit: u64,
        /// After or before decompression?
        unpacked: bool,
    },
    /// It ended before its end.
    #[error("{file} was cut after {received} bytes: {reason}")]
    Truncated {
        /// Its name.
        file: String,
        /// Bytes that came over the wire.
        received: u64,
        /// What was missing.
        reason: String,
    },
    /// Compressed in a way we did not ask for, or wrongly.
    #[error("{file} cannot be unpacked ({encoding}): {reason}")]
    Encoding {
        /// Its name.
        file: String,
        /// `Content-Encoding`.
        encoding: String,
        /// What was wrong.
        reason: String,
    },
    /// It could not be kept on this side.
    #[error("{file} could not be kept: {reason}; check the space for temporary files")]
    Kept {
        /// Its name.
        file: String,
        /// What went wrong.
        reason: String,
    },
    /// This process is going down.
    #[error("the feed was not read to its end: {0}")]
    Reader(#[from] tokio::task::JoinError),
}

/// Whose fault it is that an event could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The event's own: trying at once again is of no use, and the others can be read.
    Event,
    /// It may be the event's: it is tried again after the others.
    Either,
    /// Not the event's: the others would fail as well.
    Feed,
}

impl FeedError {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            // Some stores of objects answer 403 where there is nothing.
            Self::Refused { status, .. } if !matches!(status, 401 | 407) => Blame::Event,
            Self::Gone { .. }
            | Self::File { .. }
            | Self::NotAnEvent { .. }
            | Self::OtherEvent { .. }
            | Self::Integrity { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Encoding { .. } => Blame::Event,
            // Small files need no disk.
            Self::Timeout { .. }
            | Self::TooSlow { .. }
            | Self::Kept { .. }
            | Self::ServerError { .. }
            | Self::UnexpectedStatus { .. }
            | Self::Truncated { .. } => Blame::Either,
            Self::Address { .. }
            | Self::Setup(_)
            | Self::Cursor { .. }
            | Self::Folder { .. }
            | Self::NoFeed { .. }
            | Self::Manifest { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::Refused { .. }
            | Self::RateLimited { .. }
            | Self::Reader(_) => Blame::Feed,
        }
    }

    /// What kept a body from being taken in. (The client's own texts speak of MISP's pages.)
    pub(crate) fn body(file: &str, error: ClientError) -> Self {
        let file = file.to_owned();
        match error {
            ClientError::TooLarge { limit, unpacked } => Self::TooLarge {
                file,
                limit,
                unpacked,
            },
            ClientError::Truncated { received, reason } => Self::Truncated {
                file,
                received,
                reason,
            },
            ClientError::Encoding { encoding, reason } => Self::Encoding {
                file,
                encoding: encoding.chars().take(40).collect(),
                reason,
            },
            other => Self::Kept {
                file,
                reason: other.to_string(),
            },
        }
    }

    pub(crate) fn split(file: &str, error: SplitError) -> Self {
        let file = file.to_owned();
        match error {
            SplitError::Io { source } => Self::Kept {
                file,
                reason: source.to_string(),
            },
            other => Self::NotAnEvent {
                file,
                reason: other.to_string(),
            },
        }
    }
}

impl Classify for FeedError {
    fn class(&self) -> Class {
        match self {
            Self::Address { .. }
            | Self::Setup(_)
            | Self::Cursor { .. }
            | Self::Folder { .. }
            | Self::NoFeed { .. }
            | Self::Tls { .. }
            | Self::Redirected { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. } => Class::Fatal,
            Self::RateLimited { wait } => Class::Transient { after: Some(*wait) },
            Self::ServerError { wait, .. } => Class::Transient { after: *wait },
            // A response we cannot parse is a failure, never an empty feed.
            Self::Manifest { .. }
            | Self::Gone { .. }
            | Self::File { .. }
            | Self::NotAnEvent { .. }
            | Self::OtherEvent { .. }
            | Self::TooSlow { .. }
            | Self::Integrity { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::UnexpectedStatus { .. }
            | Self::Truncated { .. }
            | Self::Encoding { .. }
            | Self::Kept { .. }
            | Self::Reader(_) => Class::Transient { after: None },
        }
    }
}
