//! Step B: reads the attributes of a list of events that the user's filters select, as
//! `attributes/restSearch` does. Step A does not see these filters: it finds every event that
//! changed, also one whose last matching attribute no longer matches, which is then deleted.
//!
//! Neither `published` nor a clock is sent, and `deleted` always is: an event that is edited, or
//! an attribute that is deleted, while pages are read would move everything behind it up by one,
//! and others would be lost. So that nothing is read by offset where it can be helped, a list
//! that does not come in one answer is read in halves. One event that is larger than a page is
//! looked at before and after; if it moved, it is read again.
//!
//! Without `published`, an event that was edited since step A comes with its new, unreviewed
//! content. It is left out here: it comes when it is published again.

use std::collections::BTreeMap;

use pipeline::EventSeen;
use serde_json::{Map, Value, json};
use splitter::{EventHead, Records};

use super::event::{Event, seen};
use crate::client::{Answer, Endpoint};
use crate::walk::finder::{Finder, WalkError};

/// Times that events are read because they moved while they were read.
const MOST_TRIES: u32 = 3;

/// A list of events that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    events: Vec<Event>,
    /// With another one the pages are cut elsewhere.
    limit: u32,
    page: u64,
    tries: u32,
    /// The events that attributes came of, as they were then.
    came: BTreeMap<String, EventHead>,
}

/// What one step brought.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) records: Records,
    pub(super) bytes: u64,
    /// The events that are whole, if the list has been read to its end.
    pub(super) whole: Option<Vec<EventSeen>>,
}

/// How a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More may follow.
    No,
    /// It was the only page, and it says that it holds everything.
    OnePage,
    /// It was the last of several, or is empty.
    Last,
}

struct Read {
    records: Records,
    bytes: u64,
    end: End,
}

impl Reading {
    pub(super) fn new(events: Vec<Event>, limit: u32) -> Self {
        Self {
            events,
            limit,
            page: 1,
            tries: 1,
            came: BTreeMap::new(),
        }
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Asks which of the events are there, without their attributes.
    pub(super) async fn look_at_all(&self, finder: &Finder) -> Result<(), WalkError> {
        let all: Vec<&Event> = self.events.iter().collect();
        look_at(finder, &all).await.map(drop)
    }

    pub(super) fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// Reads on; `None` if the list is to be read in two halves instead. After an error the same
    /// step is to be taken again.
    pub(super) async fn step(&mut self, finder: &Finder) -> Result<Option<Part>, WalkError> {
        let Read {
            mut records,
            bytes,
            mut end,
        } = self.read(finder, self.page).await?;
        if end == End::No && self.page == 1 && self.events.len() > 1 {
            // What the server leaves out of a page after it was cut looks as if more followed.
            let after = self.read(finder, 2).await?;
            if after.end != End::Last || !after.records.heads().is_empty() {
                return Ok(None);
            }
            end = End::Last;
        }
        for head in records.heads() {
            self.came.insert(head.uuid.clone(), head.clone());
        }
        let kind = finder.options.cursor;
        records.retain(|_, head| finder.filters.wants(head.published, kind));
        let whole = match end {
            End::No => {
                self.page += 1;
                None
            }
            End::OnePage => Some(self.whole_in_one_page(finder).await?),
            End::Last => match self.verified(finder).await? {
                Verified::Split => return Ok(None),
                Verified::Again => None,
                Verified::Whole(whole) => Some(whole),
            },
        };
        Ok(Some(Part {
            records,
            bytes,
            whole,
        }))
    }

    /// All came in one answer, so it is true of one moment.
    async fn whole_in_one_page(&self, finder: &Finder) -> Result<Vec<EventSeen>, WalkError> {
        let mut whole: Vec<EventSeen> = self
            .came
            .values()
            .filter(|head| head.published.is_some() && is_wanted(finder, head))
            .map(seen)
            .collect();
        // Nothing came of these: they are empty, or gone, or no longer to be seen.
        let silent: Vec<&Event> = self
            .events
            .iter()
            .filter(|event| !self.came.contains_key(&event.head.uuid))
            .collect();
        if !silent.is_empty() {
            let now = look_at(finder, &silent).await?;
            let still = silent.into_iter().filter(|event| is_still(event, &now));
            whole.extend(still.map(Event::seen));
        }
        Ok(whole)
    }

    /// More than one answer was needed: did anything move meanwhile?
    async fn verified(&mut self, finder: &Finder) -> Result<Verified, WalkError> {
        let all: Vec<&Event> = self.events.iter().collect();
        let mut now = look_at(finder, &all).await?;
        if self.events.iter().all(|event| is_still(event, &now)) {
            let whole = self
                .events
                .iter()
                .filter(|event| is_wanted(finder, &event.head));
            return Ok(Verified::Whole(whole.map(Event::seen).collect()));
        }
        if self.tries >= MOST_TRIES {
            if self.events.len() > 1 {
                // What moved may have cost the others something: each is read without it.
                return Ok(Verified::Split);
            }
            tracing::warn!(
                event = self.events.first().map(|event| event.head.uuid.as_str()),
                "the event kept changing while it was read: nothing of it is withdrawn"
            );
            return Ok(Verified::Whole(Vec::new()));
        }
        // What is gone has nothing to be read.
        self.events = std::mem::take(&mut self.events)
            .into_iter()
            .filter_map(|event| now.remove(&event.head.uuid))
            .collect();
        if self.events.is_empty() {
            return Ok(Verified::Whole(Vec::new()));
        }
        tracing::info!("events changed while they were read: they are read again");
        self.tries += 1;
        self.page = 1;
        self.came.clear();
        Ok(Verified::Again)
    }

    async fn read(&self, finder: &Finder, page: u64) -> Result<Read, WalkError> {
        let body = Value::Object(self.body(finder, page));
        let Answer {
            body,
            result_count,
            skipped,
            ..
        } = finder
            .client
            .post_search(Endpoint::Attributes, &body)
            .await?;
        let (bytes, split) = (body.len(), finder.options.split);
        let records =
            tokio::task::spawn_blocking(move || Records::from_answer(body, split)).await??;
        let items = records.heads().len() as u64;
        Ok(Read {
            records,
            bytes,
            end: end_of(page, items, skipped.unwrap_or(0), result_count),
        })
    }

    fn body(&self, finder: &Finder, page: u64) -> Map<String, Value> {
        // Never empty: an empty list would be no filter at all.
        let names: Vec<&str> = self.events.iter().map(Event::name).collect();
        let mut body = finder.filters.of_attributes(&finder.options.request);
        body.extend([
            ("returnFormat".to_owned(), json!("json")),
            ("eventid".to_owned(), json!(names)),
            ("limit".to_owned(), json!(self.limit)),
            ("page".to_owned(), json!(page)),
            ("order".to_owned(), json!("Attribute.id asc")),
            ("includeContext".to_owned(), json!(1)),
            ("includeEventTags".to_owned(), json!(1)),
        ]);
        body
    }
}

enum Verified {
    Whole(Vec<EventSeen>),
    Again,
    Split,
}

fn is_wanted(finder: &Finder, head: &EventHead) -> bool {
    finder.filters.wants(head.published, finder.options.cursor)
}

/// Is the event there, and as it was? Each clock and the count: a hard delete in the second of
/// an edit moves the count only.
fn is_still(event: &Event, now: &BTreeMap<String, Event>) -> bool {
    now.get(&event.head.uuid) == Some(event)
}

/// These events as they are now, published or not, by uuid.
async fn look_at(finder: &Finder, events: &[&Event]) -> Result<BTreeMap<String, Event>, WalkError> {
    let mut found = BTreeMap::new();
    let mut asks = vec![events];
    while let Some(some) = asks.pop() {
        let names: Vec<&str> = some.iter().map(|event| event.name()).collect();
        let body = Map::from_iter([
            ("returnFormat".to_owned(), json!("json")),
            ("metadata".to_owned(), json!(1)),
            ("excludeGalaxy".to_owned(), json!(1)),
            ("published".to_owned(), json!([0, 1])),
            ("eventid".to_owned(), json!(names)),
            ("limit".to_owned(), json!(names.len() + 2)),
            ("page".to_owned(), json!(1)),
            ("order".to_owned(), json!(["id asc"])),
        ]);
        let (facts, records) = finder.fetch(body).await?;
        let items = records.heads().len() as u64;
        if facts.result_count.is_some_and(|all| all > items) && some.len() > 1 {
            // A server that caps its pages.
            let (first, second) = some.split_at(some.len() / 2);
            asks.extend([first, second]);
            continue;
        }
        let seen = records.heads().iter().filter_map(Event::new);
        found.extend(seen.map(|event| (event.head.uuid.clone(), event)));
    }
    Ok(found)
}

/// Is this page the end? Its `X-Result-Count` is no total: it is the rows read for the page, and
/// one more if it came out full or empty.
fn end_of(page: u64, items: u64, skipped: u64, result_count: Option<u64>) -> End {
    match result_count {
        Some(count) if skipped == 0 && items >= 1 && count == items => {
            if page == 1 {
                End::OnePage
            } else {
                End::Last
            }
        }
        Some(count) if skipped == 0 && items == 0 && count <= 1 => End::Last,
        None if items == 0 => End::Last,
        _ => End::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_as_they_were_seen_to() {
        // Pages of 100: 321 attributes of ten events.
        assert_eq!(end_of(1, 100, 0, Some(101)), End::No);
        assert_eq!(end_of(4, 21, 0, Some(21)), End::Last);
        assert_eq!(end_of(5, 0, 0, Some(1)), End::Last);
        assert_eq!(end_of(1, 21, 0, Some(21)), End::OnePage);
        // Left out by a warning list, or by the server's allowed list, which nothing counts.
        assert_eq!(end_of(1, 0, 10, Some(11)), End::No);
        assert_eq!(end_of(1, 7, 3, Some(10)), End::No);
        assert_eq!(end_of(2, 0, 0, Some(11)), End::No);
        assert_eq!(end_of(1, 10, 0, None), End::No);
        assert_eq!(end_of(2, 0, 0, None), End::Last);
    }
}
