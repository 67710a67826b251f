//! Runs one instance: fetch, map, deliver, commit, in this order and never out of it.
//!
//! Three loops in one task, joined by channels of one element: while a page is
//! delivered the next one is fetched, and no more than that is held. The deliver
//! loop works in order, so a page is committed only when it and all before it are done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::BatchLimits;
use crate::error::{OutputError, SourceError, StateError, TransformError};
use crate::ledger::{Health, Ledger};
use crate::letters::Letters;
use crate::retry::Backoff;
use crate::stages::{Deliver, Fetch, Map};
use crate::traits::{DeadLetters, Output, Source, State, Transform};

/// What an instance is made of.
pub struct Pipeline {
    /// The instance's name: its state is kept under it.
    pub instance: String,
    /// Where records come from.
    pub source: Box<dyn Source>,
    /// What maps them.
    pub transform: Arc<dyn Transform>,
    /// Where documents go: each gets every document.
    pub outputs: Vec<Arc<dyn Output>>,
    /// Where refused input goes.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What survives.
    pub state: Arc<dyn State>,
    /// The account.
    pub ledger: Arc<Ledger>,
    /// How it runs.
    pub options: Options,
}

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

/// Why an instance stopped before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source failed for good, or too often.
    #[error("the source failed: {0}")]
    Source(#[source] SourceError),
    /// The mapping failed for good, or too often.
    #[error("the mapping failed: {0}")]
    Transform(#[source] TransformError),
    /// An output failed for good, or too often.
    #[error("the output {name} failed: {error}")]
    Output {
        /// Its name.
        name: String,
        /// What it said.
        #[source]
        error: OutputError,
    },
    /// Refused input could not be kept, so its page cannot count as done.
    #[error("the dead letters could not be written: {0}")]
    DeadLetters(#[source] OutputError),
    /// The state could not be read or written.
    #[error("the state failed: {0}")]
    State(#[source] StateError),
    /// A stage answered with another number of results than it was asked for.
    #[error("{stage} answered {got} results for {asked}: a defect, nothing of the page counts")]
    Count {
        /// Which one.
        stage: String,
        /// How many it was asked for.
        asked: usize,
        /// How many came.
        got: usize,
    },
    /// A blocking step panicked or was cancelled by the runtime.
    #[error("a worker thread failed: {0}")]
    Worker(#[from] tokio::task::JoinError),
    /// Told to stop while something was waiting to be tried again.
    #[error("stopped while {stage} was failing: {error}; what was on its way comes again")]
    Stopped {
        /// What was failing.
        stage: String,
        /// The last error.
        error: String,
    },
}

impl Pipeline {
    /// Runs until the walk has ended (one pass) or `stop` is cancelled. After
    /// `stop` nothing more is fetched; what was fetched is delivered and committed.
    /// To give up on that too, drop the future: nothing uncommitted counts.
    ///
    /// # Errors
    /// When a stage fails for good; nothing unacknowledged was committed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let Self {
            instance,
            source,
            transform,
            outputs,
            dead_letters,
            state,
            ledger,
            options,
        } = self;
        ledger.name_outputs(outputs.iter().map(|output| output.name()));
        let (page_sender, pages) = mpsc::channel(1);
        let (work_sender, work) = mpsc::channel(1);
        let fetch = Fetch {
            source,
            state: Arc::clone(&state),
            ledger: &ledger,
            options: &options,
            stop: &stop,
        };
        let map = Map {
            transform: &*transform,
            ledger: &ledger,
            options: &options,
            stop: &stop,
        };
        let deliver = Deliver {
            instance: &instance,
            letters: Letters {
                instance: instance.clone(),
                redact: options.redact.clone(),
            },
            outputs: &outputs,
            dead_letters: &*dead_letters,
            state,
            ledger: &ledger,
            options: &options,
            stop: &stop,
        };
        let result = tokio::try_join!(
            fetch.run(page_sender),
            map.run(pages, work_sender),
            deliver.run(work),
        );
        if let Err(error) = &result {
            ledger.set_health(Health::Failed {
                error: error.to_string(),
            });
        }
        result.map(|_| ())
    }
}

/// Tries again until it succeeds, gives up, or is told to stop.
pub(crate) struct Attempts<'a> {
    ledger: &'a Ledger,
    backoff: Backoff,
    stop: &'a CancellationToken,
    stage: String,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(
        stage: impl Into<String>,
        ledger: &'a Ledger,
        options: &Options,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            ledger,
            backoff: options.backoff,
            stop,
            stage: stage.into(),
            failed: 0,
        }
    }

    /// It worked.
    pub(crate) fn succeeded(&mut self) {
        if self.failed > 0 {
            tracing::info!(stage = self.stage, tries = self.failed, "works again");
        }
        self.failed = 0;
        self.ledger.set_health(Health::Running);
    }

    /// It failed: waits for the next try, or says why there is none.
    pub(crate) async fn failed<E>(
        &mut self,
        error: E,
        give_up: impl FnOnce(E) -> RunError,
    ) -> Result<(), RunError>
    where
        E: std::error::Error + crate::error::Classify,
    {
        self.failed += 1;
        let Some(wait) = self.backoff.wait(self.failed, crate::retry::hint(&error)) else {
            return Err(give_up(error));
        };
        self.ledger.set_health(Health::Degraded {
            stage: self.stage.clone(),
            error: error.to_string(),
        });
        tracing::warn!(
            stage = self.stage,
            %error,
            tries = self.failed,
            again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "failed, will try again"
        );
        let until = Instant::now() + wait;
        tokio::select! {
            () = tokio::time::sleep_until(until) => Ok(()),
            () = self.stop.cancelled() => Err(RunError::Stopped {
                stage: self.stage.clone(),
                error: error.to_string(),
            }),
        }
    }
}
