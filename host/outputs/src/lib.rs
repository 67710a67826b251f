//! One folder an output, and the dead letters.
//!
//! Every output folder has the same files: `options.rs` (what the configuration
//! says), `output.rs` (the [`pipeline::Output`]), `tests.rs`. A new output is a new
//! folder, a variant of [`OutputOptions`], and a line in the contract suite.

mod breaker;
mod dead_letters;
mod defaults;
mod elasticsearch;
pub mod envelope;
mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
mod line_file;
mod lines;
#[cfg(feature = "nats")]
mod nats;
mod options;
mod retry_after;
mod said;
mod secret;
mod stdout;
mod tls;
#[cfg(any(feature = "nats", feature = "kafka"))]
mod tls_client;

#[cfg(test)]
mod contract;

pub use dead_letters::{
    DeadLetterFile, DeadLetterOptions, LetterStanding, ReadLettersError, Replayed, each_letter,
};
pub use elasticsearch::{
    ElasticError, ElasticMode, ElasticsearchOptions, ElasticsearchOutput, SetupAct, SetupMode,
    SetupReport, SetupStep,
};
pub use file::{FileOptions, FileOutput};
pub use http::{
    HeadersError, HttpCompression, HttpError, HttpFormat, HttpOptions, HttpOutput, HttpPreset,
};
#[cfg(feature = "kafka")]
pub use kafka::{
    KafkaCompression, KafkaError, KafkaOptions, KafkaOutput, KafkaSasl, SaslMechanism,
};
pub use line_file::{FileMode, FileModeError, Fsync, LineFileError};
#[cfg(feature = "nats")]
pub use nats::{NatsError, NatsOptions, NatsOutput};
pub use options::OutputOptions;
pub use secret::SecretError;
pub use stdout::{StdoutError, StdoutOptions, StdoutOutput};
pub use tls::{Address, Tls};
#[cfg(any(feature = "nats", feature = "kafka"))]
pub use tls_client::TlsError;
