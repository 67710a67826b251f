//! Events that MISP cannot give although it answers otherwise.
//!
//! When the smallest page does not come, MISP is asked which events are on it (`metadata`), and
//! then for each of them by name. An event that still does not come is passed over: the pipeline
//! puts it into the refetch queue, and the walk goes on behind it.

use pipeline::{PageFacts, UnreadEvent, now_ms};
use serde_json::json;
use splitter::{Body, EventHead, Records, SplitLimits};

use super::finder::{Facts, Finder, Found, WalkError, settled};
use super::steps::{Answered, Ask};

/// Tries at one event: the server may have been busy for a moment.
const TRIES: u32 = 2;

/// Failed tries at one event.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Is the event to be tried again after this error?
    pub(super) fn goes_on(&mut self, error: &WalkError) -> bool {
        if !error.may_be_too_large() {
            return true;
        }
        self.0 = self.0.saturating_add(1);
        self.0 < TRIES && !error.is_certain()
    }
}

/// A page whose events are asked for one by one.
#[derive(Debug)]
pub(super) struct Isolated {
    /// What is on it, in order.
    heads: Vec<EventHead>,
    matched: Option<u64>,
    date: Option<i64>,
    fetched_ms: i64,
    /// The place of the next event.
    next: usize,
    tries: Tries,
}

impl Isolated {
    fn answered(&self) -> Answered<'_> {
        let (settled, dated) = settled(self.date, self.fetched_ms);
        Answered {
            heads: &self.heads,
            matched: self.matched,
            settled,
            dated,
        }
    }
}

impl Found {
    /// A page of nothing but an event that does not come.
    pub(super) fn unread(uuid: String, error: &WalkError) -> Result<Self, WalkError> {
        let error = error.to_string();
        Ok(Self {
            unread: vec![UnreadEvent { uuid, error }],
            ..Self::nothing()?
        })
    }

    fn nothing() -> Result<Self, WalkError> {
        Ok(Self {
            records: no_records()?,
            cursor: None,
            fetched_ms: now_ms(),
            facts: PageFacts::default(),
            unread: Vec::new(),
        })
    }
}

/// The records of a page of nothing.
pub(super) fn no_records() -> Result<Records, WalkError> {
    let body = Body::from(b"[]".to_vec());
    Ok(Records::from_answer(body, SplitLimits::default())?)
}

impl Finder {
    /// The smallest page did not come, because of `error`: from now on its events are asked for
    /// one by one.
    ///
    /// # Errors
    /// The error, if it is not that of an event: MISP does not say what is on the page either.
    pub(super) async fn isolate(&mut self, ask: Ask, error: WalkError) -> Result<(), WalkError> {
        if !error.may_be_too_large() {
            return Err(error);
        }
        let mut body = self.body(ask);
        body.insert("metadata".to_owned(), 1.into());
        body.insert("excludeGalaxy".to_owned(), 1.into());
        let Ok((facts, records)) = self.fetch(body).await else {
            return Err(error);
        };
        let Facts {
            date, result_count, ..
        } = facts;
        let isolated = Isolated {
            heads: self.by_clock(records.heads()),
            matched: result_count,
            date,
            fetched_ms: now_ms(),
            next: 0,
            tries: Tries::default(),
        };
        let heads = &isolated.heads;
        if heads.is_empty() || heads.iter().any(|head| head.uuid.is_empty()) {
            return Err(error);
        }
        // If it is not, the walk goes on in another way.
        if self.is_sorted(ask, &isolated.answered()).await? {
            tracing::warn!(%error, "a page does not come, its events are read one by one");
            self.isolated = Some(isolated);
        }
        Ok(())
    }

    /// The next event of a page that is read one by one, or the end of that page; `None` if no
    /// page is.
    pub(super) async fn isolated_on(&mut self) -> Result<Option<Found>, WalkError> {
        let (Some(isolated), Some(walk)) = (&mut self.isolated, &mut self.walk) else {
            return Ok(None);
        };
        let rest = isolated.heads.iter().skip(isolated.next);
        let known = rest.take_while(|head| walk.knows(head)).count();
        isolated.next += known;
        let Some(head) = isolated.heads.get(isolated.next) else {
            let keep = walk.take(&isolated.answered());
            let found = Found {
                cursor: Some(walk.durable().write(self.options.cursor)),
                facts: PageFacts {
                    matched: isolated.matched,
                    items: keep.iter().filter(|keep| !**keep).count() as u64,
                    seen_before: keep.iter().filter(|keep| !**keep).count() as u64,
                    bytes: 0,
                },
                ..Found::nothing()?
            };
            self.isolated = None;
            self.size.succeeded();
            return Ok(Some(found));
        };
        let uuid = head.uuid.clone();
        let key = self.filters.free_name_for_events();
        let body = self.body_by_name(key, &[json!(uuid)]);
        let came = self.fetch(body).await;
        let found = match came {
            Ok((facts, records)) => self.of_those(std::slice::from_ref(&uuid), &facts, records),
            Err(error) => {
                let isolated = self.isolated.as_mut();
                if isolated.is_some_and(|isolated| isolated.tries.goes_on(&error)) {
                    return Err(error);
                }
                Found::unread(uuid, &error)?
            }
        };
        if let Some(isolated) = &mut self.isolated {
            isolated.next += 1;
            isolated.tries = Tries::default();
        }
        Ok(Some(found))
    }

    /// One event that was asked for by name did not come: it is passed over if MISP answers
    /// otherwise.
    pub(super) async fn unread_by_name(
        &mut self,
        asked: &[String],
        error: WalkError,
    ) -> Result<Found, WalkError> {
        let [uuid] = asked else {
            return Err(error);
        };
        let key = self.filters.free_name_for_events();
        let mut body = self.body_by_name(key, &[json!(uuid)]);
        body.insert("metadata".to_owned(), 1.into());
        body.insert("excludeGalaxy".to_owned(), 1.into());
        if self.named_tries.goes_on(&error) || self.fetch(body).await.is_err() {
            return Err(error);
        }
        self.named_tries = Tries::default();
        Found::unread(uuid.clone(), &error)
    }
}
