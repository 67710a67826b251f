//! Loose attributes, from `attributes/restSearch`, one event list after another.
//!
//! Two levels and one cursor. Step A walks the events as [`super::EventsWalk`] does, without
//! their attributes. Step B reads the attributes of the events it found, in lists that fit one
//! answer. In step B no `published` is sent and `deleted` always is: an event that is edited,
//! or an attribute that is deleted, while pages are read would move everything behind it up by
//! one, and others would be lost. An event that is larger than a page is looked at before and
//! after; if it moved, it is read again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_trait::async_trait;
use pipeline::{Cursor, EventSeen, Listing, Page, PageFacts, Source, SourceError, Whole, now_ms};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use splitter::{Body, Records};

use super::cursor::CursorError;
use super::finder::{Finder, Found, WalkError, WalkOptions};
use super::listing::MispListing;
use crate::client::{Answer, Client, Endpoint};

/// Events in one list, however few attributes they have: the list goes into the request.
const EVENTS_AT_ONCE: usize = 500;
/// Times that events are read because they moved while they were read.
const MOST_TRIES: u32 = 3;
/// Filters of the user that cut an event's list of attributes on `events/restSearch` too. The
/// others select events, and step A has done that.
const CUTTING: [&str; 2] = ["to_ids", "enforceWarninglist"];

/// Walks `attributes/restSearch`: attributes with their event inside.
#[derive(Debug)]
pub struct AttributesWalk {
    finder: Finder,
    /// Lists of events to read, before the cursor may move.
    lists: VecDeque<Vec<Event>>,
    reading: Option<Reading>,
    /// Where to continue when all lists are read; none for events that were named.
    cursor: Option<Cursor>,
    /// How many of the named events the lists stand for.
    named: usize,
}

/// An event as step A saw it.
#[derive(Debug, Clone)]
struct Event {
    id: String,
    seen: EventSeen,
    timestamp: String,
    published: bool,
    attributes: u64,
}

/// A list of events that is being read.
#[derive(Debug)]
struct Reading {
    events: Vec<Event>,
    page: u64,
    tries: u32,
    /// Event uuids that attributes came of.
    came: BTreeSet<String>,
}

impl Reading {
    fn new(events: Vec<Event>) -> Self {
        Self {
            events,
            page: 1,
            tries: 1,
            came: BTreeSet::new(),
        }
    }
}

/// How a page of step B ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More may follow.
    No,
    /// It was the only page, and it says that it holds everything.
    OnePage,
    /// It was the last of several, or is empty.
    Last,
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
        Ok(Self {
            finder: Finder::new(client, options, cursor, without_attributes)?,
            lists: VecDeque::new(),
            reading: None,
            cursor: None,
            named: 0,
        })
    }

    async fn walk_on(&mut self) -> Result<Option<Page>, WalkError> {
        if self.reading.is_none() && self.lists.is_empty() {
            let Some(found) = self.finder.advance().await? else {
                return Ok(None);
            };
            let cursor = found.cursor.clone();
            self.cursor = Some(cursor);
            if let Some(page) = self.take_in(found).await? {
                return Ok(Some(page));
            }
        }
        self.read_on().await.map(Some)
    }

    /// Makes lists of what step A found; a page without attributes if there is nothing to read.
    async fn take_in(&mut self, found: Found) -> Result<Option<Page>, WalkError> {
        let Found {
            records,
            fetched_ms,
            facts,
            ..
        } = found;
        let events = tokio::task::spawn_blocking(move || heads(records)).await??;
        let most = u64::from(self.finder.options.attributes_page);
        let (none, some): (Vec<Event>, Vec<Event>) =
            events.into_iter().partition(|event| event.attributes == 0);
        let mut list: Vec<Event> = Vec::new();
        for event in some {
            let size: u64 = list.iter().map(|event| event.attributes).sum();
            if !list.is_empty() && (size + event.attributes > most || list.len() >= EVENTS_AT_ONCE)
            {
                self.lists.push_back(std::mem::take(&mut list));
            }
            list.push(event);
        }
        if !list.is_empty() {
            self.lists.push_back(list);
        }
        // Events without attributes need not be read: nothing of them is there.
        let whole = none.into_iter().map(|event| event.seen).collect();
        let done = self.lists.is_empty();
        Ok(Some(Page {
            records: nothing()?,
            cursor: done.then(|| self.cursor.take()).flatten(),
            whole: Whole::Events(whole),
            fetched_ms,
            facts,
        }))
    }

    /// The next page of the list that is being read.
    async fn read_on(&mut self) -> Result<Page, WalkError> {
        if self.reading.is_none() {
            self.reading = self.lists.pop_front().map(Reading::new);
        }
        let Some(mut reading) = self.reading.take() else {
            return self.empty_page();
        };
        let read = self.read_page(&mut reading).await;
        let (records, facts, whole) = match read {
            Ok(read) => read,
            Err(error) => {
                // Asked again, the same page comes.
                self.reading = Some(reading);
                return Err(error);
            }
        };
        let finished = match &whole {
            Some(_) => true,
            None => {
                self.reading = Some(reading);
                false
            }
        };
        let last = finished && self.lists.is_empty();
        Ok(Page {
            records,
            cursor: last.then(|| self.cursor.take()).flatten(),
            whole: Whole::Events(whole.unwrap_or_default()),
            fetched_ms: now_ms(),
            facts,
        })
    }

    fn empty_page(&mut self) -> Result<Page, WalkError> {
        Ok(Page {
            records: nothing()?,
            cursor: self.cursor.take(),
            whole: Whole::Events(Vec::new()),
            fetched_ms: now_ms(),
            facts: PageFacts::default(),
        })
    }

    /// One page of step B, and the whole events if the list is at its end.
    async fn read_page(
        &mut self,
        reading: &mut Reading,
    ) -> Result<(Records, PageFacts, Option<Vec<EventSeen>>), WalkError> {
        let limit = u64::from(self.finder.options.attributes_page).max(2);
        let body = self.body(&reading.events, reading.page, limit);
        let answer = self
            .finder
            .client
            .post_search(Endpoint::Attributes, &Value::Object(body))
            .await?;
        let Answer {
            body,
            result_count,
            skipped,
            ..
        } = answer;
        let (bytes, split) = (body.len(), self.finder.options.split);
        let records =
            tokio::task::spawn_blocking(move || Records::from_answer(body, split)).await??;
        for head in records.heads() {
            reading.came.insert(head.uuid.clone());
        }
        let items = records.heads().len() as u64;
        let facts = PageFacts {
            bytes,
            ..PageFacts::default()
        };
        let end = end_of(reading.page, items, skipped.unwrap_or(0), result_count);
        if end == End::No {
            reading.page += 1;
            return Ok((records, facts, None));
        }
        let silent = reading
            .events
            .iter()
            .any(|event| !reading.came.contains(&event.seen.uuid));
        if end == End::OnePage && !silent {
            let whole = reading.events.iter().map(|event| event.seen.clone());
            return Ok((records, facts, Some(whole.collect())));
        }
        let whole = self.verified(reading).await?;
        Ok((records, facts, whole))
    }

    /// The events that did not move while they were read; `None` if they are to be read again.
    async fn verified(&self, reading: &mut Reading) -> Result<Option<Vec<EventSeen>>, WalkError> {
        let now = self.look_at(&reading.events).await?;
        let still = |event: &Event| {
            now.get(&event.seen.uuid).is_some_and(|now| {
                now.timestamp == event.timestamp && now.published == event.published
            })
        };
        let moved = reading
            .events
            .iter()
            .any(|event| !still(event) && now.contains_key(&event.seen.uuid));
        if moved && reading.tries < MOST_TRIES {
            reading.tries += 1;
            reading.page = 1;
            reading.came.clear();
            for event in &mut reading.events {
                if let Some(now) = now.get(&event.seen.uuid) {
                    event.timestamp.clone_from(&now.timestamp);
                    event.published = now.published;
                }
            }
            tracing::info!("events changed while they were read: they are read again");
            return Ok(None);
        }
        if moved {
            tracing::warn!(
                "events kept changing while they were read: nothing of them is withdrawn"
            );
        }
        let whole = reading.events.iter().filter(|event| still(event));
        Ok(Some(whole.map(|event| event.seen.clone()).collect()))
    }

    /// These events as they are now, published or not, by uuid.
    async fn look_at(&self, events: &[Event]) -> Result<BTreeMap<String, Event>, WalkError> {
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let body = json!({
            "returnFormat": "json", "metadata": 1, "excludeGalaxy": 1, "published": [0, 1],
            "eventid": ids, "limit": ids.len() + 2, "page": 1, "order": ["id asc"],
        });
        let Value::Object(body) = body else {
            return Ok(BTreeMap::new());
        };
        let (_, records) = self.finder.fetch(body).await?;
        let events = tokio::task::spawn_blocking(move || heads(records)).await??;
        let by_uuid = events
            .into_iter()
            .map(|event| (event.seen.uuid.clone(), event));
        Ok(by_uuid.collect())
    }

    fn body(&self, events: &[Event], page: u64, limit: u64) -> Map<String, Value> {
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let mut body = self.finder.options.request.clone();
        for name in CUTTING {
            if let Some(value) = self.finder.filters.get(name) {
                body.insert(name.to_owned(), value.clone());
            }
        }
        body.extend([
            ("returnFormat".to_owned(), json!("json")),
            ("eventid".to_owned(), json!(ids)),
            ("limit".to_owned(), json!(limit)),
            ("page".to_owned(), json!(page)),
            ("order".to_owned(), json!("Attribute.id asc")),
            ("includeContext".to_owned(), json!(1)),
            ("includeEventTags".to_owned(), json!(1)),
            ("deleted".to_owned(), json!([0, 1])),
        ]);
        body
    }

    async fn named_on(&mut self, events: &mut Vec<String>) -> Result<Option<Page>, WalkError> {
        if self.reading.is_none() && self.lists.is_empty() {
            self.named = events.len().min(self.finder.page_size());
            let Some(asked) = events.get(..self.named).filter(|asked| !asked.is_empty()) else {
                return Ok(None);
            };
            let found = self.finder.named(asked).await?;
            self.cursor = None;
            let page = self.take_in(found).await?;
            if self.lists.is_empty() {
                events.drain(..self.named);
            }
            return Ok(page);
        }
        let page = self.read_on().await?;
        if self.reading.is_none() && self.lists.is_empty() {
            events.drain(..self.named.min(events.len()));
        }
        Ok(Some(page))
    }
}

/// Is this page of step B the end? Its `X-Result-Count` is no total: it is the rows read for the
/// page, and one more if it came out full or empty.
fn end_of(page: u64, items: u64, skipped: u64, result_count: Option<u64>) -> End {
    match result_count {
        Some(count) if page == 1 && skipped == 0 && items >= 1 && count == items => End::OnePage,
        Some(count) if skipped == 0 && items >= 1 && count == items => End::Last,
        Some(count) if skipped == 0 && items == 0 && count <= 1 => End::Last,
        None if items == 0 => End::Last,
        _ => End::No,
    }
}

/// No records at all.
fn nothing() -> Result<Records, WalkError> {
    let body = Body::from(b"[]".to_vec());
    Ok(Records::from_answer(
        body,
        splitter::SplitLimits::default(),
    )?)
}

/// What step A knows of the events of an answer.
fn heads(records: Records) -> Result<Vec<Event>, WalkError> {
    records
        .map(|record| {
            let record = record?;
            let Wrapped { event } =
                serde_json::from_slice(&record.json).map_err(|error| WalkError::Listing {
                    what: error.to_string(),
                })?;
            Ok(Event {
                id: text(&event.id),
                seen: EventSeen {
                    uuid: record.head.uuid,
                    publish_timestamp: record.head.publish_timestamp.unwrap_or(0),
                },
                timestamp: text(&event.timestamp),
                published: matches!(event.published, Value::Bool(true))
                    || text(&event.published) == "1",
                attributes: text(&event.attribute_count).parse().unwrap_or(1),
            })
        })
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[derive(Deserialize)]
struct Wrapped {
    #[serde(rename = "Event")]
    event: Head,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    timestamp: Value,
    #[serde(default)]
    published: Value,
    #[serde(default)]
    attribute_count: Value,
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

    fn listing(&self) -> Option<Box<dyn Listing>> {
        Some(Box::new(MispListing::new(&self.finder)))
    }
}
