//! Documents published to a stream of NATS JetStream.
//!
//! A message is a document, or for a delete `{"misp_ecs":{"id","operation":"delete","version"}}`,
//! so that a consumer that reads no headers can follow. Headers: `Nats-Msg-Id`,
//! `Misp-Ecs-Id`, `Misp-Ecs-Operation`, `Misp-Ecs-Version`, `Misp-Ecs-Mapping`.

mod error;
mod message;
mod options;
mod output;
mod subject;
#[cfg(test)]
mod tests;
mod unrepeated;

pub use error::NatsError;
pub use options::NatsOptions;
pub use output::NatsOutput;
