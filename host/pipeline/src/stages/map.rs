//! Cuts pages into batches and maps them.

use std::sync::Arc;

use splitter::Record;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

use super::{Fetched, MappedBatch, Work};
use crate::attempts::Attempts;
use crate::batch::cut;
use crate::error::{Class, Classify, RunError};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::record::{Batch, Mapped, Page};
use crate::traits::Transform;

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
