//! Elasticsearch 8 and 9, OpenSearch 2 and 3, through `_bulk`.

mod bulk;
mod check;
mod client;
mod credentials;
mod encode;
mod error;
mod fields;
mod inventory;
mod names;
mod options;
mod output;
mod reply;
mod setup;
mod strip;
mod target;
#[cfg(test)]
mod tests;

pub use error::ElasticError;
pub use options::{ElasticMode, ElasticsearchOptions};
pub use output::ElasticsearchOutput;
pub use setup::{SetupAct, SetupMode, SetupReport, SetupStep};
