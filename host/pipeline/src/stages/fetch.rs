//! Asks the source for pages.

use std::collections::HashSet;

use tokio::sync::mpsc::Sender;

use super::{Ended, Fetched};
use crate::attempts::Attempts;
use crate::clock::now_ms;
use crate::context::{Context, on_state};
use crate::error::{RunError, SourceError};
use crate::record::Page;
use crate::times::Stage;
use crate::traits::Source;

/// What a pass reads.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The source's walk, to its end.
    Walk,
    /// These events, whatever the place of the walk.
    Named(Vec<String>),
}

/// Tries for events by name, in a row. A source first asks for fewer of them at once.
const TRIES: u32 = 8;

/// Events that a pass puts aside. With more it is not the events.
const ASIDE: u32 = 3;

impl Asked {
    /// Leaves out the event that does not come; it stays wanted, and is read with a later poll.
    fn put_aside(&mut self) -> Option<String> {
        match self {
            Self::Named(events) if !events.is_empty() => Some(events.remove(0)),
            Self::Walk | Self::Named(_) => None,
        }
    }
}

/// Asks the source for pages.
pub(super) struct Fetch<'p, 's> {
    pub(super) context: Context<'p>,
    pub(super) source: &'s mut dyn Source,
    pub(super) asked: Asked,
    pub(super) ever_succeeded: &'s mut bool,
}

impl<'p> Fetch<'p, '_> {
    fn note(&self, page: Option<&Page>, first_of_walk: bool) {
        let Some(page) = page else { return };
        tracing::info!(
            items = page.facts.items,
            seen_before = page.facts.seen_before,
            bytes = page.facts.bytes,
            matched = page.facts.matched,
            "page received"
        );
        self.context.ledger.page(&page.facts, first_of_walk);
        for event in &page.unread {
            tracing::error!(
                event = event.uuid,
                error = event.error,
                "event cannot be read, the poll goes on without it; it is asked for again later"
            );
        }
    }

    pub(super) async fn run(mut self, pages: Sender<Fetched>) -> Result<Ended, RunError> {
        let context = self.context;
        let mut attempts = self.attempts();
        let mut aside = 0;
        let mut first_of_walk = matches!(self.asked, Asked::Walk);
        // They stay wanted, although the source is done with them.
        let mut unread: HashSet<String> = HashSet::new();
        loop {
            let transform = context.mapping.current();
            self.source.set_search_flags(transform.search_flags());
            let next = next(self.source, &mut self.asked);
            let answer = tokio::select! {
                answer = context.ledger.times.timed(Stage::Fetch, next) => answer,
                () = context.stop.cancelled() => return Ok(Ended::Stopped),
            };
            context.heard.hear(self.source.server_clock());
            match answer {
                Ok(Answer::End) => return Ok(Ended::Done),
                Ok(Answer::Page(page, mut no_longer_wanted)) => {
                    attempts.succeeded();
                    let of_page = page.iter().flat_map(|page| &page.unread);
                    unread.extend(of_page.map(|event| event.uuid.clone()));
                    no_longer_wanted.retain(|event| !unread.contains(event));
                    *self.ever_succeeded = true;
                    self.note(page.as_deref(), first_of_walk);
                    first_of_walk = false;
                    let fetched_ms = page.as_ref().map_or_else(now_ms, |page| page.fetched_ms);
                    // Not through the context: a source may not be shared between threads.
                    let attempts = context.attempts("state");
                    let version = on_state(context.state, attempts, move |state| {
                        state.next_version(fetched_ms)
                    });
                    let fetched = Fetched {
                        page,
                        transform,
                        version: version.await?,
                        no_longer_wanted,
                    };
                    if pages.send(fetched).await.is_err() {
                        return Ok(Ended::Stopped);
                    }
                }
                Err(error) => match attempts.failed(error, RunError::Source).await {
                    // Nothing of a page that never came is on its way.
                    Err(RunError::Stopped { .. }) => return Ok(Ended::Stopped),
                    // Whoever asked for one pass wants to hear it; a service goes on polling.
                    Err(RunError::Source(error)) if context.options.interval.is_some() => {
                        let Some(event) = self.asked.put_aside() else {
                            return Err(RunError::Source(error));
                        };
                        tracing::warn!(event, %error, "does not come, is asked for again later");
                        aside += 1;
                        if aside >= ASIDE {
                            return Ok(Ended::Done);
                        }
                        attempts = self.attempts();
                    }
                    result => result?,
                },
            }
        }
    }

    /// A walk is tried for ever: what it brings can come no other way.
    fn attempts(&self) -> Attempts<'p> {
        let mut attempts = self.context.attempts("source");
        if matches!(self.asked, Asked::Named(_)) {
            attempts.at_most(TRIES);
        }
        attempts
    }
}

/// What a source answered.
enum Answer {
    /// A page, if anything came, and the wanted events that are settled with it.
    Page(Option<Box<Page>>, Vec<String>),
    End,
}

async fn next(source: &mut dyn Source, asked: &mut Asked) -> Result<Answer, SourceError> {
    let events = match asked {
        Asked::Walk => {
            let page = source.next_page().await?;
            return Ok(page.map_or(Answer::End, |page| {
                Answer::Page(Some(Box::new(page)), Vec::new())
            }));
        }
        Asked::Named(events) if events.is_empty() => return Ok(Answer::End),
        Asked::Named(events) => events,
    };
    let mut settled = events.clone();
    match source.named_page(events).await? {
        Some(page) => {
            settled.retain(|event| !events.contains(event));
            Ok(Answer::Page(Some(Box::new(page)), settled))
        }
        // None of them is there any more.
        None => {
            events.clear();
            Ok(Answer::Page(None, settled))
        }
    }
}
