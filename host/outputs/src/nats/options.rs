//! What the configuration says of NATS.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use units::Duration;

use crate::defaults::{ten_seconds, thirty_seconds, thousand, yes};
use crate::lines::Common;
use crate::tls::{Address, Tls};

/// Documents published to a stream of NATS JetStream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsOptions {
    /// The servers of the cluster, such as `tls://nats.example.org:4222`; `tls://` demands TLS,
    /// `nats://` uses it if the server wants it. Others of the cluster are found by themselves.
    pub servers: Vec<Address>,
    /// The subject of a message, which a stream must take. May hold `{mapping}`, `{dataset}`,
    /// `{operation}` (`put`, `delete`), `{event}` and `{id}`; what a subject cannot hold becomes
    /// `_` in them, and so does what is empty. Default: `misp-ecs.{mapping}.{operation}`.
    #[serde(default = "subject")]
    pub subject: String,
    /// The stream that must take the messages; another one that takes the subject refuses them.
    /// It is looked for at the start and before each poll, which needs the permission to ask for
    /// its state: one that was deleted and made again, or is on another cluster, gets everything
    /// again. Default: any.
    /// The state knows this output by its name, subject and stream: servers may be added and moved;
    /// for another cluster give `stream`, or give the output another name.
    #[serde(default)]
    pub stream: Option<String>,
    /// A credentials file (`.creds`) with a user's JWT and key. It is read again when it changes.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    /// A file with a token and nothing else; it is read for every connection.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// A user name; goes with `password_file`.
    #[serde(default)]
    pub user: Option<String>,
    /// A file with the user's password and nothing else; it is read for every connection.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// How connections are secured.
    #[serde(default)]
    pub tls: Tls,
    /// How long to wait for a connection. Default: 10s.
    #[serde(default = "ten_seconds")]
    pub connect_timeout: Duration,
    /// How long to wait for the acknowledgement of a message. Default: 30s.
    #[serde(default = "thirty_seconds")]
    pub timeout: Duration,
    /// The most messages that wait for their acknowledgement. Default: 1000.
    #[serde(default = "thousand")]
    pub in_flight: NonZeroUsize,
    /// Given, this output is optional: when it has failed for so long, the others go on without
    /// it, and it gets what it missed, by a walk of its own, when it answers again. Default: the
    /// output is required, every page waits for it.
    #[serde(default)]
    pub optional_after: Option<Duration>,
    /// Publish deletes as `{"misp_ecs":{"id","operation":"delete","version"}}`. Default: true.
    #[serde(default = "yes")]
    pub deletes: bool,
    /// Add `misp_ecs.{id,operation,version,mapping,digest}` to every document. The headers say the
    /// same. Default: true.
    #[serde(default = "yes")]
    pub envelope_field: bool,
}

fn subject() -> String {
    "misp-ecs.{mapping}.{operation}".to_owned()
}

impl NatsOptions {
    /// These servers with every other setting at its default.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = String>) -> Self {
        Self {
            servers: servers.into_iter().map(Address).collect(),
            subject: subject(),
            stream: None,
            credentials_file: None,
            token_file: None,
            user: None,
            password_file: None,
            tls: Tls::default(),
            connect_timeout: ten_seconds(),
            timeout: thirty_seconds(),
            in_flight: thousand(),
            optional_after: None,
            deletes: true,
            envelope_field: true,
        }
    }

    /// The files that are read once for a connection.
    pub(crate) fn renewable_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.credentials_file.iter().chain(self.tls.files())
    }

    /// Every file that is named, to be resolved against the configuration's folder.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.credentials_file
            .iter_mut()
            .chain(self.token_file.iter_mut())
            .chain(self.password_file.iter_mut())
            .chain(self.tls.files_mut())
    }

    pub(crate) fn common(&self) -> Common {
        Common {
            deletes: self.deletes,
            envelope_field: self.envelope_field,
        }
    }
}
