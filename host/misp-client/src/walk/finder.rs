//! Asks `events/restSearch` page after page: what both endpoints' walks are made of.

use std::collections::BTreeSet;
use std::time::Duration;

use pipeline::{Class, Classify, Cursor, PageFacts, PublishedSince, UnreadEvent, now_ms};
use serde_json::{Map, Value, json};
use splitter::{EventHead, Records, SplitError, SplitLimits};

use super::at_once::{AtOnce, limit};
use super::cursor::{CursorError, CursorKind, Position, Publication};
use super::isolate::{Isolated, Tries};
use super::listing::published_since;
use super::size::{PageSize, Smaller};
use super::steps::{Answered, Ask, FAR_AHEAD, Steps, publication};
use crate::client::{Answer, Client, Endpoint};
use crate::error::ClientError;
use crate::filters::Filters;

/// A second is settled when the answer's `Date` is this far past it: an event can be published
/// twice in one second, and MISP writes `publish_timestamp` as its last act.
const SETTLED_AFTER: i64 = 2;
/// The same by the host's clock, for a server without `Date`: how far two clocks that are both
/// looked after may differ.
const SETTLED_AFTER_BY_HOST: i64 = 300;
/// Events looked at to find out whether the server sorts: more than one, since some share a second.
const PROOF: u32 = 20;

/// How a walk goes.
#[derive(Debug, Clone)]
pub struct WalkOptions {
    /// The user's filters; see [`Filters`] for what of them is sent.
    pub filters: Map<String, Value>,
    /// The search flags the mapping needs (`request` in wit/mapping.wit); the user's filters win.
    pub request: Map<String, Value>,
    /// Events a page, at least 2. Default 50.
    pub page_size: u32,
    /// Attributes a page of `attributes/restSearch`. Default 5,000: about a second for MISP, and
    /// some 8 MB.
    pub attributes_page: u32,
    /// The clock that the walk goes by. Default: `publish_timestamp`.
    pub cursor: CursorKind,
    /// The first walk begins at what was published in this time before now, by the server's
    /// clock; of no effect once there is a cursor. Default: none, everything ever published.
    pub lookback: Option<Duration>,
    /// How events are cut into records.
    pub split: SplitLimits,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            filters: Map::new(),
            request: Map::new(),
            page_size: 50,
            attributes_page: 5_000,
            cursor: CursorKind::Publish,
            lookback: None,
            split: SplitLimits::default(),
        }
    }
}

/// A page that did not come, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The request brought no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The answer is not a whole page of MISP.
    #[error("the answer of MISP cannot be read: {0}; it is asked for again")]
    Answer(#[from] SplitError),
    /// Something listed does not look as MISP writes it.
    #[error("the listing of MISP cannot be read: {what}; it is asked for again")]
    Listing {
        /// What is wrong.
        what: String,
    },
    /// The events kept changing while they were listed.
    #[error("the events of MISP kept changing while they were listed; they are listed again")]
    Restless,
    /// This process is going down.
    #[error("the answer was not read to its end: {0}")]
    Reader(#[from] tokio::task::JoinError),
}

impl Classify for WalkError {
    fn class(&self) -> Class {
        match self {
            Self::Client(error) => error.class(),
            // A response we cannot parse is a failure, never an empty page.
            Self::Answer(_) | Self::Listing { .. } | Self::Restless | Self::Reader(_) => {
                Class::Transient { after: None }
            }
        }
    }
}

impl WalkError {
    /// May fewer events succeed where these did not?
    pub(super) fn may_be_too_large(&self) -> bool {
        match self {
            Self::Client(error) => error.may_be_too_large(),
            Self::Answer(_) => true,
            Self::Listing { .. } | Self::Restless | Self::Reader(_) => false,
        }
    }

    /// Is it sure that the same answer fails again, and that the server is not to blame?
    pub(super) fn is_certain(&self) -> bool {
        matches!(self, Self::Client(ClientError::TooLarge { .. }))
    }
}

/// A page of events, those left out that came before.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) records: Records,
    /// `None` if the walk goes on within the page.
    pub(super) cursor: Option<Cursor>,
    pub(super) fetched_ms: i64,
    pub(super) facts: PageFacts,
    /// Events of the page that MISP cannot give.
    pub(super) unread: Vec<UnreadEvent>,
}

/// Walks `events/restSearch` by one clock, again and again. Hands out every publication of every
/// event at least once, and again only where it cannot be told from a new one.
#[derive(Debug)]
pub(super) struct Finder {
    pub(super) client: Client,
    pub(super) options: WalkOptions,
    pub(super) filters: Filters,
    /// Sent beside everything else.
    extra: Map<String, Value>,
    pub(super) size: PageSize,
    /// Events asked for by name.
    at_once: AtOnce,
    /// Where the next walk begins; `None` before the first.
    position: Option<Position>,
    pub(super) walk: Option<Steps>,
    /// Where the first walk began after which the other publications were not asked for:
    /// the first second to ask for, and the one before which an event was read by earlier walks.
    unlisted_since: Option<(i64, i64)>,
    /// What is dated from this second on is known already: this walk does not ask for it.
    known_from: Option<i64>,
    /// A page that does not come, and whose events are asked for one by one.
    pub(super) isolated: Option<Isolated>,
    /// Tries at the first of the events that are asked for by name.
    pub(super) named_tries: Tries,
    /// Did this server show that it sorts?
    sorts: bool,
    warned: bool,
}

impl Finder {
    /// A walk that continues at the cursor, or begins by `lookback` where there is none. Logs a
    /// warning for each filter that does not do what it seems to.
    pub(super) fn new(
        client: Client,
        options: WalkOptions,
        cursor: Option<&Cursor>,
        endpoint: Endpoint,
        extra: Map<String, Value>,
    ) -> Result<Self, CursorError> {
        let (filters, warnings) = Filters::for_endpoint(&options.filters, options.cursor, endpoint);
        for warning in warnings {
            tracing::warn!(%warning, "a filter does not do what it seems to");
        }
        let kind = options.cursor;
        Ok(Self {
            client,
            filters,
            extra,
            size: PageSize::new(options.page_size),
            at_once: AtOnce::new(options.page_size),
            options,
            position: cursor
                .map(|cursor| Position::read(cursor, kind))
                .transpose()?,
            walk: None,
            unlisted_since: None,
            known_from: None,
            isolated: None,
            named_tries: Tries::default(),
            sorts: false,
            warned: false,
        })
    }

    /// The next walk begins where the very first one did.
    pub(super) fn restart(&mut self) {
        self.walk = None;
        self.isolated = None;
        self.position = self
            .position
            .take()
            .map(|position| Position::at(position.from));
    }

    /// Where the very first walk began, UNIX seconds of the walk's clock.
    pub(super) fn from(&self) -> i64 {
        self.position.as_ref().map_or(1, |position| position.from)
    }

    /// The first of these events as they are now, under the same filters, whatever their clocks,
    /// and how many of the uuids that settles; `None` if there are none.
    pub(super) async fn named(
        &mut self,
        uuids: &[String],
    ) -> Result<Option<(usize, Found)>, WalkError> {
        let key = self.filters.free_name_for_events();
        loop {
            let some = uuids.len().min(self.at_once.now());
            // Never an empty list: it would be no filter at all.
            let Some(asked) = uuids.get(..some).filter(|asked| !asked.is_empty()) else {
                return Ok(None);
            };
            let names: Vec<Value> = asked.iter().map(|uuid| json!(uuid)).collect();
            let (answer, records) = match self.fetch(self.body_by_name(key, &names)).await {
                Ok(came) => came,
                Err(error) => match self.at_once.smaller_after(&error) {
                    Smaller::Now => continue,
                    Smaller::Later => return Err(error),
                    Smaller::No => {
                        let unread = self.unread_by_name(asked, error).await?;
                        return Ok(Some((some, unread)));
                    }
                },
            };
            self.named_tries = Tries::default();
            let came = records.heads().len() as u64;
            let (client, matched) = (&self.client, answer.result_count);
            if !self
                .at_once
                .is_whole(client, key, &names, came, matched)
                .await?
            {
                continue;
            }
            self.at_once.succeeded();
            return Ok(Some((some, self.of_those(asked, &answer, records))));
        }
    }

    pub(super) fn body_by_name(&self, key: &str, names: &[Value]) -> Map<String, Value> {
        let mut body = self
            .filters
            .body(&self.options.request, self.options.cursor);
        body.extend(self.extra.clone());
        body.extend([
            (key.to_owned(), json!(names)),
            ("returnFormat".to_owned(), json!("json")),
            ("page".to_owned(), json!(1)),
            ("limit".to_owned(), json!(limit(names.len()))),
            ("order".to_owned(), json!(["id asc"])),
        ]);
        body
    }

    pub(super) fn of_those(&self, uuids: &[String], answer: &Facts, mut records: Records) -> Found {
        let items = records.heads().len();
        // An attribute's uuid finds its event too.
        records.retain(|_, head| {
            uuids.contains(&head.uuid) && self.filters.lets_event(&head.id, &head.uuid)
        });
        Found {
            cursor: None,
            unread: Vec::new(),
            fetched_ms: now_ms(),
            facts: PageFacts {
                matched: answer.result_count,
                items: items as u64,
                seen_before: (items - records.heads().len()) as u64,
                bytes: answer.bytes,
            },
            records,
        }
    }

    /// The next page of the walk.
    pub(super) async fn advance(&mut self) -> Result<Option<Found>, WalkError> {
        if self.walk.is_none() {
            let beginning = self.beginning().await?;
            self.unlisted_since = match beginning.w > beginning.from {
                true => self.unlisted_since.or(Some(unlisted_since(&beginning))),
                false => None,
            };
            self.known_from = None;
            self.known_from = self.known_ahead(&beginning).await;
            self.walk = Some(Steps::new(beginning));
        }
        loop {
            if let Some(found) = self.isolated_on().await? {
                return Ok(Some(found));
            }
            let limit = self.size.now();
            let Some(ask) = self.walk.as_mut().and_then(|walk| walk.ask(limit)) else {
                self.end();
                return Ok(None);
            };
            let (answer, mut records) = match self.fetch(self.body(ask)).await {
                Ok(came) => came,
                Err(error) => match self.size.smaller_after(&error, "events") {
                    Smaller::Now => continue,
                    Smaller::Later => return Err(error),
                    Smaller::No => {
                        self.isolate(ask, error).await?;
                        continue;
                    }
                },
            };
            let fetched_ms = now_ms();
            let (settled, dated) = settled(answer.date, fetched_ms);
            let kind = self.options.cursor;
            let heads = self.by_clock(records.heads());
            let answered = Answered {
                heads: &heads,
                matched: answer.result_count,
                settled,
                dated,
            };
            if !self.is_sorted(ask, &answered).await? {
                continue;
            }
            let Some(walk) = self.walk.as_mut() else {
                continue;
            };
            if walk.at_first_page() {
                self.size.succeeded();
            }
            let keep = walk.take(&answered);
            let kept = keep.iter().filter(|keep| **keep).count();
            let cursor = walk.durable().write(kind);
            records.retain(|place, _| keep.get(place).copied().unwrap_or(true));
            return Ok(Some(Found {
                records,
                cursor: Some(cursor),
                unread: Vec::new(),
                fetched_ms,
                facts: PageFacts {
                    matched: answer.result_count,
                    items: heads.len() as u64,
                    seen_before: (heads.len() - kept) as u64,
                    bytes: answer.bytes,
                },
            }));
        }
    }

    fn end(&mut self) {
        if let Some(walk) = self.walk.take() {
            if walk.given_up() {
                tracing::warn!(
                    "events kept changing while they were read by page: the next poll reads them \
                     again"
                );
            }
            self.position = Some(walk.durable().clone());
        }
    }

    async fn beginning(&mut self) -> Result<Position, WalkError> {
        if let Some(position) = &self.position {
            return Ok(position.clone());
        }
        let position = match self.options.lookback {
            None => Position::at(1),
            Some(back) => {
                let (now, _) = settled(self.client.version().await?.date, now_ms());
                Position::at(now.saturating_sub(back.as_secs().try_into().unwrap_or(i64::MAX)))
            }
        };
        self.position = Some(position.clone());
        Ok(position)
    }

    /// What has been published since the last walk began, whatever the filters.
    pub(super) async fn published(&mut self) -> Result<Option<PublishedSince>, WalkError> {
        let Some((since, seconds)) = self.unlisted_since else {
            return Ok(None);
        };
        if self.options.cursor != CursorKind::Publish {
            return Ok(None);
        }
        let listed = published_since(&self.client, since).await?;
        self.unlisted_since = None;
        Ok(Some(PublishedSince {
            seconds,
            events: listed.into_iter().map(|event| event.uuid).collect(),
        }))
    }

    /// The first second of the events that are far ahead of the server's clock, if all of them are
    /// known. They would come with every poll otherwise, and whole.
    async fn known_ahead(&self, position: &Position) -> Option<i64> {
        let far = position.w.saturating_add(FAR_AHEAD);
        let known = position.seen.iter().filter(|(_, second)| *second > far);
        let known: BTreeSet<Publication> = known.cloned().collect();
        let first = known.iter().map(|(_, second)| *second).min()?;
        let mut body = self.body(Ask {
            from: first,
            one_second: false,
            page: 1,
            limit: u32::try_from(known.len())
                .unwrap_or(u32::MAX)
                .saturating_add(2),
        });
        body.insert("metadata".to_owned(), 1.into());
        body.insert("excludeGalaxy".to_owned(), 1.into());
        // Without an answer they are asked for with everything else.
        let (_, records) = self.fetch(body).await.ok()?;
        let there: BTreeSet<Publication> = self
            .by_clock(records.heads())
            .iter()
            .map(publication)
            .collect();
        (there == known).then_some(first)
    }

    /// Is the answer sorted, and does the server sort at all? A page can be in order by chance,
    /// so before a first page of several is trusted, the server must show it. If it doesn't
    /// sort, the walk goes on by page.
    pub(super) async fn is_sorted(
        &mut self,
        ask: Ask,
        answered: &Answered<'_>,
    ) -> Result<bool, WalkError> {
        let Some(walk) = &self.walk else {
            return Ok(false);
        };
        let mut sorted = walk.in_order(answered);
        if sorted && !self.sorts && walk.needs_order(answered) {
            sorted = self.proves_order(ask.from).await?;
            self.sorts = sorted;
        }
        if !sorted {
            self.sorts = false;
            if !std::mem::replace(&mut self.warned, true) {
                tracing::warn!(
                    clock = self.options.cursor.column(),
                    "this MISP does not sort as it is asked to: events are read by page, and \
                     the cursor moves only when all have come; a newer MISP is faster here"
                );
            }
            if let Some(walk) = self.walk.as_mut() {
                walk.fall_back();
            }
        }
        Ok(sorted)
    }

    /// Asked the other way round, does the order turn?
    async fn proves_order(&self, from: i64) -> Result<bool, WalkError> {
        let mut body = self.body(Ask {
            from,
            one_second: false,
            page: 1,
            limit: PROOF.min(self.size.now()),
        });
        body.insert(
            "order".to_owned(),
            json!([format!("{} desc", self.options.cursor.column()), "id desc"]),
        );
        body.insert("metadata".to_owned(), 1.into());
        body.insert("excludeGalaxy".to_owned(), 1.into());
        let (_, records) = self.fetch(body).await?;
        let seconds: Vec<Option<i64>> = records
            .heads()
            .iter()
            .map(|head| by_clock(head, self.options.cursor).publish_timestamp)
            .collect();
        Ok(seconds.is_sorted_by(|a, b| a >= b))
    }

    pub(super) fn by_clock(&self, heads: &[EventHead]) -> Vec<EventHead> {
        let kind = self.options.cursor;
        heads.iter().map(|head| by_clock(head, kind)).collect()
    }

    pub(super) fn body(&self, ask: Ask) -> Map<String, Value> {
        let window = if ask.one_second {
            json!([ask.from, ask.from])
        } else {
            match self.known_from {
                Some(known) if ask.from < known => json!([ask.from, known - 1]),
                _ => json!(ask.from),
            }
        };
        let clock = self.options.cursor.column();
        let mut body = self
            .filters
            .body(&self.options.request, self.options.cursor);
        body.extend(self.extra.clone());
        body.extend([
            ("returnFormat".to_owned(), json!("json")),
            ("page".to_owned(), json!(ask.page)),
            ("limit".to_owned(), json!(ask.limit)),
            (
                "order".to_owned(),
                json!([format!("{clock} asc"), "id asc"]),
            ),
            (clock.to_owned(), window),
        ]);
        body
    }

    pub(super) async fn fetch(
        &self,
        body: Map<String, Value>,
    ) -> Result<(Facts, Records), WalkError> {
        let Answer {
            body,
            date,
            result_count,
            ..
        } = self
            .client
            .post_search(Endpoint::Events, &Value::Object(body))
            .await?;
        let facts = Facts {
            date,
            result_count,
            bytes: body.len(),
        };
        let limits = self.options.split;
        // It reads the whole body once, which may be in a file.
        let records =
            tokio::task::spawn_blocking(move || Records::from_answer(body, limits)).await??;
        Ok((facts, records))
    }
}

/// The first second in which an event may be published that a walk from here must bring, and the
/// one before which earlier walks have read what they brought. Of a second with publications that
/// need not come again, none is still to come.
fn unlisted_since(position: &Position) -> (i64, i64) {
    let after = position.w.saturating_add(1);
    let is_settled = position
        .seen
        .iter()
        .any(|(_, second)| *second == position.w);
    (if is_settled { after } else { position.w }, after)
}

/// The head as the steps see it: the walk's clock is the one they go by.
fn by_clock(head: &EventHead, kind: CursorKind) -> EventHead {
    let second = match kind {
        CursorKind::Publish => head.publish_timestamp,
        CursorKind::Timestamp => head.timestamp,
    };
    EventHead {
        publish_timestamp: second,
        ..head.clone()
    }
}

/// What is kept of an answer beside its records.
pub(super) struct Facts {
    pub(super) date: Option<i64>,
    pub(super) result_count: Option<u64>,
    bytes: u64,
}

/// The last settled second, and whether the server's clock says so.
pub(super) fn settled(date: Option<i64>, host_ms: i64) -> (i64, bool) {
    match date {
        Some(date) => (date - SETTLED_AFTER, true),
        None => (host_ms / 1_000 - SETTLED_AFTER_BY_HOST, false),
    }
}
