//! What the stages of one instance share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::attempts::Attempts;
use crate::error::{Class, Classify, RunError, StateError};
use crate::ledger::Ledger;
use crate::memory::OutputKey;
use crate::options::Options;
use crate::record::{Delivery, Verdict};
use crate::slot::Slot;
use crate::traits::{DeadLetters, Output, State};

/// An output and the key it is remembered by.
pub(crate) struct Sink {
    pub(crate) output: Arc<dyn Output>,
    pub(crate) key: OutputKey,
}

impl Sink {
    pub(crate) fn new(output: Arc<dyn Output>) -> Self {
        let key = OutputKey::of(&*output);
        Self { output, key }
    }
}

/// What the stages of one instance share.
#[derive(Clone, Copy)]
pub(crate) struct Context<'p> {
    pub(crate) instance: &'p str,
    /// The name that the cursor is kept under.
    pub(crate) walk: &'p str,
    pub(crate) mapping: &'p Slot,
    pub(crate) sinks: &'p [Sink],
    pub(crate) dead_letters: &'p dyn DeadLetters,
    pub(crate) state: &'p Arc<dyn State>,
    pub(crate) ledger: &'p Ledger,
    pub(crate) options: &'p Options,
    pub(crate) stop: &'p CancellationToken,
}

impl<'p> Context<'p> {
    pub(crate) fn attempts(&self, stage: impl Into<String>) -> Attempts<'p> {
        Attempts::new(stage, self.ledger, self.options, self.stop)
    }

    /// Works on the state, on a thread that may wait for the disk, until it succeeds.
    pub(crate) async fn on_state<T, F>(&self, work: F) -> Result<T, RunError>
    where
        T: Send + 'static,
        F: Fn(&Arc<dyn State>) -> Result<T, StateError> + Send + Sync + 'static,
    {
        on_state(self.state, self.attempts("state"), work).await
    }

    /// Writes to an output until it takes the batch; one verdict a delivery.
    pub(crate) async fn send(
        &self,
        output: &dyn Output,
        deliveries: &[Delivery],
    ) -> Result<Vec<Verdict>, RunError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let name = output.name();
        let stage = format!("output {name}");
        let mut attempts = self.attempts(stage.clone());
        loop {
            match output.write(deliveries).await {
                Ok(verdicts) if verdicts.len() == deliveries.len() => {
                    attempts.succeeded();
                    return Ok(verdicts);
                }
                Ok(verdicts) => {
                    return Err(RunError::Count {
                        stage,
                        asked: deliveries.len(),
                        got: verdicts.len(),
                    });
                }
                Err(error) => {
                    let give_up = |error| RunError::Output {
                        name: name.to_owned(),
                        error,
                    };
                    // A closed pipe never opens again; an output that only has to wait says so.
                    if !matches!(error.class(), Class::Transient { .. }) {
                        return Err(give_up(error));
                    }
                    attempts.failed(error, give_up).await?;
                }
            }
        }
    }
}

/// As [`Context::on_state`], for a stage that may not be shared.
pub(crate) async fn on_state<T, F>(
    state: &Arc<dyn State>,
    mut attempts: Attempts<'_>,
    work: F,
) -> Result<T, RunError>
where
    T: Send + 'static,
    F: Fn(&Arc<dyn State>) -> Result<T, StateError> + Send + Sync + 'static,
{
    let work = Arc::new(work);
    loop {
        let (state, work) = (Arc::clone(state), Arc::clone(&work));
        match tokio::task::spawn_blocking(move || work(&state)).await? {
            Ok(done) => return Ok(done),
            Err(error) => attempts.failed(error, RunError::State).await?,
        }
    }
}
