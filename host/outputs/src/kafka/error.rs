//! Why Kafka did not take a batch.

use std::time::Duration;

use pipeline::{Class, Classify};

use crate::secret::SecretError;
use crate::tls_client::TlsError;

/// Nothing is gained by asking sooner for what a person has to put right.
const REPAIR: Duration = Duration::from_secs(30);

/// Why Kafka did not take a batch. No text in here holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// No brokers, or one that is no address of one.
    #[error("`brokers` {reason}; a broker looks like kafka.example.org:9092")]
    Brokers {
        /// What is wrong.
        reason: &'static str,
    },
    /// Not a name that Kafka knows topics by.
    #[error("`topic` is no name of a topic: 1 to 249 letters, digits, `.`, `_` and `-`")]
    TopicName,
    /// A file without a secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// TLS options that make no connection.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No connection.
    #[error("no connection to {target}: {reason}")]
    NoConnection {
        /// The brokers.
        target: String,
        /// What happened.
        reason: String,
    },
    /// The broker is not on terms with us.
    #[error("{target} refuses us: {reason}; see `sasl`, `tls` and what the user may write")]
    Refused {
        /// The brokers.
        target: String,
        /// What it said.
        reason: String,
    },
    /// The topic is not there, or the user may not know of it.
    #[error(
        "there is no topic {topic}, or the user may not see it: make it, `cleanup.policy=compact` keeps the newest of each document"
    )]
    NoTopic {
        /// Its name.
        topic: String,
    },
    /// Not acknowledged in time, or not at all.
    #[error("no acknowledgement from {target}: {reason}")]
    NotAcknowledged {
        /// The brokers.
        target: String,
        /// What happened.
        reason: String,
    },
}

impl Classify for KafkaError {
    fn class(&self) -> Class {
        match self {
            Self::Brokers { .. } | Self::TopicName | Self::Secret(_) | Self::Tls(_) => Class::Fatal,
            Self::NoConnection { .. } | Self::NotAcknowledged { .. } => {
                Class::Transient { after: None }
            }
            Self::Refused { .. } | Self::NoTopic { .. } => Class::Transient {
                after: Some(REPAIR),
            },
        }
    }
}

/// The same at the start: what a person has to put right stops there.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct AtStart(pub(super) KafkaError);

impl Classify for AtStart {
    fn class(&self) -> Class {
        match self.0 {
            KafkaError::Refused { .. } | KafkaError::NoTopic { .. } => Class::Fatal,
            _ => self.0.class(),
        }
    }
}
