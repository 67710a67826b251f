//! Every event that the key may see, from `events/index/minimal:1`.
//!
//! Read by pages that overlap: each begins at or before the last event of the one before it. When
//! an event vanishes meanwhile, all behind it move up by one, and a page then begins after that
//! event: it is asked for again from further back. So no event is missing that was there all along.

use pipeline::ListedEvent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::walk::finder::WalkError;

/// Events of one answer: 247 bytes each.
const EVENTS_AT_ONCE: u64 = 20_000;
/// Times that events vanish while a page is asked for, before it is given up.
const MOST_TRIES: u32 = 5;

/// Every event that the key may see, published or not.
pub(super) async fn index(client: &Client) -> Result<Vec<ListedEvent>, WalkError> {
    let mut events: Vec<ListedEvent> = Vec::new();
    let (mut most, mut last, mut back, mut tries) = (EVENTS_AT_ONCE, 0_u64, 1_u64, 0);
    loop {
        let window = Window::overlapping((events.len() as u64).saturating_sub(back), most);
        let body = json!({
            "sort": "id", "direction": "asc", "limit": window.limit, "page": window.page,
        });
        let answer = client
            .small::<Vec<Value>>(Method::POST, "events/index/minimal:1", Some(&body))
            .await?;
        let items = answer.value.len() as u64;
        let page = answer
            .value
            .iter()
            .map(listed_event)
            .collect::<Result<Vec<_>, _>>()?;
        let joins = page.first().is_some_and(|(id, _)| *id <= last);
        if window.page > 1 && !joins {
            tries += 1;
            if tries > MOST_TRIES {
                return Err(WalkError::Restless);
            }
            back = back.saturating_mul(16);
            continue;
        }
        (back, tries) = (1, 0);
        let before = events.len();
        for (id, event) in page {
            if id > last {
                last = id;
                events.push(event);
            }
        }
        let reach = window.start().saturating_add(items);
        let all = answer.result_count.is_some_and(|all| reach >= all);
        if all || events.len() == before {
            return Ok(events);
        }
        if items < window.limit {
            // A server that caps its pages: they begin elsewhere than was asked for.
            most = items;
        }
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
    use super::*;

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
