//! How many events a page asks for.

use super::finder::WalkError;

/// MISP reads a `limit` of 1 or less in ways of its own.
const SMALLEST: u32 = 2;
/// Pages that must succeed before a larger one is tried..
const GOOD_PAGES: u32 = 4;
/// ..and twice as many each time the larger one failed, up to so many.
const MOST_GOOD_PAGES: u32 = 256;

/// What a failure means for the size of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Smaller {
    /// It cannot help, or cannot be.
    No,
    /// The next try asks for less.
    Later,
    /// It does at once: what only takes too much room on our side need not wait.
    Now,
}

/// Halves when a page seems too large, and grows again when pages succeed.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageSize {
    smallest: u32,
    wanted: u32,
    now: u32,
    good: u32,
    needed: u32,
    grown: bool,
    /// Failures in a row.
    failed: u32,
}

impl PageSize {
    pub(super) fn new(wanted: u32) -> Self {
        Self::down_to(wanted, SMALLEST)
    }

    /// For what may be smaller than a page, or not as small.
    pub(super) fn down_to(wanted: u32, smallest: u32) -> Self {
        let wanted = wanted.max(smallest);
        Self {
            smallest,
            wanted,
            now: wanted,
            good: 0,
            needed: GOOD_PAGES,
            grown: false,
            failed: 0,
        }
    }

    pub(super) fn now(self) -> u32 {
        self.now
    }

    /// The page was too large, perhaps: half of it, half of that, then the smallest, so that the
    /// tries of a single pass suffice. False if it cannot be smaller.
    fn shrink(&mut self) -> bool {
        self.good = 0;
        self.failed = self.failed.saturating_add(1);
        if std::mem::take(&mut self.grown) {
            self.needed = self.needed.saturating_mul(2).min(MOST_GOOD_PAGES);
        }
        let part = match self.failed {
            1 | 2 => self.now / 2,
            _ => self.smallest,
        };
        let smaller = part.max(self.smallest);
        let shrunk = smaller < self.now;
        self.now = smaller;
        shrunk
    }

    /// [`Self::shrink`]s if that may help against the error. `what` is asked for, in the log.
    pub(super) fn smaller_after(&mut self, error: &WalkError, what: &'static str) -> Smaller {
        if !error.may_be_too_large() || !self.shrink() {
            return Smaller::No;
        }
        tracing::info!(what, at_once = self.now, %error, "trying a smaller page");
        if error.is_certain() {
            Smaller::Now
        } else {
            Smaller::Later
        }
    }

    /// A page came.
    pub(super) fn succeeded(&mut self) {
        self.failed = 0;
        self.good = self.good.saturating_add(1);
        if self.now == self.wanted || self.good < self.needed {
            return;
        }
        self.good = 0;
        self.grown = true;
        self.now = self.now.saturating_mul(2).min(self.wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinks_to_two_and_grows_back() {
        let mut size = PageSize::new(500);
        let sizes = [(); 4].map(|()| (size.shrink(), size.now()));
        assert_eq!(sizes, [(true, 250), (true, 125), (true, 2), (false, 2)]);
        let mut size = PageSize::new(9);
        assert!(size.shrink());
        assert_eq!(size.now(), 4);
        assert!(size.shrink());
        assert!(!size.shrink());
        assert_eq!(size.now(), 2);
        let mut grown = Vec::new();
        for _ in 0..16 {
            size.succeeded();
            grown.push(size.now());
        }
        assert_eq!(grown, [2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 9, 9, 9, 9, 9]);
        assert_eq!(PageSize::new(0).now(), 2);
        let mut names = PageSize::down_to(3, 1);
        assert!(names.shrink() && !names.shrink());
        assert_eq!(names.now(), 1);
    }

    #[test]
    fn a_size_that_fails_is_tried_ever_less_often() {
        let mut size = PageSize::new(8);
        size.shrink();
        let mut tries = 0;
        for _ in 0..100 {
            size.succeeded();
            if size.now() == 8 {
                tries += 1;
                size.shrink();
            }
        }
        assert_eq!(tries, 4, "after 4, 8, 16 and 32 good pages");
    }
}
