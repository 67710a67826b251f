//! Documents produced to a topic of Kafka, keyed by their id.
//!
//! A record's value is the document; of a delete it is null, which a compacted topic keeps as a
//! tombstone. Headers: `misp_ecs.operation`, `misp_ecs.version`, `misp_ecs.mapping`. An id goes
//! to the partition to which Kafka's own clients would send it, all of what is said of it in
//! order. A batch without an answer is produced again: a consumer may see the same twice, and
//! tells by the version what is newer.

mod error;
mod murmur2;
mod options;
mod output;
mod record;
#[cfg(test)]
mod tests;

pub use error::KafkaError;
pub use options::{KafkaCompression, KafkaOptions, KafkaSasl, SaslMechanism};
pub use output::KafkaOutput;
