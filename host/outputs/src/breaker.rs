//! Stops an output before it fills the dead letters: when most of what it was sent lately is
//! refused, the documents are hardly to blame.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use pipeline::Verdict;

/// Verdicts that are looked back on. A larger batch is judged by itself.
const LAST: usize = 200;
/// Fewer verdicts say nothing.
const LEAST: usize = 100;

/// Counts the refusals among the last verdicts, over batches: a poll may bring few documents.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Of the last verdicts, which were refusals.
    refused: VecDeque<bool>,
    /// Is what comes judged by itself, because too much was refused before it?
    open: bool,
}

/// Too much was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) rejected: usize,
    pub(crate) total: usize,
    /// The first reason in the batch.
    pub(crate) first: String,
}

impl Breaker {
    /// Counts the verdicts of a batch; those of a batch that is not accepted do not count, since
    /// it comes again. `percent`: the largest share that may be refused; 100 accepts everything.
    ///
    /// Once a batch was not accepted, the next ones are judged by themselves until one is: after
    /// the fault is fixed nothing has to be restarted.
    pub(crate) fn judge(&self, verdicts: &[Verdict], percent: u8) -> Result<(), TooMany> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Rejected { text } => Some(Some(text)),
            Verdict::Unchanged | Verdict::Skipped => None,
            Verdict::Stored | Verdict::Duplicate | Verdict::Stale => Some(None),
        });
        let refusals: Vec<Option<&String>> = refusals.collect();
        let earlier = if state.open || refusals.len() >= LEAST {
            0
        } else {
            state.refused.len().min(LAST.saturating_sub(refusals.len()))
        };
        let of_before = state.refused.iter().rev().take(earlier);
        let rejected =
            of_before.filter(|refused| **refused).count() + refusals.iter().flatten().count();
        let total = earlier + refusals.len();
        let enough = state.open || total >= LEAST;
        let too_many = enough && percent < 100 && rejected * 100 > total * usize::from(percent);
        if let (true, Some(first)) = (too_many, refusals.iter().flatten().next()) {
            state.open = true;
            state.refused.clear();
            return Err(TooMany {
                rejected,
                total,
                first: (*first).clone(),
            });
        }
        if !refusals.is_empty() {
            state.open = false;
        }
        state.refused.extend(refusals.iter().map(Option::is_some));
        let spare = state.refused.len().saturating_sub(LAST);
        state.refused.drain(..spare);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(rejected: usize, stored: usize) -> Vec<Verdict> {
        let text = "no such field".to_owned();
        let mut verdicts = vec![Verdict::Rejected { text }; rejected];
        verdicts.extend(vec![Verdict::Stored; stored]);
        verdicts
    }

    #[test]
    fn small_batches_count_together_and_a_fix_needs_no_restart() {
        let breaker = Breaker::default();
        for _ in 0..19 {
            assert_eq!(breaker.judge(&verdicts(5, 0), 50), Ok(()));
        }
        let too_many = breaker.judge(&verdicts(5, 0), 50).unwrap_err();
        assert_eq!((too_many.rejected, too_many.total), (100, 100));
        // It comes again, and is refused again, alone.
        let too_many = breaker.judge(&verdicts(5, 0), 50).unwrap_err();
        assert_eq!((too_many.rejected, too_many.total), (5, 5));
        // Then somebody has fixed the index.
        assert_eq!(breaker.judge(&verdicts(1, 4), 50), Ok(()));
        assert_eq!(breaker.judge(&verdicts(5, 0), 50), Ok(()));
    }

    #[test]
    fn refusals_among_many_good_documents_are_dead_letters() {
        let breaker = Breaker::default();
        assert_eq!(breaker.judge(&verdicts(0, 5_000), 50), Ok(()));
        assert_eq!(breaker.judge(&verdicts(99, 0), 50), Ok(()));
        assert_eq!(breaker.judge(&verdicts(0, 1), 50), Ok(()));
        assert_eq!(breaker.judge(&verdicts(50, 50), 50), Ok(()));
        assert_eq!(breaker.judge(&verdicts(99, 0), 100), Ok(()));
        assert!(breaker.judge(&verdicts(51, 49), 50).is_err());
    }
}
