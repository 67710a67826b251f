//! The three loops of an instance.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use splitter::Record;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::{Broken, cut, units};
use crate::error::{Class, Classify};
use crate::ledger::{Health, Ledger, Settled};
use crate::letters::{Letters, deliveries};
use crate::record::{
    Batch, Cursor, DeadLetter, Delivery, Mapped, MappingIdentity, Page, RefusalKind, Verdict,
};
use crate::run::{Attempts, Options, RunError};
use crate::traits::{Commit, DeadLetters, Output, Source, State, Transform};

/// A page with its write version, or the end of a walk.
pub(crate) enum Fetched {
    Page(Box<Page>, u64),
    WalkEnd,
}

/// What goes to the deliver loop, in order.
pub(crate) enum Work {
    /// A mapped batch.
    Mapped(MappedBatch),
    /// Every batch of a page has been sent: its cursor may be stored after them.
    PageEnd { cursor: Cursor, version: u64 },
    /// Every page of a walk has been sent.
    WalkEnd,
}

/// A batch, mapped.
pub(crate) struct MappedBatch {
    version: u64,
    now_ms: i64,
    mapping: Arc<MappingIdentity>,
    records: Vec<Record>,
    broken: Vec<Broken>,
    mapped: Vec<Mapped>,
}

/// Asks the source for pages.
pub(crate) struct Fetch<'a> {
    pub(crate) source: Box<dyn Source>,
    pub(crate) state: Arc<dyn State>,
    pub(crate) ledger: &'a Ledger,
    pub(crate) options: &'a Options,
    pub(crate) stop: &'a CancellationToken,
}

impl Fetch<'_> {
    pub(crate) async fn run(mut self, pages: Sender<Fetched>) -> Result<(), RunError> {
        let mut attempts = Attempts::new("source", self.ledger, self.options, self.stop);
        let mut ever_succeeded = false;
        let mut first_of_walk = true;
        let mut walk_started = Instant::now();
        loop {
            let answer = tokio::select! {
                answer = self.source.next_page() => answer,
                () = self.stop.cancelled() => return Ok(()),
            };
            match answer {
                Ok(Some(page)) => {
                    attempts.succeeded();
                    ever_succeeded = true;
                    tracing::info!(
                        items = page.facts.items,
                        seen_before = page.facts.seen_before,
                        bytes = page.facts.bytes,
                        matched = page.facts.matched,
                        "page received"
                    );
                    self.ledger.page(&page.facts, first_of_walk);
                    first_of_walk = false;
                    let version = {
                        let attempts = Attempts::new("state", self.ledger, self.options, self.stop);
                        version(&self.state, page.fetched_ms, attempts).await?
                    };
                    if pages
                        .send(Fetched::Page(Box::new(page), version))
                        .await
                        .is_err()
                    {
                        return Ok(());
                    }
                }
                Ok(None) => {
                    attempts.succeeded();
                    ever_succeeded = true;
                    if pages.send(Fetched::WalkEnd).await.is_err() {
                        return Ok(());
                    }
                    let Some(interval) = self.options.interval else {
                        return Ok(());
                    };
                    tokio::select! {
                        () = tokio::time::sleep_until(walk_started + interval) => {}
                        () = self.stop.cancelled() => return Ok(()),
                    }
                    walk_started = Instant::now();
                    first_of_walk = true;
                }
                // Before anything ever worked this is a mistake in the configuration:
                // whoever starts the host wants to hear it now.
                Err(error) if error.class() == Class::Fatal && !ever_succeeded => {
                    return Err(RunError::Source(error));
                }
                Err(error) => match attempts.failed(error, RunError::Source).await {
                    // Nothing of a page that never came is on its way.
                    Err(RunError::Stopped { .. }) => return Ok(()),
                    result => result?,
                },
            }
        }
    }
}

/// The write version of a page. Apart from [`Fetch`], whose source may not be shared.
async fn version(
    state: &Arc<dyn State>,
    fetched_ms: i64,
    mut attempts: Attempts<'_>,
) -> Result<u64, RunError> {
    loop {
        let state = Arc::clone(state);
        match tokio::task::spawn_blocking(move || state.next_version(fetched_ms)).await? {
            Ok(version) => return Ok(version),
            Err(error) => attempts.failed(error, RunError::State).await?,
        }
    }
}

/// Cuts pages into batches and maps them.
pub(crate) struct Map<'a> {
    pub(crate) transform: &'a dyn Transform,
    pub(crate) ledger: &'a Ledger,
    pub(crate) options: &'a Options,
    pub(crate) stop: &'a CancellationToken,
}

impl Map<'_> {
    pub(crate) async fn run(
        self,
        mut pages: Receiver<Fetched>,
        work: Sender<Work>,
    ) -> Result<(), RunError> {
        while let Some(fetched) = pages.recv().await {
            let sent = match fetched {
                Fetched::WalkEnd => work.send(Work::WalkEnd).await.is_ok(),
                Fetched::Page(page, version) => self.page(*page, version, &work).await?,
            };
            if !sent {
                break;
            }
        }
        Ok(())
    }

    /// Whether the deliver loop still listens.
    async fn page(&self, page: Page, version: u64, work: &Sender<Work>) -> Result<bool, RunError> {
        let Page {
            mut records,
            cursor,
            fetched_ms: now_ms,
            ..
        } = page;
        loop {
            let limits = self.options.batch;
            let (rest, piece) = tokio::task::spawn_blocking(move || {
                let piece = cut(&mut records, &limits);
                (records, piece)
            })
            .await?;
            records = rest;
            self.ledger.received(piece.units());
            if !piece.records.is_empty() || !piece.broken.is_empty() {
                // Asked first: after a swap in the middle the letters name the older one.
                let mapping = Arc::new(self.transform.identity());
                let mapped = self.transform(&piece.records, now_ms).await?;
                let batch = MappedBatch {
                    version,
                    now_ms,
                    mapping,
                    records: piece.records,
                    broken: piece.broken,
                    mapped,
                };
                if work.send(Work::Mapped(batch)).await.is_err() {
                    return Ok(false);
                }
            }
            if piece.end {
                break;
            }
        }
        Ok(work.send(Work::PageEnd { cursor, version }).await.is_ok())
    }

    async fn transform(&self, records: &[Record], now_ms: i64) -> Result<Vec<Mapped>, RunError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let mut attempts = Attempts::new("mapping", self.ledger, self.options, self.stop);
        loop {
            let batch = Batch {
                records: records.to_vec(),
                now_ms,
            };
            match self.transform.transform(batch).await {
                Ok(mapped) if mapped.len() == records.len() => return Ok(mapped),
                Ok(mapped) => {
                    return Err(RunError::Count {
                        stage: "the mapping".to_owned(),
                        asked: records.len(),
                        got: mapped.len(),
                    });
                }
                Err(error) if error.class() == Class::Fatal => {
                    return Err(RunError::Transform(error));
                }
                Err(error) => attempts.failed(error, RunError::Transform).await?,
            }
        }
    }
}

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

/// The host's clock, UNIX milliseconds.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
