//! A MISP for measurements: it holds no event, but writes them while they are read, so that
//! neither its own work nor its memory stands between the host and what the host can do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, header};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::faults::{answer, error, insert, insert_named};
use super::server::http_date;
use super::wire::Wire;
use super::{KEY, lock};
use crate::events;
use crate::serve::serve;

/// Attributes whose text is made once; those of every event are these, with uuids of their own.
const MADE: usize = 1_000;
/// Attributes that are written at once.
const PIECE: u64 = 128;
const LARGEST_REQUEST: usize = 1 << 20;
/// The seed of the first event, so that its uuids are none of the other made-up events'.
const SEED: u64 = 7_000_000;

struct Shared {
    /// How many attributes each event has.
    sizes: Mutex<Vec<u64>>,
    /// The text of an attribute before and after its uuid.
    attributes: Vec<(String, String)>,
}

/// The server. It stops when this is dropped. Knows `events/restSearch` by `publish_timestamp`,
/// `page` and `limit`, and nothing else; each event is published a second after the one before.
#[derive(Debug)]
pub struct StreamingMisp {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl StreamingMisp {
    /// Starts an empty one on a free port, on the current tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn bind() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            sizes: Mutex::default(),
            attributes: made(),
        });
        let app = Router::new()
            .fallback(handle)
            .with_state(Arc::clone(&shared));
        let (address, server) = serve(app).await?;
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes so many events more, of so many attributes each.
    pub fn publish(&self, count: usize, attributes: u64) {
        let mut sizes = lock(&self.shared.sizes);
        let all = sizes.len() + count;
        sizes.resize(all, attributes);
    }
}

impl Drop for StreamingMisp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn wire(value: &Value) -> String {
    let numbers = false;
    Wire { value, numbers }.text()
}

/// The text of attributes, apart at their uuids.
fn made() -> Vec<(String, String)> {
    let event = events::many_attributes(SEED, MADE);
    let attributes = event.get("Attribute").and_then(Value::as_array);
    let attributes = attributes.into_iter().flatten().zip(1..);
    attributes
        .filter_map(|(attribute, part)| {
            let text = wire(attribute);
            let (before, after) = text.split_once(&events::uuid(SEED, part))?;
            Some((before.to_owned(), after.to_owned()))
        })
        .collect()
}

/// One event on its way out.
struct Written {
    number: u64,
    attributes: u64,
    /// `None`: its head is next.
    next: Option<u64>,
    tail: String,
}

impl Written {
    fn new(number: u64, attributes: u64) -> Self {
        Self {
            number,
            attributes,
            next: None,
            tail: String::new(),
        }
    }

    /// The next piece; `None` at its end.
    fn piece(&mut self, first: bool, made: &[(String, String)]) -> Option<Bytes> {
        let mut out = String::new();
        let from = match self.next {
            Some(next) => next,
            None => {
                let (head, tail) = self.frame();
                out.push_str(if first { "{\"Event\":" } else { ",{\"Event\":" });
                out.push_str(&head);
                self.tail = tail;
                0
            }
        };
        if from > self.attributes {
            return None;
        }
        let to = (from + PIECE).min(self.attributes);
        for nth in from..to {
            let place = usize::try_from(nth).unwrap_or_default() % MADE;
            let Some((before, after)) = made.get(place) else {
                continue;
            };
            if nth > 0 {
                out.push(',');
            }
            out.push_str(before);
            out.push_str(&events::uuid(SEED + self.number, nth + 1));
            out.push_str(after);
        }
        self.next = Some(to);
        if to == self.attributes {
            out.push_str(&self.tail);
            out.push('}');
            self.next = Some(self.attributes + 1);
        }
        Some(Bytes::from(out))
    }

    /// What stands before and after its attributes.
    fn frame(&self) -> (String, String) {
        let event = events::event(SEED + self.number, "A long list")
            .tag("tlp:clear")
            .published_at(published(self.number))
            .with("id", self.number.to_string())
            .with("attribute_count", self.attributes.to_string())
            .build();
        let text = wire(&event);
        let parts = text.split_once("\"Attribute\":[]");
        let (before, after) = parts.unwrap_or((&text, ""));
        (format!("{before}\"Attribute\":["), format!("]{after}"))
    }
}

/// Events are numbered from 1.
fn published(number: u64) -> i64 {
    events::BASE_TIME + i64::try_from(number).unwrap_or(i64::MAX)
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let key = parts.headers.get(header::AUTHORIZATION);
    if key.is_none_or(|key| key != KEY) {
        return error(403, "Authentication failed.", path);
    }
    if path != "/events/restSearch" {
        return error(404, "Not Found", path);
    }
    let body = to_bytes(body, LARGEST_REQUEST).await.unwrap_or_default();
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else {
        return error(405, "Invalid JSON input.", path);
    };
    found(&shared, &asked)
}

/// The page that is asked for.
fn found(shared: &Arc<Shared>, asked: &Value) -> Response<Body> {
    let number = |name: &str| asked.get(name).and_then(Value::as_u64);
    let window = asked.get("publish_timestamp");
    let second = |of: Option<&Value>| of.and_then(Value::as_i64);
    let from = second(window).or_else(|| second(window?.get(0)));
    let to = second(window.and_then(|window| window.get(1)));
    let sizes = lock(&shared.sizes).clone();
    let mut matching: Vec<(u64, u64)> = (1..)
        .zip(sizes.iter().copied())
        .filter(|(event, _)| from.is_none_or(|from| published(*event) >= from))
        .filter(|(event, _)| to.is_none_or(|to| published(*event) <= to))
        .collect();
    let count = matching.len();
    let order = asked.get("order").map(Value::to_string);
    if order.is_some_and(|order| order.contains("desc")) {
        matching.reverse();
    }
    let limit = usize::try_from(number("limit").unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let page = usize::try_from(number("page").unwrap_or(1)).unwrap_or(1);
    let before = limit.saturating_mul(page.saturating_sub(1));
    let metadata = asked.get("metadata") == Some(&json!(1));
    let mut events: Vec<Written> = matching
        .into_iter()
        .skip(before)
        .take(limit)
        .map(|(event, size)| Written::new(event, if metadata { 0 } else { size }))
        .collect();
    events.reverse();
    let shared = Arc::clone(shared);
    let (mut first, mut open) = (true, None);
    let pieces = std::iter::from_fn(move || {
        loop {
            let event = open.get_or_insert_with(|| events.pop());
            let piece = event.as_mut()?.piece(first, &shared.attributes);
            first = false;
            match piece {
                Some(piece) => return Some(piece),
                None => open = None,
            }
        }
    });
    let start = std::iter::once(Bytes::from_static(b"{\"response\": ["));
    let end = std::iter::once(Bytes::from_static(b"]}\n"));
    let all = start.chain(pieces).chain(end).map(Ok::<_, Infallible>);
    let mut response = answer(200, "application/json; charset=UTF-8", "");
    *response.body_mut() = Body::from_stream(stream::iter(all));
    insert_named(&mut response, "x-result-count", &count.to_string());
    insert_named(&mut response, "x-skipped-elements-count", "0");
    // Long after everything was published.
    let now = published(sizes.len() as u64) + 86_400;
    insert(&mut response, header::DATE, &http_date(now));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    async fn ask(misp: &StreamingMisp, asked: Value) -> Value {
        let answered = crate::services::client()
            .unwrap()
            .post(format!("{}/events/restSearch", misp.url()))
            .header("authorization", KEY)
            .body(asked.to_string())
            .send()
            .await
            .unwrap();
        assert!(answered.headers().contains_key("x-result-count"));
        serde_json::from_str(&answered.text().await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn every_event_and_attribute_is_there_once() {
        let misp = StreamingMisp::bind().await.unwrap();
        misp.publish(2, 2 * PIECE);
        misp.publish(1, 0);
        let page = ask(
            &misp,
            json!({"publish_timestamp": 1, "page": 1, "limit": 9}),
        )
        .await;
        let found = page["response"].as_array().unwrap();
        assert_eq!(found.len(), 3);
        let mut uuids = BTreeSet::new();
        for attribute in found
            .iter()
            .flat_map(|one| one["Event"]["Attribute"].as_array().unwrap())
        {
            uuids.insert(attribute["uuid"].as_str().unwrap().to_owned());
        }
        assert_eq!(uuids.len() as u64, 4 * PIECE);
        assert_eq!(found[2]["Event"]["attribute_count"], "0");
    }

    #[tokio::test]
    async fn pages_go_up_the_clock_and_down_when_asked() {
        let misp = StreamingMisp::bind().await.unwrap();
        misp.publish(5, 3);
        let ids = |page: Value| -> Vec<String> {
            let found = page["response"].as_array().unwrap().clone();
            let id = |one: &Value| one["Event"]["id"].as_str().unwrap().to_owned();
            found.iter().map(id).collect()
        };
        let from = published(2);
        let up = ask(
            &misp,
            json!({"publish_timestamp": from, "page": 2, "limit": 2}),
        )
        .await;
        assert_eq!(ids(up), ["4", "5"]);
        let one = ask(
            &misp,
            json!({"publish_timestamp": [from, from], "limit": 2}),
        )
        .await;
        assert_eq!(ids(one), ["2"]);
        let down = json!({"publish_timestamp": 1, "limit": 2, "order": ["id desc"], "metadata": 1});
        assert_eq!(ids(ask(&misp, down).await), ["5", "4"]);
    }
}
