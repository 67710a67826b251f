//! An output of a pipeline, and whether the others wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::memory::OutputKey;
use crate::traits::Output;

/// An output, and whether the others wait for it.
pub struct Sink {
    pub(crate) output: Arc<dyn Output>,
    pub(crate) key: OutputKey,
    /// How long it may fail until the others go on without it; `None`: they wait for ever.
    pub(crate) optional_after: Option<Duration>,
    /// It lacks what the others have got, and gets nothing until it has caught up.
    behind: AtomicBool,
    /// Did it fail when it was written to last? Shared with the sink that catches up.
    failing: Arc<AtomicBool>,
}

impl Sink {
    /// One that every page waits for.
    pub fn required(output: Arc<dyn Output>) -> Self {
        Self::new(output, None)
    }

    /// One that the others leave behind when it has failed for so long.
    pub fn optional(output: Arc<dyn Output>, after: Duration) -> Self {
        Self::new(output, Some(after))
    }

    fn new(output: Arc<dyn Output>, optional_after: Option<Duration>) -> Self {
        Self {
            key: OutputKey::of(&*output),
            output,
            optional_after,
            behind: AtomicBool::new(false),
            failing: Arc::default(),
        }
    }

    /// The same output, to catch up with a walk of its own.
    pub(crate) fn alone(&self) -> Self {
        Self {
            failing: Arc::clone(&self.failing),
            ..Self::new(Arc::clone(&self.output), self.optional_after)
        }
    }

    /// How long the others wait now for it to take what it gets; `None`: for ever. One that failed
    /// the last time gets one try: the others have waited before.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let after = self.optional_after?;
        let failing = self.failing.load(Ordering::Relaxed);
        Some(if failing { Duration::ZERO } else { after })
    }

    /// Notes whether it took what it got.
    pub(crate) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    pub(crate) fn is_optional(&self) -> bool {
        self.optional_after.is_some()
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    pub(crate) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Relaxed);
    }
}
