//! How an instance runs.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::batch::BatchLimits;
use crate::retry::Backoff;

/// How an instance runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// From the start of one walk to the start of the next; `None` for one walk only.
    pub interval: Option<Duration>,
    /// How failures are tried again.
    pub backoff: Backoff,
    /// What goes through the mapping in one call.
    pub batch: BatchLimits,
    /// MISP attribute types whose values may not be written to dead letters.
    pub redact: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: None,
            backoff: Backoff::ONE_PASS,
            batch: BatchLimits::default(),
            redact: BTreeSet::new(),
        }
    }
}
