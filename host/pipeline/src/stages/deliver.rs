//! Writes documents and dead letters, then commits.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::{MappedBatch, Work};
use crate::attempts::Attempts;
use crate::batch::units;
use crate::error::{Class, Classify, RunError};
use crate::ledger::{Health, Ledger, Settled};
use crate::letters::{Letters, deliveries};
use crate::options::Options;
use crate::record::{Cursor, DeadLetter, Delivery, RefusalKind, Verdict};
use crate::traits::{Commit, DeadLetters, Output, State};

/// Writes documents and dead letters, then commits.
pub(crate) struct Deliver<'a> {
    pub(crate) instance: &'a str,
    pub(crate) letters: Letters,
    pub(crate) outputs: &'a [Arc<dyn Output>],
    pub(crate) dead_letters: &'a dyn DeadLetters,
    pub(crate) state: Arc<dyn State>,
    pub(crate) ledger: &'a Ledger,
    pub(crate) options: &'a Options,
    pub(crate) stop: &'a CancellationToken,
}

impl Deliver<'_> {
    pub(crate) async fn run(self, mut work: Receiver<Work>) -> Result<(), RunError> {
        while let Some(item) = work.recv().await {
            match item {
                Work::Mapped(batch) => self.batch(&batch).await?,
                Work::PageEnd { cursor, version } => self.commit(cursor, version).await?,
                Work::WalkEnd => {
                    self.ledger.walked();
                    self.ledger.set_health(Health::Running);
                    tracing::info!("walk finished");
                }
            }
        }
        Ok(())
    }

    async fn batch(&self, batch: &MappedBatch) -> Result<(), RunError> {
        let deliveries: Vec<Delivery> = batch
            .mapped
            .iter()
            .flat_map(|mapped| deliveries(mapped, batch.version, &batch.mapping))
            .collect();
        let verdicts = try_join_all(
            self.outputs
                .iter()
                .map(|output| self.write(output.as_ref(), &deliveries)),
        )
        .await?;

        let mut refused = Vec::new();
        let mut letters = Vec::new();
        for broken in &batch.broken {
            refused.push((RefusalKind::Malformed, 1));
            letters.push(self.letters.of_broken(broken, &batch.mapping, batch.now_ms));
        }
        for (record, mapped) in batch.records.iter().zip(&batch.mapped) {
            match mapped {
                Err(reason) => refused.push((reason.kind, units(record))),
                Ok(outcome) => {
                    refused.extend(outcome.refused.iter().map(|one| (one.reason.kind, 1)));
                }
            }
            letters.extend(
                self.letters
                    .of_mapped(record, mapped, &batch.mapping, batch.now_ms),
            );
        }
        for (output, verdicts) in &verdicts {
            for (delivery, verdict) in deliveries.iter().zip(verdicts) {
                let letter = self.letters.of_verdict(
                    delivery,
                    verdict,
                    output,
                    &batch.mapping,
                    batch.now_ms,
                );
                if let Some(letter) = letter {
                    refused.push((RefusalKind::Output, 1));
                    letters.push(letter);
                }
            }
        }
        self.keep(&letters).await?;
        let expected = batch.records.iter().map(units).sum::<u64>() + batch.broken.len() as u64;
        self.ledger.settled(&Settled {
            expected,
            mapped: &batch.mapped,
            refused: &refused,
            verdicts: &verdicts,
        });
        Ok(())
    }

    async fn write<'o>(
        &self,
        output: &'o dyn Output,
        deliveries: &[Delivery],
    ) -> Result<(&'o str, Vec<Verdict>), RunError> {
        let name = output.name();
        let stage = format!("output {name}");
        let mut attempts = Attempts::new(stage.clone(), self.ledger, self.options, self.stop);
        loop {
            match output.write(deliveries).await {
                Ok(verdicts) if verdicts.len() == deliveries.len() => {
                    attempts.succeeded();
                    return Ok((name, verdicts));
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

    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), RunError> {
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
        let mut attempts = Attempts::new("dead letters", self.ledger, self.options, self.stop);
        loop {
            match self.dead_letters.write(letters).await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.failed(error, RunError::DeadLetters).await?,
            }
        }
    }

    async fn commit(&self, cursor: Cursor, version: u64) -> Result<(), RunError> {
        let mut attempts = Attempts::new("state", self.ledger, self.options, self.stop);
        let cursor = Arc::new(cursor);
        let instance: Arc<str> = Arc::from(self.instance);
        loop {
            let (state, cursor, instance) = (
                Arc::clone(&self.state),
                Arc::clone(&cursor),
                Arc::clone(&instance),
            );
            let committed = tokio::task::spawn_blocking(move || {
                state.commit(&Commit {
                    instance: &instance,
                    cursor: &cursor,
                    version,
                })
            })
            .await?;
            match committed {
                Ok(()) => return Ok(()),
                Err(error) => attempts.failed(error, RunError::State).await?,
            }
        }
    }
}
