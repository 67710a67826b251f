//! Why NATS did not take a batch.

use std::path::PathBuf;
use std::time::Duration;

use pipeline::{Class, Classify};

use super::subject::SubjectError;
use crate::secret::SecretError;
use crate::tls_client::TlsError;

/// Nothing is gained by asking sooner for what a person has to put right.
const REPAIR: Duration = Duration::from_secs(30);

/// Why NATS did not take a batch. No text in here holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// No servers, or one that is no address of one.
    #[error("`servers` {reason}; a server looks like tls://nats.example.org:4222")]
    Servers {
        /// What is wrong.
        reason: &'static str,
    },
    /// Several ways to say who we are, or half a one.
    #[error(
        "give `credentials_file`, or `token_file`, or `user` and `password_file`: one of the three"
    )]
    Credentials,
    /// A file of credentials that is none.
    #[error("{} is no credentials file: it holds a user's JWT and an NKEY seed, as `nsc generate creds` writes it", path.display())]
    CredentialsFile {
        /// Which.
        path: PathBuf,
    },
    /// A file without a secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// TLS options that make no connection.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The template of the subject.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// No connection.
    #[error("no connection to {target}: {reason}")]
    NoConnection {
        /// The servers.
        target: String,
        /// What happened.
        reason: String,
    },
    /// The server, or its certificate, is not on terms with us.
    #[error(
        "{target} refuses the connection: {reason}; see the credentials, `tls` and what the user may publish"
    )]
    Refused {
        /// The servers.
        target: String,
        /// What it said.
        reason: String,
    },
    /// The server has no JetStream.
    #[error("{target} has no JetStream: messages would not be stored")]
    NoJetStream {
        /// The servers.
        target: String,
    },
    /// No stream takes the subject.
    #[error(
        "no stream takes {subject}: make one, such as `nats stream add misp-ecs --subjects 'misp-ecs.>'`"
    )]
    NoStream {
        /// The subject, or the stream's name.
        subject: String,
    },
    /// Not acknowledged in time, or not at all.
    #[error("no acknowledgement from {target}: {reason}")]
    NotAcknowledged {
        /// The servers.
        target: String,
        /// What happened.
        reason: String,
    },
}

impl Classify for NatsError {
    fn class(&self) -> Class {
        match self {
            Self::Servers { .. }
            | Self::Credentials
            | Self::CredentialsFile { .. }
            | Self::Secret(_)
            | Self::Tls(_)
            | Self::Subject(_) => Class::Fatal,
            Self::NoConnection { .. } | Self::NotAcknowledged { .. } => {
                Class::Transient { after: None }
            }
            Self::Refused { .. } | Self::NoJetStream { .. } | Self::NoStream { .. } => {
                Class::Transient {
                    after: Some(REPAIR),
                }
            }
        }
    }
}

/// The same at the start: what a person has to put right stops there.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct AtStart(pub(super) NatsError);

impl Classify for AtStart {
    fn class(&self) -> Class {
        match self.0 {
            NatsError::Refused { .. }
            | NatsError::NoJetStream { .. }
            | NatsError::NoStream { .. } => Class::Fatal,
            _ => self.0.class(),
        }
    }
}
