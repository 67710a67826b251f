//! Documents posted to an HTTP receiver: NDJSON or a JSON array.
//!
//! Known to fit: Vector's `http_server`, Logstash's `http` input, Fluent Bit's with `preset:
//! fluent-bit`, Cribl's raw HTTP source, Tenzir's `accept_http`. A receiver acknowledges with a status of 2xx.

mod answer;
mod error;
mod headers;
mod options;
mod output;
mod request;
#[cfg(test)]
mod tests;

pub use error::HttpError;
pub use headers::HeadersError;
pub use options::{HttpCompression, HttpFormat, HttpOptions, HttpPreset};
pub use output::HttpOutput;
