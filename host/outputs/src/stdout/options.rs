//! What the configuration says of standard output.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::lines::Common;

/// NDJSON on standard output: one document a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StdoutOptions {
    /// Write deletes as lines `{"misp_ecs":{"id","operation":"delete","version"}}`.
    /// Default: false, deletes are left out.
    pub deletes: bool,
    /// Add `misp_ecs.{id,operation,version,mapping,digest}` to every document. Default: false.
    pub envelope_field: bool,
}

impl StdoutOptions {
    pub(crate) fn common(&self) -> Common {
        Common {
            deletes: self.deletes,
            envelope_field: self.envelope_field,
        }
    }
}
