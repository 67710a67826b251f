//! What the configuration says of an HTTP receiver.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use transport::FileStamps;
use units::{ByteSize, Duration};

use crate::defaults::{ten_seconds, thousand, yes};
use crate::lines::Common;
use crate::tls::{Address, Tls};

/// Documents posted to an HTTP receiver, such as Vector, Logstash, Fluent Bit, Cribl or Tenzir.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    /// Where documents are posted to, such as `https://vector.example.org:8080/misp`. User
    /// names and passwords do not go here but into `headers_file`.
    pub url: Address,
    /// A file of headers that are sent with every request, `Name: value` a line, such as
    /// `Authorization: Bearer ...`. It is read again when it changes, and after the receiver refused
    /// it.
    #[serde(default)]
    pub headers_file: Option<PathBuf>,
    /// What the receiver is, for defaults that it takes: `fluent-bit` is Fluent Bit's `http` input,
    /// which takes `format: json` only. Default: none.
    #[serde(default)]
    pub preset: Option<HttpPreset>,
    /// How documents are put together in a request. Default: ndjson, or that of the preset.
    #[serde(default)]
    pub format: Option<HttpFormat>,
    /// How a request is compressed. Default: none.
    #[serde(default)]
    pub compression: HttpCompression,
    /// The largest request before compression; a document that is larger goes alone. Default:
    /// 2MiB (Fluent Bit takes 4MB by default).
    #[serde(default = "two_mebibytes")]
    pub max_bytes: ByteSize,
    /// The most documents in a request. Default: 1000.
    #[serde(default = "thousand")]
    pub max_count: NonZeroUsize,
    /// The most requests on their way at once; one id is never in two of them. Default: 4.
    #[serde(default = "four")]
    pub in_flight: NonZeroUsize,
    /// The largest share of the last 200 documents, or of a batch of at least 100, in percent,
    /// that the receiver may refuse for good; with more the batch does not count and comes again
    /// until less of it is refused, because the address or the format is wrong rather than the
    /// documents. Default: 50; 100 = any.
    #[serde(default = "fifty")]
    pub reject_limit_percent: u8,
    /// How the connection is secured.
    #[serde(default)]
    pub tls: Tls,
    /// A proxy's address, such as `http://proxy.example.org:3128`, or `none`. Default: as
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say.
    #[serde(default)]
    pub proxy: Option<Address>,
    /// How long to wait for a connection. Default: 10s.
    #[serde(default = "ten_seconds")]
    pub connect_timeout: Duration,
    /// How long a request may take, with its answer. Default: 60s.
    #[serde(default = "minute")]
    pub timeout: Duration,
    /// Given, this output is optional: when it has failed for so long, the others go on without
    /// it, and it gets what it missed, by a walk of its own, when it answers again. Default: the
    /// output is required, every page waits for it.
    #[serde(default)]
    pub optional_after: Option<Duration>,
    /// Send deletes as documents `{"misp_ecs":{"id","operation":"delete","version"}}`.
    /// Default: true.
    #[serde(default = "yes")]
    pub deletes: bool,
    /// Add `misp_ecs.{id,operation,version,mapping,digest}` to every document: a request that gets no
    /// answer is sent again, receivers tell by it what they have. Default: true.
    #[serde(default = "yes")]
    pub envelope_field: bool,
}

/// A receiver whose needs are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HttpPreset {
    /// Fluent Bit's `http` input: an array of documents, `application/json`.
    FluentBit,
}

/// How documents are put together in a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpFormat {
    /// One document a line, `application/x-ndjson`.
    #[default]
    Ndjson,
    /// One array of documents, `application/json`.
    Json,
}

/// How a request is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpCompression {
    /// Not at all.
    #[default]
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
    /// `Content-Encoding: zstd`.
    Zstd,
}

fn two_mebibytes() -> ByteSize {
    ByteSize::mib(2)
}

fn four() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(3)
}

fn fifty() -> u8 {
    50
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

impl HttpOptions {
    /// This receiver with every other setting at its default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Address(url.into()),
            headers_file: None,
            preset: None,
            format: None,
            compression: HttpCompression::default(),
            max_bytes: two_mebibytes(),
            max_count: thousand(),
            in_flight: four(),
            reject_limit_percent: fifty(),
            tls: Tls::default(),
            proxy: None,
            connect_timeout: ten_seconds(),
            timeout: minute(),
            optional_after: None,
            deletes: true,
            envelope_field: true,
        }
    }

    pub(crate) fn format(&self) -> HttpFormat {
        let of_preset = match self.preset {
            Some(HttpPreset::FluentBit) => HttpFormat::Json,
            None => HttpFormat::default(),
        };
        self.format.unwrap_or(of_preset)
    }

    /// What the files of certificates and headers are now.
    pub(crate) fn stamps(&self) -> FileStamps {
        let files = self.headers_file.iter().chain(self.tls.files());
        FileStamps::of(files.map(PathBuf::as_path))
    }

    /// Every file that is named, to be resolved against the configuration's folder.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.headers_file.iter_mut().chain(self.tls.files_mut())
    }

    pub(crate) fn common(&self) -> Common {
        Common {
            deletes: self.deletes,
            envelope_field: self.envelope_field,
        }
    }
}
