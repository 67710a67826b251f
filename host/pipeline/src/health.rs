//! How an instance is doing: one slot for each stage, so that a stage that works hides no other
//! that fails.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::clock::now_ms;

/// How an instance is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "status")]
pub enum Health {
    /// Nothing has been tried yet.
    #[default]
    Starting,
    /// The last try of everything succeeded.
    Running,
    /// Something fails and is tried again.
    Degraded {
        /// The stage that failed last: `source`, `events`, `sweep`, `mapping`, `output NAME`,
        /// `dead letters`, `state`.
        stage: String,
        /// Its error.
        error: String,
        /// Every stage that fails, that one among them.
        failing: Vec<Failure>,
    },
    /// It has stopped.
    Failed {
        /// Why.
        error: String,
    },
}

/// A stage that fails, or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which stage.
    pub stage: String,
    /// Its last error.
    pub error: String,
    /// When it began to fail, UNIX milliseconds.
    pub since_ms: i64,
    /// When it failed last, UNIX milliseconds.
    pub at_ms: i64,
    /// Attempts in a row that failed.
    pub attempts: u32,
    /// When it is tried again, UNIX milliseconds; `None` if it is not, or with the next poll.
    pub again_ms: Option<i64>,
    /// When it worked again, UNIX milliseconds; `None` if it still fails.
    pub ended_ms: Option<i64>,
}

/// The slots of one instance.
#[derive(Debug, Default)]
pub(crate) struct Slots(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    worked: bool,
    failing: BTreeMap<String, Failure>,
    last: Option<Failure>,
    failed: Option<String>,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in between leaves plain facts behind: nothing to protect.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn health(&self) -> Health {
        let inner = self.lock();
        if let Some(error) = &inner.failed {
            let error = error.clone();
            return Health::Failed { error };
        }
        let failing: Vec<Failure> = inner.failing.values().cloned().collect();
        match failing.iter().max_by_key(|failure| failure.at_ms) {
            Some(last) => Health::Degraded {
                stage: last.stage.clone(),
                error: last.error.clone(),
                failing,
            },
            None if inner.worked => Health::Running,
            None => Health::Starting,
        }
    }

    /// The last failure of any stage, over or not.
    pub(crate) fn last(&self) -> Option<Failure> {
        self.lock().last.clone()
    }

    /// A stage failed once more. Returns whether it worked before.
    pub(crate) fn fails(&self, stage: &str, error: &str, again_ms: Option<i64>) -> bool {
        let mut inner = self.lock();
        let now = now_ms();
        let before = inner.failing.get(stage);
        let is_new = before.is_none();
        let failure = Failure {
            stage: stage.to_owned(),
            error: error.to_owned(),
            since_ms: before.map_or(now, |before| before.since_ms),
            at_ms: now,
            attempts: before.map_or(1, |before| before.attempts.saturating_add(1)),
            again_ms,
            ended_ms: None,
        };
        inner.last = Some(failure.clone());
        inner.failing.insert(stage.to_owned(), failure);
        is_new
    }

    /// A stage works. Returns how it failed before, if it did.
    pub(crate) fn works(&self, stage: &str) -> Option<Failure> {
        let mut inner = self.lock();
        inner.worked = true;
        let failed = inner.failing.remove(stage)?;
        if let Some(last) = inner.last.as_mut().filter(|last| last.stage == stage) {
            last.ended_ms = Some(now_ms());
            last.again_ms = None;
        }
        Some(failed)
    }

    /// The instance has stopped.
    pub(crate) fn failed(&self, error: String) {
        self.lock().failed = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_works_hides_no_other() {
        let slots = Slots::default();
        assert_eq!(slots.health(), Health::Starting);
        slots.works("source");
        assert_eq!(slots.health(), Health::Running);
        assert!(slots.fails("output siem", "full", Some(5)));
        assert!(!slots.fails("output siem", "full", Some(7)));
        slots.fails("sweep", "cut", None);
        slots.works("source");
        assert_eq!(slots.works("sweep").map(|failed| failed.attempts), Some(1));
        let Health::Degraded { stage, failing, .. } = slots.health() else {
            panic!("{:?}", slots.health());
        };
        assert_eq!((stage.as_str(), failing.len()), ("output siem", 1));
        assert_eq!((failing[0].attempts, failing[0].again_ms), (2, Some(7)));
        slots.works("output siem");
        assert_eq!(slots.health(), Health::Running);
        let last = slots.last().unwrap();
        assert!(last.stage == "sweep" && last.ended_ms.is_some());
        slots.failed("cursor".to_owned());
        slots.works("source");
        assert!(matches!(slots.health(), Health::Failed { .. }));
    }
}
