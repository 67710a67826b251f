//! Writing to an output until it takes what it gets, or is left behind.

use tokio::time::Instant;

use crate::context::Context;
use crate::error::{Class, Classify, OutputError, RunError};
use crate::ledger::output_stage;
use crate::record::{Delivery, Verdict};
use crate::sink::Sink;

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
        let stage = output_stage(name);
        let mut attempts = self.attempts(stage.clone());
        if let Some(after) = sink.patience() {
            attempts.not_after(Instant::now() + after);
        }
        loop {
            match sink.output.write(deliveries).await {
                Ok(verdicts) if verdicts.len() == deliveries.len() => {
                    attempts.succeeded();
                    sink.set_failing(false);
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
                    // A closed pipe never opens again.
                    if error.class() == Class::Permanent {
                        return Err(give_up(error));
                    }
                    attempts.failed(error, give_up).await?;
                }
            }
        }
    }

    /// Writes down that an output lacks what comes now, before the others' page counts as done.
    pub(crate) async fn leave_behind(
        &self,
        sink: &Sink,
        error: &OutputError,
    ) -> Result<(), RunError> {
        tracing::error!(
            output = sink.key.name,
            %error,
            "this optional output is left behind: the others go on, and it gets what it missed \
             when it answers again"
        );
        sink.set_failing(true);
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
