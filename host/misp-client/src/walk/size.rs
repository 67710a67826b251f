//! How many events a page asks for.

/// MISP reads a `limit` of 1 or less in ways of its own.
const SMALLEST: u32 = 2;
/// Pages that must succeed before a larger one is tried.
const GOOD_PAGES: u32 = 4;

/// Halves when a page seems too large, and grows again when pages succeed.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageSize {
    wanted: u32,
    now: u32,
    good: u32,
}

impl PageSize {
    pub(super) fn new(wanted: u32) -> Self {
        let wanted = wanted.max(SMALLEST);
        Self {
            wanted,
            now: wanted,
            good: 0,
        }
    }

    pub(super) fn now(self) -> u32 {
        self.now
    }

    /// The page was too large, perhaps. False if it cannot be smaller.
    pub(super) fn shrink(&mut self) -> bool {
        self.good = 0;
        let smaller = (self.now / 2).max(SMALLEST);
        let shrunk = smaller < self.now;
        self.now = smaller;
        shrunk
    }

    /// A page came. True if the next may be larger than this one.
    pub(super) fn succeeded(&mut self) -> bool {
        if self.now == self.wanted {
            return false;
        }
        self.good += 1;
        if self.good < GOOD_PAGES {
            return false;
        }
        self.good = 0;
        self.now = self.now.saturating_mul(2).min(self.wanted);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_to_two_and_grows_back() {
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
    }
}
