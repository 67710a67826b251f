//! The configuration: one YAML file, or a few environment variables instead.
//!
//! The doc comments here are the reference: `host/CONFIG.md` is generated from them.

mod default_name;
mod load;
mod problems;
mod reference;
mod selecting;
mod static_fields;
mod unknown_keys;
mod wording;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use misp_client::{ApiKey, CursorKind};
use misp_feed::Headers;
use outputs::{DeadLetterOptions, OutputOptions};
use pipeline::Criteria;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use units::{ByteSize, Duration};

pub(crate) use default_name::default_name;
pub(crate) use load::{ConfigError, from_environment, from_file};
pub(crate) use reference::reference;
pub(crate) use static_fields::{Facts, StaticFields};
pub(crate) use unknown_keys::{nearest, nearest_or_all};

/// The configuration file of misp-ecs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The MISP instances to poll, each with its own schedule, key and state.
    pub(crate) instances: Vec<Instance>,
    /// How MISP's JSON becomes documents.
    #[serde(default)]
    pub(crate) mapping: MappingConfig,
    /// Where documents go, by a name of your choice. Each output gets every document.
    /// None given: NDJSON on stdout.
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, OutputOptions>,
    /// What survives a restart.
    #[serde(default)]
    pub(crate) state: StateConfig,
    /// Where refused input is kept.
    #[serde(default)]
    pub(crate) dead_letters: DeadLetterOptions,
    /// Fields that the host knows and adds to every document.
    #[serde(default)]
    pub(crate) static_fields: StaticFields,
    /// Limits of the mapping component.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Which documents go out again when their event is read again: `changed`, those that
    /// differ from what went out, or `all`.
    #[serde(default)]
    pub(crate) resend: Resend,
}

impl Config {
    /// The folder for temporary files, given that of the state.
    pub(crate) fn spool_folder<'c>(&'c self, state: &'c Path) -> &'c Path {
        self.state.spool_path.as_deref().unwrap_or(state)
    }
}

/// Which documents go out again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Resend {
    /// Those whose fingerprint differs from what went out.
    #[default]
    Changed,
    /// All of them.
    All,
}

/// One MISP instance.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instance {
    /// Its name in logs, reports and the state. Default: its URL without scheme, default port and
    /// trailing slash. Where several instances have the same attribute, the first in this list
    /// takes precedence: its document is delivered. `misp-ecs instance rename` keeps the state when
    /// the name changes.
    pub(crate) name: Option<String>,
    /// The base URL, such as `https://misp.example.org`. With `endpoint: feed` the address of
    /// the folder that holds `manifest.json`, or a folder of this machine, relative to this file.
    pub(crate) url: String,
    /// A file that holds the API key (`Authorization` of MISP), and nothing else; it is read
    /// again when MISP refuses the key.
    /// Not given: the environment variable `MISP_API_KEY`, or the file that
    /// `MISP_API_KEY_FILE` names.
    pub(crate) api_key_file: Option<PathBuf>,
    /// A file of headers for the server of a feed, such as `Authorization: ...`, one a line.
    /// They go to no other origin.
    pub(crate) headers_file: Option<PathBuf>,
    /// What is read: `events`, whole events with their objects, or `attributes`, loose ones:
    /// smaller answers, no names of objects; both give the same attributes. Or `feed`, a MISP
    /// feed without a server: no key, no filters, and its sweep reads every file again.
    #[serde(default)]
    pub(crate) endpoint: Endpoint,
    /// The clock that polls go by: `publish` (publish_timestamp; published events only), or
    /// `timestamp` (drafts and unpublished edits too, but it misses what keeps the time of its
    /// source, until a sweep finds it).
    #[serde(default)]
    pub(crate) cursor: CursorClock,
    /// Attributes in one answer, with the endpoint `attributes`.
    #[serde(default = "five_thousand")]
    pub(crate) attributes_page: u32,
    /// From the start of one poll to the start of the next; not 0.
    #[serde(default = "ten_minutes")]
    pub(crate) interval: Duration,
    /// How far back the first poll looks, by the time of publishing (of a feed, by the
    /// timestamps of its manifest): `all`, or a duration such as `90d`. If this or the filters
    /// change, the next start polls from the beginning and reconciles.
    #[serde(default)]
    pub(crate) lookback: Lookback,
    /// How often what went out is compared with what MISP has: what never came is fetched,
    /// what is gone is withdrawn. It lists 54 bytes an attribute; a feed is read whole. 0: never.
    #[serde(default = "a_day")]
    pub(crate) sweep: Duration,
    /// The largest share of the delivered documents, in percent, that a sweep deletes, or that
    /// expires at once, without `misp-ecs sweep --confirm`. It guards against deleting everything
    /// when MISP returns an empty result or a clock is wrong.
    #[serde(default = "twenty")]
    pub(crate) sweep_limit_percent: u8,
    /// How often everything is read again, for what moves no clock of MISP: decay scores,
    /// sightings, warninglists, local tags. Documents that did not change are not sent. 0: never.
    #[serde(default)]
    pub(crate) refresh: Duration,
    /// Events in one answer. MISP builds an answer whole before it sends the first
    /// byte; after a server error or a time-out the host halves this by itself.
    #[serde(default = "fifty")]
    pub(crate) page_size: u32,
    /// Filters of MISP's search: `tags`, `type`, `to_ids`, `threat_level_id`, `eventinfo` and so
    /// on. With `endpoint: events` they select events: `type: [ip-src]` selects each event that
    /// has an ip-src, and delivers all of its attributes (`to_ids` and `enforceWarninglist` cut
    /// them too). To select attributes use `only`, or `endpoint: attributes`, where `type`,
    /// `category`, `value`, `to_ids`, `tags`, warninglists and decay select attributes.
    #[serde(default)]
    pub(crate) filters: Map<String, Value>,
    /// Sends filters whose names misp-ecs does not know. MISP ignores those that it does not know
    /// either, and then returns everything.
    #[serde(default)]
    pub(crate) allow_unknown_filters: bool,
    /// Delivers only attributes that match every key given here. The host selects them after the
    /// mapping, for each endpoint; an attribute that no longer matches is deleted from the outputs.
    #[serde(default)]
    pub(crate) only: Option<Criteria>,
    /// Drops attributes that match any key given here.
    #[serde(default)]
    pub(crate) except: Option<Criteria>,
    /// Tags to add to every document, after MISP's own.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// How long to wait for the connection.
    #[serde(default = "ten_seconds")]
    pub(crate) connect_timeout: Duration,
    /// How long to wait for an answer: that of a whole page.
    #[serde(default = "five_minutes")]
    pub(crate) read_timeout: Duration,
    /// A proxy URL, such as `http://proxy.example.org:3128`. Not given: the
    /// variables `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`; `none` for no proxy whatever they say.
    pub(crate) proxy: Option<String>,
    /// How the connection is secured.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// The largest answer that is taken, after decompression. Default: 4GiB, for a file of a feed
    /// 256MiB.
    pub(crate) max_answer: Option<ByteSize>,
    /// The fewest bytes that an answer may bring in a second, averaged over each minute from its
    /// first byte on; a slower one is given up and asked for again. 0: any.
    #[serde(default = "a_kibibyte")]
    pub(crate) min_throughput: ByteSize,
    /// The longest time that an answer may take from its first byte to its last. 0: any.
    #[serde(default = "an_hour")]
    pub(crate) download_timeout: Duration,
    /// A file to which every request and the head of every answer is written, the
    /// key redacted. For finding out what a server does; it grows without limit.
    pub(crate) trace_file: Option<PathBuf>,
}

/// What is read from an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Endpoint {
    /// Whole events with their objects and galaxies (`events/restSearch`).
    #[default]
    Events,
    /// Loose attributes (`attributes/restSearch`).
    Attributes,
    /// A MISP feed: `manifest.json` and a file an event, by URL or folder.
    Feed,
}

/// The clock that polls go by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CursorClock {
    /// `publish_timestamp`
    #[default]
    Publish,
    /// The event's `timestamp`.
    Timestamp,
}

impl From<CursorClock> for CursorKind {
    fn from(clock: CursorClock) -> Self {
        match clock {
            CursorClock::Publish => Self::Publish,
            CursorClock::Timestamp => Self::Timestamp,
        }
    }
}

/// How far back the first poll looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Lookback {
    /// Everything that was ever published.
    #[default]
    All,
    /// What was published in this time before now.
    For(Duration),
}

impl<'de> Deserialize<'de> for Lookback {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::For).map_err(|error| {
            serde::de::Error::custom(format!("neither `all` nor a duration: {error}"))
        })
    }
}

impl JsonSchema for Lookback {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Lookback".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "default": "all" })
    }
}

/// How the connection is secured.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// Whether the server's certificate is checked. Turning it off lets anybody
    /// between you and MISP read the key.
    pub(crate) verify: bool,
    /// A PEM file with the certificate authority of the server, beside those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// A PEM file with a client certificate.
    pub(crate) client_cert_file: Option<PathBuf>,
    /// A PEM file with the key of the client certificate.
    pub(crate) client_key_file: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            verify: true,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
        }
    }
}

/// How MISP's JSON becomes documents.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MappingConfig {
    /// A mapping by name, such as `ecs-9` or `ecs-1.12`: looked for as a path if it holds a `/` or
    /// ends with `.wasm`, beside this file, beside the executable (`mappings/`), in
    /// `share/misp-ecs/mappings` of
    /// its prefix, and among those inside the executable. Default: `ecs-9`.
    pub(crate) name: Option<String>,
    /// A component file, instead of a name, or a folder of versions: the one whose name comes
    /// last, numbers compared as numbers. Relative to this file. It is watched: a new version is
    /// tried and put to work between two pages.
    pub(crate) path: Option<PathBuf>,
    /// The only digest that is put to work, `sha256:` and 64 hex digits. Default: any.
    pub(crate) digest: Option<String>,
    /// Settings of the mapping: `misp-ecs mapping info` shows which there are.
    pub(crate) settings: Map<String, Value>,
}

/// What survives a restart.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StateConfig {
    /// The folder of the state. Default: `$STATE_DIRECTORY` (systemd sets it), else
    /// `$XDG_STATE_HOME/misp-ecs`, else `~/.local/state/misp-ecs`.
    pub(crate) path: Option<PathBuf>,
    /// The folder for temporary files of answers over 16MiB. A tenth of its disk, at most 1GiB,
    /// is never filled with them. Default: the folder of the state.
    pub(crate) spool_path: Option<PathBuf>,
}

/// Limits of the mapping component. A record that passes one is refused, alone.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Memory of one instance. Default: 256MiB.
    pub(crate) memory: Option<ByteSize>,
    /// Time of one call. Default: 30s.
    pub(crate) time: Option<Duration>,
    /// Bytes that one call may return. Default: 128MiB.
    pub(crate) output: Option<ByteSize>,
}

impl MappingConfig {
    /// The only digest that is allowed, 64 lower-case hex digits.
    pub(crate) fn pin(&self) -> Option<String> {
        let pin = self.digest.as_ref()?.trim();
        Some(
            pin.strip_prefix("sha256:")
                .unwrap_or(pin)
                .to_ascii_lowercase(),
        )
    }
}

impl Instance {
    /// The name; the URL until the configuration is read whole.
    pub(crate) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.url)
    }

    /// The largest answer that is taken, bytes.
    pub(crate) fn max_answer(&self) -> u64 {
        let default = match self.endpoint {
            Endpoint::Feed => misp_feed::FEED_FILE,
            Endpoint::Events | Endpoint::Attributes => 4 << 30,
        };
        self.max_answer.map_or(default, |size| size.bytes())
    }
}

/// What an instance shows to its server.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// The key of a MISP.
    Key(ApiKey),
    /// Headers for a feed.
    Headers(Headers),
}

/// A configuration with the credentials that its instances use.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// One an instance, in order.
    pub(crate) credentials: Vec<Credential>,
    /// The folder that relative paths and mapping names are looked up in.
    pub(crate) directory: Option<PathBuf>,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

fn five_thousand() -> u32 {
    5_000
}

fn a_day() -> Duration {
    Duration::from_hours(24)
}

fn twenty() -> u8 {
    20
}

fn fifty() -> u32 {
    50
}

fn a_kibibyte() -> ByteSize {
    ByteSize::kib(1)
}

fn an_hour() -> Duration {
    Duration::from_hours(1)
}
