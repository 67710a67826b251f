//! Asks the source for pages.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Fetched;
use crate::attempts::Attempts;
use crate::error::{Class, Classify, RunError};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::traits::{Source, State};

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
