//! What the configuration says of Kafka.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use units::{ByteSize, Duration};

use crate::defaults::{thirty_seconds, thousand, yes};
use crate::lines::Common;
use crate::tls::Tls;

/// Documents produced to a topic of Kafka, keyed by their id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaOptions {
    /// Brokers to begin with, `host:port` each; the others are found through them.
    pub brokers: Vec<String>,
    /// The topic. It must be there; `cleanup.policy=compact` keeps the newest of each document.
    /// The state knows this output by its name and its topic: brokers may be added and moved; for
    /// another cluster give the output another name.
    pub topic: String,
    /// How connections are secured. Default: not at all; `tls: {}` for TLS with the
    /// certificates of the system.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Who we are. Default: nobody.
    #[serde(default)]
    pub sasl: Option<KafkaSasl>,
    /// How batches of records are compressed. Default: none.
    #[serde(default)]
    pub compression: KafkaCompression,
    /// The largest batch of records before compression; a document that is larger goes alone.
    /// Default: 900KiB (a broker takes 1MiB, `message.max.bytes`, by default).
    #[serde(default = "most_bytes")]
    pub max_bytes: ByteSize,
    /// The most records in a batch. Default: 1000.
    #[serde(default = "thousand")]
    pub max_count: NonZeroUsize,
    /// The most partitions that are produced to at once. Default: 8.
    #[serde(default = "eight")]
    pub in_flight: NonZeroUsize,
    /// How long to wait for a connection, and for the acknowledgement of a batch by all replicas
    /// in sync. Default: 30s.
    #[serde(default = "thirty_seconds")]
    pub timeout: Duration,
    /// Given, this output is optional: when it has failed for so long, the others go on without
    /// it, and it gets what it missed, by a walk of its own, when it answers again. Default: the
    /// output is required, every page waits for it.
    #[serde(default)]
    pub optional_after: Option<Duration>,
    /// Produce deletes as records without a value. Default: true.
    #[serde(default = "yes")]
    pub deletes: bool,
    /// Add `misp_ecs.{id,operation,version,mapping,digest}` to every document. Key and headers say the
    /// same. Default: true.
    #[serde(default = "yes")]
    pub envelope_field: bool,
}

/// Who we are, to Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSasl {
    /// How it is proved. Default: scram-sha-512.
    #[serde(default)]
    pub mechanism: SaslMechanism,
    /// The user's name.
    pub user: String,
    /// A file with the user's password and nothing else; it is read again after a failure.
    pub password_file: PathBuf,
}

/// How a user is proved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SaslMechanism {
    /// `SCRAM-SHA-512`.
    #[default]
    ScramSha512,
    /// `SCRAM-SHA-256`.
    ScramSha256,
    /// `PLAIN`: the password goes to the broker as it is; without `tls` anybody on the way reads
    /// it.
    Plain,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KafkaCompression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

fn most_bytes() -> ByteSize {
    ByteSize::kib(900)
}

fn eight() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(7)
}

impl KafkaOptions {
    /// This topic with every other setting at its default.
    #[must_use]
    pub fn new(brokers: impl IntoIterator<Item = String>, topic: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into_iter().collect(),
            topic: topic.into(),
            tls: None,
            sasl: None,
            compression: KafkaCompression::default(),
            max_bytes: most_bytes(),
            max_count: thousand(),
            in_flight: eight(),
            timeout: thirty_seconds(),
            optional_after: None,
            deletes: true,
            envelope_field: true,
        }
    }

    /// Every file that is named, to be resolved against the configuration's folder.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let sasl = self.sasl.iter_mut().map(|sasl| &mut sasl.password_file);
        sasl.chain(self.tls.iter_mut().flat_map(Tls::files_mut))
    }

    pub(crate) fn common(&self) -> Common {
        Common {
            deletes: self.deletes,
            envelope_field: self.envelope_field,
        }
    }
}
