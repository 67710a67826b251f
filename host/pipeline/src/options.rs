//! How an instance runs.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::BatchLimits;
use crate::plan::Resend;
use crate::retry::Backoff;
use crate::selection::Selection;

/// How an instance runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// From the start of one walk to the start of the next; `None` for one walk only.
    pub interval: Option<Duration>,
    /// How failures are tried again.
    pub backoff: Backoff,
    /// What goes through the mapping in one call.
    pub batch: BatchLimits,
    /// Which documents go out again.
    pub resend: Resend,
    /// Which attributes are delivered; the documents of the others are deleted.
    pub attributes: Arc<Selection>,
    /// How often what went out is compared with what is there; `None`: never.
    pub sweep: Option<Duration>,
    /// The largest share of what is held that a sweep withdraws without being told to, 0 to 1.
    pub sweep_share: f64,
    /// Withdraw whatever the next sweep finds, however much it is.
    pub sweep_confirmed: bool,
    /// A hash of everything that selects what is read, such as the filters. If it is another one
    /// than at the last start, everything is polled from the beginning and reconciled.
    pub selection: Option<String>,
    /// How often everything is read again, for what moves no clock; `None`: never.
    pub refresh: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: None,
            backoff: Backoff::ONE_PASS,
            batch: BatchLimits::default(),
            resend: Resend::Changed,
            attributes: Arc::default(),
            sweep: Some(Duration::from_secs(24 * 3_600)),
            sweep_share: 0.2,
            sweep_confirmed: false,
            selection: None,
            refresh: None,
        }
    }
}
