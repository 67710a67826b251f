//! What the stages of one instance share.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::Attempts;
use crate::clock::Heard;
use crate::error::{Class, Classify, RunError, StateError};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::record::DeadLetter;
use crate::sink::Sink;
use crate::slot::Slot;
use crate::traits::{DeadLetters, State};

/// What the stages of one instance share.
#[derive(Clone, Copy)]
pub(crate) struct Context<'p> {
    pub(crate) instance: &'p str,
    /// The name that the cursor is kept under.
    pub(crate) walk: &'p str,
    pub(crate) mapping: &'p Slot,
    pub(crate) sinks: &'p [Sink],
    /// Is what comes now in another order than that of the cursor, such as events by name?
    pub(crate) unordered: bool,
    pub(crate) dead_letters: &'p dyn DeadLetters,
    pub(crate) state: &'p StateInUse,
    pub(crate) heard: &'p Heard,
    pub(crate) ledger: &'p Ledger,
    pub(crate) options: &'p Options,
    pub(crate) stop: &'p CancellationToken,
}

impl<'p> Context<'p> {
    pub(crate) fn attempts(&self, stage: impl Into<String>) -> Attempts<'p> {
        Attempts::new(stage, self.ledger, self.options, self.stop)
    }

    /// The time at which documents count as expired: none does while the clocks of host and server
    /// differ.
    pub(crate) fn expired_at(&self, now_ms: i64) -> i64 {
        match self.heard.apart_s() {
            Some(_) => i64::MIN,
            None => now_ms,
        }
    }

    /// Works on the state, on a thread that may wait for the disk, until it succeeds.
    pub(crate) async fn on_state<T, F>(&self, work: F) -> Result<T, RunError>
    where
        T: Send + 'static,
        F: Fn(&Arc<dyn State>) -> Result<T, StateError> + Send + Sync + 'static,
    {
        on_state(self.state, self.attempts("state"), work).await
    }

    /// Keeps what was refused, until it is kept.
    pub(crate) async fn keep(&self, letters: &[DeadLetter]) -> Result<(), RunError> {
        if letters.is_empty() {
            return Ok(());
        }
        for letter in letters.iter().take(3) {
            tracing::warn!(
                event = letter.event,
                attribute = letter.attribute,
                reason = letter.reason.text,
                "refused, kept in the dead letters"
            );
        }
        let mut attempts = self.attempts("dead letters");
        loop {
            match self.dead_letters.write(letters).await {
                Ok(()) => {
                    attempts.succeeded();
                    return Ok(());
                }
                Err(error) => attempts.failed(error, RunError::DeadLetters).await?,
            }
        }
    }
}

/// The state, and the work on it that is under way.
pub(crate) struct StateInUse {
    inner: Arc<dyn State>,
    under_way: TaskTracker,
    turn: Mutex<u64>,
}

impl StateInUse {
    pub(crate) fn new(inner: Arc<dyn State>) -> Self {
        Self {
            inner,
            under_way: TaskTracker::new(),
            turn: Mutex::new(0),
        }
    }

    /// Waits until nothing else of this instance is being delivered. Between the look into the
    /// state and the note of what was acknowledged nobody else may change the same documents.
    ///
    /// The guarded value is the write version of what was delivered last. A delete that is sent
    /// with it replaces everything delivered so far, and is older than every page that has been
    /// fetched and waits for its turn.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, u64> {
        self.turn.lock().await
    }

    /// Waits until nothing is under way: a call goes on, on its thread, when whoever waited for it
    /// has given up.
    pub(crate) async fn settled(&self) {
        self.under_way.close();
        self.under_way.wait().await;
        self.under_way.reopen();
    }
}

/// As [`Context::on_state`], for a stage that may not be shared.
pub(crate) async fn on_state<T, F>(
    state: &StateInUse,
    mut attempts: Attempts<'_>,
    work: F,
) -> Result<T, RunError>
where
    T: Send + 'static,
    F: Fn(&Arc<dyn State>) -> Result<T, StateError> + Send + Sync + 'static,
{
    let work = Arc::new(work);
    loop {
        let (inner, work) = (Arc::clone(&state.inner), Arc::clone(&work));
        let working = state.under_way.spawn_blocking(move || work(&inner));
        match working.await? {
            Ok(done) => {
                attempts.recovered();
                return Ok(done);
            }
            // A damaged database stays damaged.
            Err(error) if error.class() == Class::Fatal => return Err(RunError::State(error)),
            Err(error) => attempts.failed(error, RunError::State).await?,
        }
    }
}
