//! One folder an output, and the dead letters.
//!
//! Every output folder has the same files: `options.rs` (what the configuration
//! says), `output.rs` (the [`pipeline::Output`]), `tests.rs`. A new output is a new
//! folder, a variant of [`OutputOptions`], and a line in the contract suite.

mod dead_letters;
mod elasticsearch;
pub mod envelope;
mod file;
mod http;
mod line_file;
mod lines;
mod options;
mod retry_after;
mod said;
mod stdout;
mod tls;

#[cfg(test)]
mod contract;

pub use dead_letters::{DeadLetterFile, DeadLetterOptions};
pub use elasticsearch::{
    ElasticError, ElasticMode, ElasticsearchOptions, ElasticsearchOutput, SetupReport, SetupStep,
};
pub use file::{FileOptions, FileOutput};
pub use http::{HeadersError, HttpCompression, HttpError, HttpFormat, HttpOptions, HttpOutput};
pub use line_file::{Fsync, LineFileError};
pub use options::OutputOptions;
pub use stdout::{StdoutError, StdoutOptions, StdoutOutput};
pub use tls::{Address, Tls};
