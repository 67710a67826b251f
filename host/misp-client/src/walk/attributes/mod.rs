//! Loose attributes, from `attributes/restSearch`, one event list after another.
//!
//! Two levels and one cursor. Step A walks the events as [`super::EventsWalk`] does, without
//! their attributes. Step B reads the attributes of the events it found, in lists that fit one
//! answer: see [`reading`].

mod event;
mod reading;

use std::collections::VecDeque;

use async_trait::async_trait;
use pipeline::{
    Cursor, Listing, Page, PageFacts, PublishedSince, ServerClock, Source, SourceError,
    UnreadEvent, Whole, now_ms,
};
use serde_json::{Map, Value, json};

use super::cursor::CursorError;
use super::finder::{Finder, Found, WalkError, WalkOptions};
use super::isolate::{Tries, no_records};
use super::listing::MispListing;
use super::size::{PageSize, Smaller};
use crate::client::{Client, Endpoint};
use event::{Event, lists};
use reading::{Part, Reading};

/// Walks `attributes/restSearch`: attributes with their event inside.
#[derive(Debug)]
pub struct AttributesWalk {
    finder: Finder,
    /// Attributes a page of step B.
    size: PageSize,
    /// Lists of events to read, before the cursor may move.
    lists: VecDeque<Vec<Event>>,
    reading: Option<Reading>,
    /// Where to continue when all lists are read; none for events that were named.
    cursor: Option<Cursor>,
    /// How many of the named events the lists stand for.
    named: usize,
    /// Tries at the event that is being read.
    tries: Tries,
}

impl AttributesWalk {
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
        let without_attributes = Map::from_iter([
            ("metadata".to_owned(), json!(1)),
            ("excludeGalaxy".to_owned(), json!(1)),
        ]);
        let size = PageSize::new(options.attributes_page);
        Ok(Self {
            finder: Finder::new(
                client,
                options,
                cursor,
                Endpoint::Attributes,
                without_attributes,
            )?,
            size,
            lists: VecDeque::new(),
            reading: None,
            cursor: None,
            named: 0,
            tries: Tries::default(),
        })
    }

    async fn walk_on(&mut self) -> Result<Option<Page>, WalkError> {
        if self.is_reading() {
            return self.read_on().await.map(Some);
        }
        let Some(found) = self.finder.advance().await? else {
            return Ok(None);
        };
        self.cursor.clone_from(&found.cursor);
        Ok(Some(self.take_in(found)))
    }

    fn is_reading(&self) -> bool {
        self.reading.is_some() || !self.lists.is_empty()
    }

    /// Makes lists of what step A found. The page holds no attributes: they come with the next.
    fn take_in(&mut self, found: Found) -> Page {
        let most = u64::from(self.size.now());
        self.lists = lists(found.records.heads(), most).into();
        let mut records = found.records;
        records.retain(|_, _| false);
        Page {
            records,
            cursor: self.cursor_at_end(),
            whole: Whole::Events(Vec::new()),
            fetched_ms: found.fetched_ms,
            facts: found.facts,
            unread: found.unread,
        }
    }

    /// The cursor may move when nothing is left to read.
    fn cursor_at_end(&mut self) -> Option<Cursor> {
        if self.is_reading() {
            None
        } else {
            self.cursor.take()
        }
    }

    /// The next page of the list that is being read.
    async fn read_on(&mut self) -> Result<Page, WalkError> {
        loop {
            if self.reading.is_none() {
                let limit = self.size.now();
                self.reading = self.lists.pop_front().map(|list| Reading::new(list, limit));
            }
            // It stays in its place while we wait: whoever stops waiting loses nothing.
            let Some(reading) = &mut self.reading else {
                return self.nothing();
            };
            match reading.step(&self.finder).await {
                Ok(Some(Part {
                    records,
                    bytes,
                    whole,
                })) => {
                    self.tries = Tries::default();
                    if whole.is_some() {
                        self.reading = None;
                        self.size.succeeded();
                    }
                    return Ok(Page {
                        records,
                        cursor: self.cursor_at_end(),
                        whole: Whole::Events(whole.unwrap_or_default()),
                        fetched_ms: now_ms(),
                        facts: PageFacts {
                            bytes,
                            ..PageFacts::default()
                        },
                        unread: Vec::new(),
                    });
                }
                Ok(None) => self.split(),
                Err(error) => match self.size.smaller_after(&error, "attributes") {
                    Smaller::No => {
                        if let Some(page) = self.isolate(error).await? {
                            return Ok(page);
                        }
                    }
                    smaller => {
                        // Pages are cut elsewhere now: the list is read from its start.
                        if let Some(reading) = self.reading.take() {
                            self.lists.push_front(reading.into_events());
                        }
                        if smaller == Smaller::Later {
                            return Err(error);
                        }
                    }
                },
            }
        }
    }

    /// Reads the list in two halves.
    fn split(&mut self) {
        if let Some(reading) = self.reading.take() {
            let mut first = reading.into_events();
            let second = first.split_off(first.len() / 2);
            for half in [second, first] {
                if !half.is_empty() {
                    self.lists.push_front(half);
                }
            }
        }
    }

    /// The smallest page of the list did not come, because of `error`: the list is read in halves
    /// until one event is left, and that one is passed over. `None` if there is more to read of
    /// the list; the error if it is not that of an event.
    async fn isolate(&mut self, error: WalkError) -> Result<Option<Page>, WalkError> {
        let Some(reading) = &self.reading else {
            return Err(error);
        };
        if !error.may_be_too_large() || reading.look_at_all(&self.finder).await.is_err() {
            return Err(error);
        }
        let uuid = match reading.events() {
            [event] if !event.head.uuid.is_empty() => event.head.uuid.clone(),
            [_, _, ..] => {
                self.split();
                return Ok(None);
            }
            _ => return Err(error),
        };
        if self.tries.goes_on(&error) {
            return Err(error);
        }
        self.tries = Tries::default();
        self.reading = None;
        let error = error.to_string();
        let mut page = self.nothing()?;
        page.unread.push(UnreadEvent { uuid, error });
        Ok(Some(page))
    }

    /// A page of nothing.
    fn nothing(&mut self) -> Result<Page, WalkError> {
        Ok(Page {
            records: no_records()?,
            cursor: self.cursor_at_end(),
            whole: Whole::Events(Vec::new()),
            fetched_ms: now_ms(),
            facts: PageFacts::default(),
            unread: Vec::new(),
        })
    }

    async fn named_on(&mut self, events: &mut Vec<String>) -> Result<Option<Page>, WalkError> {
        let page = if self.is_reading() {
            self.read_on().await?
        } else {
            let Some((some, found)) = self.finder.named(events).await? else {
                return Ok(None);
            };
            self.named = some;
            self.cursor = None;
            self.take_in(found)
        };
        if !self.is_reading() {
            events.drain(..self.named.min(events.len()));
        }
        Ok(Some(page))
    }
}

#[async_trait]
impl Source for AttributesWalk {
    async fn next_page(&mut self) -> Result<Option<Page>, SourceError> {
        self.walk_on().await.map_err(SourceError::new)
    }

    async fn named_page(&mut self, events: &mut Vec<String>) -> Result<Option<Page>, SourceError> {
        self.named_on(events).await.map_err(SourceError::new)
    }

    fn restart(&mut self) {
        self.lists.clear();
        self.reading = None;
        self.cursor = None;
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
