//! Whole events, from `events/restSearch`.

use async_trait::async_trait;
use pipeline::{Cursor, Listing, Page, PublishedSince, ServerClock, Source, SourceError, Whole};
use serde_json::{Map, Value};

use super::cursor::CursorError;
use super::finder::{Finder, Found, WalkOptions};
use super::listing::MispListing;
use crate::client::{Client, Endpoint};

/// Walks `events/restSearch`: whole events with their objects.
#[derive(Debug)]
pub struct EventsWalk {
    finder: Finder,
}

impl EventsWalk {
    /// A walk that continues at the cursor, or begins by `lookback` where there is none. Logs a
    /// warning for each filter that does not do what it seems to.
    ///
    /// # Errors
    /// When the cursor is not one of this walk's.
    pub fn new(
        client: Client,
        options: WalkOptions,
        cursor: Option<&Cursor>,
    ) -> Result<Self, CursorError> {
        let finder = Finder::new(client, options, cursor, Endpoint::Events, Map::new())?;
        Ok(Self { finder })
    }
}

#[async_trait]
impl Source for EventsWalk {
    async fn next_page(&mut self) -> Result<Option<Page>, SourceError> {
        let found = self.finder.advance().await.map_err(SourceError::new)?;
        Ok(found.map(|found| {
            let cursor = found.cursor.clone();
            page(found, cursor)
        }))
    }

    async fn named_page(&mut self, events: &mut Vec<String>) -> Result<Option<Page>, SourceError> {
        let named = self.finder.named(events).await;
        let Some((some, found)) = named.map_err(SourceError::new)? else {
            return Ok(None);
        };
        events.drain(..some);
        Ok(Some(page(found, None)))
    }

    fn restart(&mut self) {
        self.finder.restart();
    }

    fn set_search_flags(&mut self, flags: &Map<String, Value>) {
        self.finder.options.request.clone_from(flags);
    }

    async fn published(&mut self) -> Result<Option<PublishedSince>, SourceError> {
        self.finder.published().await.map_err(SourceError::new)
    }

    fn server_clock(&self) -> Option<ServerClock> {
        Some(self.finder.client.clock())
    }

    fn listing(&self) -> Option<Box<dyn Listing>> {
        Some(Box::new(MispListing::new(&self.finder)))
    }
}

fn page(found: Found, cursor: Option<Cursor>) -> Page {
    Page {
        records: found.records,
        cursor,
        whole: Whole::Slices,
        fetched_ms: found.fetched_ms,
        facts: found.facts,
        unread: found.unread,
    }
}
