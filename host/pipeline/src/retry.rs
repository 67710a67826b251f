//! How long to wait before the next try.

use std::time::Duration;

use crate::error::{Class, Classify};

/// Waits that double up to a cap, with jitter so that many hosts do not return at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait, before jitter.
    pub first: Duration,
    /// No wait is longer, before a longer one that the other side asked for.
    pub cap: Duration,
    /// Tries in a row before giving up; `None` never gives up.
    pub attempts: Option<u32>,
}

/// No server may make the host wait longer than this: a wrong header must not stop it for days.
const LONGEST_HINT: Duration = Duration::from_secs(3_600);

/// The shortest wait before what a person has to put right is tried again.
const REPAIR: Duration = Duration::from_secs(5);

impl Backoff {
    /// For a service: 1 s to 60 s, for ever.
    pub const SERVICE: Self = Self {
        first: Duration::from_secs(1),
        cap: Duration::from_secs(60),
        attempts: None,
    };

    /// For one pass: the caller wants an answer, so five tries (about 15 s) and then the error.
    pub const ONE_PASS: Self = Self {
        first: Duration::from_secs(1),
        cap: Duration::from_secs(60),
        attempts: Some(5),
    };

    /// The wait after the `failed`th failure in a row (from 1): between half and all
    /// of the doubled time, and never less than what the other side asked for.
    /// `None` when it is time to give up.
    pub fn wait(&self, failed: u32, after: Option<Duration>) -> Option<Duration> {
        if self.attempts.is_some_and(|attempts| failed >= attempts) {
            return None;
        }
        let doubled = self
            .first
            .saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1)))
            .min(self.cap);
        let half = doubled / 2;
        let jittered = half + half.mul_f64(fastrand::f64());
        let asked = after.unwrap_or_default().min(LONGEST_HINT);
        Some(jittered.max(asked))
    }
}

/// What the other side asked to wait, if the error says so.
pub(crate) fn hint(error: &impl Classify) -> Option<Duration> {
    match error.class() {
        Class::Transient { after } => after,
        // Somebody has to put it right: asking more often does not help.
        Class::Fatal => Some(REPAIR),
        Class::Permanent => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_between_half_and_all_of_the_doubled_time(failed in 1_u32..40) {
            let doubled = Duration::from_secs(1_u64.checked_shl(failed - 1).unwrap_or(u64::MAX).min(60));
            let wait = Backoff::SERVICE.wait(failed, None).unwrap();
            prop_assert!(wait >= doubled / 2 && wait <= doubled, "{failed}: {wait:?}");
        }
    }

    #[test]
    fn the_other_side_may_ask_for_more_but_not_for_days() {
        let hour = Duration::from_secs(3_600);
        let ask = |seconds| Backoff::SERVICE.wait(1, Some(Duration::from_secs(seconds)));
        assert_eq!(ask(300), Some(Duration::from_secs(300)));
        assert_eq!(ask(900_000), Some(hour));
    }

    #[test]
    fn one_pass_gives_up_after_five_tries() {
        assert!(Backoff::ONE_PASS.wait(4, None).is_some());
        assert_eq!(Backoff::ONE_PASS.wait(5, None), None);
    }
}
