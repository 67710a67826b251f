//! Cuts pages into batches and maps them.

use std::sync::Arc;

use splitter::Record;
use tokio::sync::mpsc::{Receiver, Sender};

use super::{Fetched, MappedBatch, PageEnd, Work};
use crate::batch::cut;
use crate::clock::now_ms;
use crate::context::Context;
use crate::error::{Class, Classify, RunError};
use crate::record::{Batch, Mapped, Page, Whole};
use crate::times::Stage;
use crate::traits::Transform;

/// Cuts pages into batches and maps them.
pub(super) struct Map<'p>(pub(super) Context<'p>);

impl Map<'_> {
    pub(super) async fn run(
        self,
        mut pages: Receiver<Fetched>,
        work: Sender<Work>,
    ) -> Result<(), RunError> {
        while let Some(fetched) = pages.recv().await {
            if !self.page(fetched, &work).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the deliver loop still listens.
    async fn page(&self, fetched: Fetched, work: &Sender<Work>) -> Result<bool, RunError> {
        let Fetched {
            page,
            mut transform,
            version,
            no_longer_wanted,
        } = fetched;
        let Some(page) = page else {
            let end = PageEnd {
                cursor: None,
                version,
                now_ms: now_ms(),
                whole: Whole::Slices,
                no_longer_wanted,
                unread: Vec::new(),
            };
            return Ok(work.send(Work::PageEnd(end)).await.is_ok());
        };
        let Page {
            mut records,
            cursor,
            whole,
            fetched_ms: now_ms,
            unread,
            ..
        } = *page;
        loop {
            let ledger = self.0.ledger;
            let limits = self.0.options.batch;
            let cutting = tokio::task::spawn_blocking(move || {
                let piece = cut(&mut records, &limits);
                (records, piece)
            });
            let (rest, piece) = ledger.times.timed(Stage::Split, cutting).await?;
            records = rest;
            ledger.received(piece.units());
            if !piece.records.is_empty() || !piece.broken.is_empty() {
                let mapping = self.map(&mut transform, &piece.records, now_ms);
                let mapped = ledger.times.timed(Stage::Map, mapping).await?;
                let batch = MappedBatch::new(
                    (version, now_ms),
                    transform.identity(),
                    transform.private_types(),
                    (piece.records, piece.broken),
                    mapped,
                    &self.0.options.attributes,
                );
                if work.send(Work::Mapped(batch)).await.is_err() {
                    return Ok(false);
                }
            }
            if piece.end {
                break;
            }
        }
        let end = PageEnd {
            cursor,
            version,
            now_ms,
            whole,
            no_longer_wanted,
            unread,
        };
        Ok(work.send(Work::PageEnd(end)).await.is_ok())
    }

    /// Maps a batch, by the mapping that the page was asked for; should that fault, by the one
    /// that has taken its place since, if its input is the same.
    async fn map(
        &self,
        transform: &mut Arc<dyn Transform>,
        records: &[Record],
        now_ms: i64,
    ) -> Result<Vec<Mapped>, RunError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let mut attempts = self.0.attempts("mapping");
        loop {
            let batch = Batch {
                records: records.to_vec(),
                now_ms,
            };
            match transform.transform(batch).await {
                Ok(mapped) if mapped.len() == records.len() => {
                    attempts.recovered();
                    return Ok(mapped);
                }
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
            let current = self.0.mapping.current();
            if current.search_flags() == transform.search_flags() {
                *transform = current;
            }
        }
    }
}
