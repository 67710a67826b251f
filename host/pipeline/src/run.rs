//! Runs one instance: fetch, map, deliver, commit, in this order and never out of it.
//!
//! Three loops in one task, joined by channels of one element: while a page is
//! delivered the next one is fetched, and no more than that is held. The deliver
//! loop works in order, so a page is committed only when it and all before it are done.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::RunError;
use crate::ledger::{Health, Ledger};
use crate::letters::Letters;
use crate::options::Options;
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
