//! Every event that the key may see, from `events/index/minimal:1`.
//!
//! Read by pages that overlap: each begins at or before the last event of the one before it. When
//! an event vanishes meanwhile, all behind it move up by one, and a page then begins after that
//! event: it is asked for again from further back. So no event is missing that was there all along.

use pipeline::ListedEvent;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::walk::finder::WalkError;

/// Events of one answer: 247 bytes each.
const EVENTS_AT_ONCE: u64 = 20_000;
/// Later than any event is published, UNIX seconds: a range of MISP needs an end.
const END_OF_TIME: i64 = 4_102_444_800;
/// Times that events vanish while a page is asked for, before it is given up.
const MOST_TRIES: u32 = 5;

/// Every event that the key may see, published or not.
pub(super) async fn index(client: &Client) -> Result<Vec<ListedEvent>, WalkError> {
    index_with(client, &Map::new()).await
}

/// The events that the key may see and that have been published since this second, whatever the
/// filters of the walk.
pub(in crate::walk) async fn published_since(
    client: &Client,
    second: i64,
) -> Result<Vec<ListedEvent>, WalkError> {
    let published = json!({"published": 1, "publish_timestamp": [second, END_OF_TIME]});
    let published = published.as_object().cloned().unwrap_or_default();
    index_with(client, &published).await
}

async fn index_with(
    client: &Client,
    parameters: &Map<String, Value>,
) -> Result<Vec<ListedEvent>, WalkError> {
    let mut pages = Pages::new(EVENTS_AT_ONCE);
    loop {
        let window = pages.ask();
        let mut body = parameters.clone();
        body.insert("sort".to_owned(), "id".into());
        body.insert("direction".to_owned(), "asc".into());
        body.insert("limit".to_owned(), window.limit.into());
        body.insert("page".to_owned(), window.page.into());
        let body = Value::Object(body);
        let answer = client
            .small::<Vec<Value>>(Method::POST, "events/index/minimal:1", Some(&body))
            .await?;
        let page = answer
            .value
            .iter()
            .map(listed_event)
            .collect::<Result<Vec<_>, _>>()?;
        match pages.take(window, page, answer.result_count) {
            Next::Ask => {}
            Next::End => return Ok(pages.events),
            Next::Restless => return Err(WalkError::Restless),
        }
    }
}

/// The pages that came. Pure: no request is made here.
#[derive(Debug)]
struct Pages<E> {
    events: Vec<E>,
    /// The most events of one page.
    most: u64,
    /// The id of the last event.
    last: u64,
    /// How far before the end of what came the next page begins.
    back: u64,
    tries: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Ask,
    End,
    Restless,
}

impl<E> Pages<E> {
    fn new(most: u64) -> Self {
        Self {
            events: Vec::new(),
            most,
            last: 0,
            back: 1,
            tries: 0,
        }
    }

    fn ask(&self) -> Window {
        let place = (self.events.len() as u64).saturating_sub(self.back);
        Window::overlapping(place, self.most)
    }

    /// Takes a page in: ids, ascending, and events.
    fn take(&mut self, window: Window, page: Vec<(u64, E)>, all: Option<u64>) -> Next {
        let items = page.len() as u64;
        let joins = page.first().is_some_and(|(id, _)| *id <= self.last);
        if window.page > 1 && !joins {
            self.tries += 1;
            self.back = self.back.saturating_mul(16);
            return if self.tries > MOST_TRIES {
                Next::Restless
            } else {
                Next::Ask
            };
        }
        (self.back, self.tries) = (1, 0);
        let before = self.events.len();
        for (id, event) in page {
            if id > self.last {
                self.last = id;
                self.events.push(event);
            }
        }
        let is_all = all.is_some_and(|all| window.start().saturating_add(items) >= all);
        let nothing_new = self.events.len() == before;
        let short = items < window.limit;
        // Only servers that tell how many there are cap their pages.
        if is_all || (short && (nothing_new || all.is_none())) {
            return Next::End;
        }
        if nothing_new {
            // Pages so small that overlapping takes all of them: no server has such.
            return Next::Restless;
        }
        if short {
            // A server that caps its pages: they begin elsewhere than was asked for.
            self.most = items;
        }
        Next::Ask
    }
}

/// A page of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    limit: u64,
    page: u64,
}

impl Window {
    /// The largest page that begins at this place or a little before it.
    fn overlapping(place: u64, most: u64) -> Self {
        let pages_before = place.div_ceil(most.max(1));
        match place.checked_div(pages_before) {
            None => Self {
                limit: most,
                page: 1,
            },
            Some(limit) => Self {
                limit,
                page: pages_before + 1,
            },
        }
    }

    fn start(self) -> u64 {
        self.limit.saturating_mul(self.page.saturating_sub(1))
    }
}

fn listed_event(event: &Value) -> Result<(u64, ListedEvent), WalkError> {
    let text = |key: &str| match event.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let published = match event.get("published") {
        Some(Value::Bool(flag)) => Some(*flag),
        _ => text("published").map(|flag| flag == "1"),
    };
    let read = || {
        let id = text("id")?;
        let event = ListedEvent {
            uuid: text("uuid")?,
            timestamp: text("timestamp")?.parse().ok()?,
            published: published?,
            id: id.clone(),
        };
        Some((id.parse().ok()?, event))
    };
    read().ok_or_else(|| WalkError::Listing {
        what: "an event of the index has no id, uuid, timestamp or published".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ids that the server gives, and how many there are.
    fn answer(there: &[u64], window: Window, cap: u64) -> (Vec<(u64, u64)>, u64) {
        let limit = window.limit.min(cap);
        let start = limit * (window.page - 1);
        let page = there.iter().skip(start as usize).take(limit as usize);
        (page.map(|id| (*id, *id)).collect(), there.len() as u64)
    }

    proptest! {
        #[test]
        fn what_is_there_all_along_is_listed(
            count in 0_u64..60,
            most in 12_u64..30,
            cap in prop_oneof![3 => Just(1_000_u64), 1 => 2_u64..9],
            counts in any::<bool>(),
            gone in prop::collection::vec(prop::option::weighted(0.3, any::<prop::sample::Index>()), 40),
            added in prop::collection::vec(0_u64..3, 40),
        ) {
            let mut there: Vec<u64> = (1..=count).map(|id| id * 2).collect();
            let mut throughout = there.clone();
            let mut pages = Pages::new(most);
            let mut happenings = gone.into_iter().zip(added);
            for _ in 0..1_000 {
                let window = pages.ask();
                let (page, all) = answer(&there, window, cap);
                let next = pages.take(window, page, (counts || cap < 1_000).then_some(all));
                if next == Next::End {
                    let missing: Vec<&u64> =
                        throughout.iter().filter(|id| !pages.events.contains(id)).collect();
                    prop_assert!(missing.is_empty(), "{missing:?}");
                    prop_assert!(pages.events.is_sorted_by(|a, b| a < b));
                    return Ok(());
                }
                if next == Next::Restless {
                    prop_assert!(throughout.len() < count as usize || cap < 1_000, "{pages:?}");
                    return Ok(());
                }
                if let Some((gone, added)) = happenings.next() {
                    if let Some(gone) = gone.filter(|_| !there.is_empty()) {
                        let id = there.remove(gone.index(there.len()));
                        throughout.retain(|known| *known != id);
                    }
                    let newest = there.last().copied().unwrap_or(200);
                    there.extend((1..=added).map(|nth| newest + nth));
                }
            }
            prop_assert!(false, "no end: {pages:?}");
        }
    }

    #[test]
    fn windows_begin_at_or_a_little_before_a_place() {
        assert_eq!(Window::overlapping(0, 5), Window { limit: 5, page: 1 });
        for most in 1..40 {
            for place in 1..400 {
                let window = Window::overlapping(place, most);
                assert!((1..=most).contains(&window.limit), "{place} {most}");
                assert!(window.start() <= place);
                assert!(place - window.start() < window.page, "{place} {most}");
            }
        }
    }
}
