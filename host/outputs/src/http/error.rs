//! Why a receiver did not take a batch.

use std::time::Duration;

use pipeline::{Class, Classify};
use reqwest::StatusCode;
use transport::TransportError;

use super::headers::HeadersError;

/// Nothing is gained by asking sooner for what a person has to put right.
const REPAIR: Duration = Duration::from_secs(30);

/// Why a receiver did not take a batch. No text in here holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not an address that can be posted to. It is not repeated: it may hold a secret.
    #[error("`url` is no address to post to: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// The headers of the file cannot be sent.
    #[error(transparent)]
    Headers(#[from] HeadersError),
    /// TLS or proxy options that make no connection.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The receiver's certificate, or ours, is not accepted.
    #[error("no secure connection to {target}: {reason}")]
    Tls {
        /// The receiver.
        target: String,
        /// What the TLS library said.
        reason: String,
    },
    /// No answer: no connection, a cut one, or none in time.
    #[error("no answer from {target}: {reason}")]
    NoAnswer {
        /// The receiver.
        target: String,
        /// What happened.
        reason: String,
    },
    /// It cannot take documents at the moment.
    #[error("{target} answered {status}: {text}")]
    Busy {
        /// The receiver.
        target: String,
        /// 408, 425, 429 or 5xx.
        status: StatusCode,
        /// Its words, cut.
        text: String,
        /// What it asked to wait.
        after: Option<Duration>,
    },
    /// The credentials, the address or the format is wrong: no document's fault.
    #[error(
        "{target} answered {status}: {text}; see `url`, `headers_file`, `format`, `compression` and `proxy`"
    )]
    Refused {
        /// The receiver, or a proxy before it.
        target: String,
        /// 3xx, 401, 403, 404 and the like.
        status: StatusCode,
        /// Its words, cut.
        text: String,
    },
    /// A page for a person instead of an acknowledgement.
    #[error(
        "{target} answered {status} with an HTML page: a login page or a proxy, not a receiver"
    )]
    Html {
        /// Who answered.
        target: String,
        /// 2xx.
        status: StatusCode,
    },
    /// So much is refused that it is hardly the documents' fault.
    #[error(
        "{target} refuses {rejected} of {of} documents for good, more than `reject_limit_percent`; the last time it said: {text}"
    )]
    TooManyRejected {
        /// The receiver.
        target: String,
        /// How many, until it was given up.
        rejected: usize,
        /// Of how many.
        of: usize,
        /// Its words, cut.
        text: String,
    },
    /// Compressing ended without a result.
    #[error("putting a request together was interrupted: the batch comes again")]
    Interrupted,
}

impl Classify for HttpError {
    fn class(&self) -> Class {
        match self {
            Self::Url { .. } | Self::Headers(_) | Self::Transport(_) => Class::Fatal,
            Self::Busy { after, .. } => Class::Transient { after: *after },
            Self::NoAnswer { .. } | Self::Interrupted => Class::Transient { after: None },
            Self::Tls { .. }
            | Self::Refused { .. }
            | Self::Html { .. }
            | Self::TooManyRejected { .. } => Class::Transient {
                after: Some(REPAIR),
            },
        }
    }
}

/// The same at the start: what a person has to put right stops there.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct AtStart(pub(super) HttpError);

impl Classify for AtStart {
    fn class(&self) -> Class {
        match self.0 {
            HttpError::Tls { .. } | HttpError::Refused { .. } | HttpError::Html { .. } => {
                Class::Fatal
            }
            _ => self.0.class(),
        }
    }
}
