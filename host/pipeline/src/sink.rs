//! An output of a pipeline, and what happens when it takes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::context::Context;
use crate::error::{Class, Classify, OutputError, RunError};
use crate::memory::OutputKey;
use crate::record::{Delivery, Verdict};
use crate::traits::Output;

/// An output, and whether the others wait for it.
pub struct Sink {
    pub(crate) output: Arc<dyn Output>,
    pub(crate) key: OutputKey,
    /// How long it may fail until the others go on without it; `None`: they wait for ever.
    optional_after: Option<Duration>,
    /// It lacks what the others have got, and gets nothing until it has caught up.
    behind: AtomicBool,
}

impl Sink {
    /// One that every page waits for.
    pub fn required(output: Arc<dyn Output>) -> Self {
        Self::new(output, None)
    }

    /// One that the others leave behind when it has failed for so long.
    pub fn optional(output: Arc<dyn Output>, after: Duration) -> Self {
        Self::new(output, Some(after))
    }

    fn new(output: Arc<dyn Output>, optional_after: Option<Duration>) -> Self {
        Self {
            key: OutputKey::of(&*output),
            output,
            optional_after,
            behind: AtomicBool::new(false),
        }
    }

    /// The same output, to catch up with a walk of its own.
    pub(crate) fn alone(&self) -> Self {
        Self::new(Arc::clone(&self.output), self.optional_after)
    }

    pub(crate) fn is_optional(&self) -> bool {
        self.optional_after.is_some()
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    pub(crate) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Relaxed);
    }
}

impl<'p> Context<'p> {
    /// The outputs that get what comes: all but those that are behind.
    pub(crate) fn current(&self) -> impl Iterator<Item = &'p Sink> + use<'p> {
        self.sinks.iter().filter(|sink| !sink.is_behind())
    }

    /// Writes to an output until it takes the batch: one verdict a delivery. `None`: it is
    /// optional and was given up; that is written down, and the others go on.
    pub(crate) async fn send(
        &self,
        sink: &Sink,
        deliveries: &[Delivery],
    ) -> Result<Option<Vec<Verdict>>, RunError> {
        match self.send_or_fail(sink, deliveries).await {
            Ok(verdicts) => Ok(Some(verdicts)),
            Err(RunError::Output { error, .. }) if sink.is_optional() && !self.catches_up() => {
                self.leave_behind(sink, &error).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn send_or_fail(
        &self,
        sink: &Sink,
        deliveries: &[Delivery],
    ) -> Result<Vec<Verdict>, RunError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let name = &sink.key.name;
        let stage = format!("output {name}");
        let mut attempts = self.attempts(stage.clone());
        if let Some(after) = sink.optional_after {
            attempts.not_after(Instant::now() + after);
        }
        loop {
            match sink.output.write(deliveries).await {
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
                        name: name.clone(),
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

    /// Writes down that an output lacks what comes now, before the others' page counts as done.
    async fn leave_behind(&self, sink: &Sink, error: &OutputError) -> Result<(), RunError> {
        tracing::error!(
            output = sink.key.name,
            %error,
            "this optional output is left behind: the others go on, and it gets what it missed \
             when it answers again"
        );
        self.ledger.left_behind(&sink.key.name, &error.to_string());
        self.write_down_behind(sink, self.unordered).await?;
        sink.set_behind(true);
        Ok(())
    }

    /// What comes now is in no order that a cursor knows: those who are behind and miss it need
    /// everything.
    pub(crate) async fn behind_needs_everything(&self) -> Result<(), RunError> {
        for sink in self.sinks.iter().filter(|sink| sink.is_behind()) {
            self.write_down_behind(sink, true).await?;
        }
        Ok(())
    }

    async fn write_down_behind(&self, sink: &Sink, everything: bool) -> Result<(), RunError> {
        let (instance, key) = (self.instance.to_owned(), sink.key.clone());
        self.on_state(move |state| state.leave_behind(&instance, &key, everything))
            .await
    }

    fn catches_up(&self) -> bool {
        self.walk != self.instance
    }
}
