//! Write versions: `max(last + 1, now)`, each given out once, ever.
//!
//! A version that was given out must not be given out again after a crash, even if
//! nothing was committed with it and the clock went back meanwhile: an output may have
//! documents with it already. So the database holds a bound that no version given out
//! exceeds; giving one out beyond it raises the bound first, by a block ahead so that
//! not every page costs a write. After a crash counting goes on above the bound (at
//! most a block is left out); a clean end lowers it to the last one given out.

/// How far the bound is raised ahead of the version that needs it. Versions follow the
/// clock in milliseconds, so this is a second of pages.
pub(crate) const BLOCK: u64 = 1_000;

/// What has been given out and how far it may go without a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    /// The last one given out, or the bound after a start.
    pub(crate) last: u64,
    /// The bound as the database has it.
    pub(crate) reserved: u64,
}

impl Versions {
    pub(crate) fn after_start(reserved: u64) -> Self {
        Self {
            last: reserved,
            reserved,
        }
    }

    /// The next one at this time, UNIX milliseconds; `None` if there is none.
    pub(crate) fn next(&self, now_ms: i64) -> Option<u64> {
        let now = u64::try_from(now_ms).unwrap_or(0);
        // The bound and external versions of Elasticsearch are signed 64 bit numbers.
        let next = self.last.checked_add(1)?.max(now);
        (next <= i64::MAX as u64 - BLOCK).then_some(next)
    }

    /// The bound to store before `next` is given out; `None` if it is within.
    pub(crate) fn bound_for(&self, next: u64) -> Option<u64> {
        (next > self.reserved).then(|| next.saturating_add(BLOCK))
    }
}
