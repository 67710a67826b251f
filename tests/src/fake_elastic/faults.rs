//! What goes wrong on purpose: once, for one bulk, or as a standing habit of the server.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::weather::{cut_after, one_of};

/// What one bulk meets instead of, or before, its answer. Queued with
/// [`super::FakeElastic::next`]; bulks take them from the queue in order.
#[derive(Debug, Clone, Default)]
pub enum ElasticFault {
    /// None: this bulk is answered as usual.
    #[default]
    None,
    /// This status with an error body; nothing is written.
    Status(u16),
    /// This status with a `Retry-After` of this text; nothing is written.
    RetryAfter(u16, String),
    /// This status with a page for people; nothing is written.
    Html(u16),
    /// 200 and this body; nothing is written.
    Body(String),
    /// The items at these positions have these statuses and are not written; the others are.
    Items(Vec<(usize, u16)>),
    /// The items at these positions are said to have failed with these statuses, and are written
    /// all the same: the primary had them before it was lost.
    ItemsDone(Vec<(usize, u16)>),
    /// Everything is written, and the answer is cut after so many bytes.
    Truncated(usize),
    /// Nothing is written, and the connection breaks.
    Cut,
    /// Everything is written, and the connection breaks after so many bytes of the answer.
    Lost(usize),
    /// The connection breaks, and everything is written once so many more requests have come: a
    /// node that was cut off works through its queue.
    Late(usize),
    /// Everything is written, and the answer lacks its last item.
    OneItemLess,
    /// Everything is written, and the answer's first two items have changed places.
    OtherOrder,
    /// Everything is written, and no item says its status.
    NoStatus,
    /// Everything is written, and the answer is followed by so many MiB of blanks.
    Huge(usize),
    /// As usual, once [`Notify::notify_one`] has been called.
    Hold(Arc<Notify>),
    /// As usual, after so many turns of the executor.
    Slow(u32),
}

/// How the server behaves until told otherwise.
#[derive(Debug, Clone)]
pub struct ElasticHabits {
    /// Nobody's key is accepted: 401.
    pub refuse_key: bool,
    /// The key may do nothing: 403.
    pub forbid: bool,
    /// The key may write and not look at templates nor the cluster: 403 for these.
    pub write_only: bool,
    /// Bodies above this many bytes, unpacked, are refused: 413.
    pub max_bytes: usize,
    /// Fields that must hold a number; another value is a mapping error: 400 for the item.
    pub numbers: BTreeSet<String>,
    /// Answers are written with spaces and line ends.
    pub pretty: bool,
    /// Is it an OpenSearch?
    pub open_search: bool,
    /// What it says its version is.
    pub version: String,
    /// Are indices made when something is written to them?
    pub auto_create: bool,
    /// How many bulks are taken at once; more are turned away, 429. `None`: any number.
    pub queue: Option<usize>,
    /// Everything is answered with this status and an error that repeats the request's headers,
    /// the key among them, as some proxies do.
    pub echo: Option<u16>,
    /// The same of bulks alone.
    pub echo_bulks: Option<u16>,
}

impl Default for ElasticHabits {
    fn default() -> Self {
        Self {
            refuse_key: false,
            forbid: false,
            write_only: false,
            max_bytes: 100 << 20,
            numbers: BTreeSet::new(),
            pretty: false,
            open_search: false,
            version: "9.1.0".to_owned(),
            auto_create: true,
            queue: None,
            echo: None,
            echo_bulks: None,
        }
    }
}

impl ElasticFault {
    /// The answer that replaces the right one.
    pub(super) fn instead(&self) -> Option<Response<Body>> {
        match self {
            Self::Status(status) => Some(refusal(*status, "made_up_exception", "busy")),
            Self::RetryAfter(status, wait) => {
                let mut response = refusal(*status, "made_up_exception", "busy");
                if let Ok(value) = HeaderValue::from_str(wait) {
                    response.headers_mut().insert(header::RETRY_AFTER, value);
                }
                Some(response)
            }
            Self::Html(status) => Some(answer(
                *status,
                "text/html",
                "<!DOCTYPE html>\n<html><body>a page for people</body></html>\n".to_owned(),
            )),
            Self::Body(text) => Some(answer(200, "application/json", text.clone())),
            Self::Cut | Self::Late(_) => Some(cut_after(Response::default(), Bytes::new(), 1_000)),
            _ => None,
        }
    }

    /// The status this fault gives the item at a position, and whether it is written.
    pub(super) fn of_item(&self, position: usize) -> Option<(u16, bool)> {
        let (items, done) = match self {
            Self::Items(items) => (items, false),
            Self::ItemsDone(items) => (items, true),
            _ => return None,
        };
        let found = items.iter().find(|(at, _)| *at == position)?;
        Some((found.1, done))
    }

    /// What becomes of the items of the right answer.
    pub(super) fn spoil_items(&self, items: &mut Vec<Value>) {
        match self {
            Self::OneItemLess => {
                items.pop();
            }
            Self::OtherOrder if items.len() > 1 => items.swap(0, 1),
            Self::NoStatus => {
                let all = items.iter_mut().filter_map(Value::as_object_mut);
                for item in all.flat_map(|item| item.values_mut()) {
                    if let Some(fields) = item.as_object_mut() {
                        fields.remove("status");
                    }
                }
            }
            _ => {}
        }
    }

    /// The right answer as it leaves.
    pub(super) fn spoil_text(&self, mut text: String) -> Response<Body> {
        match self {
            Self::Truncated(keep) => text.truncate(*keep),
            Self::Huge(mebibytes) => text.push_str(&" ".repeat(mebibytes << 20)),
            Self::Lost(keep) => {
                let length = text.len();
                let kept = Bytes::from(text).slice(..(*keep).min(length));
                return cut_after(Response::default(), kept, length);
            }
            _ => {}
        }
        answer(200, "application/json", text)
    }

    /// What a busy cluster, a proxy or the network do to a bulk of so many items: all of it
    /// passes, and what was acknowledged is there.
    pub(super) fn random(random: &mut fastrand::Rng, items: usize) -> Self {
        match random.u8(0..18) {
            0..=1 => Self::Status(one_of(random, &[429, 500, 502, 503, 504])),
            2 => Self::RetryAfter(429, "1".to_owned()),
            3 => Self::Html(one_of(random, &[502, 503, 200])),
            4..=6 => Self::Items(some_items(random, items)),
            7..=8 => Self::ItemsDone(some_items(random, items)),
            9 => Self::Truncated(random.usize(0..2_000)),
            10 => one_of(
                random,
                &[Self::OneItemLess, Self::OtherOrder, Self::NoStatus],
            ),
            11 => Self::Cut,
            12..=13 => Self::Lost(random.usize(0..2_000)),
            14..=15 => Self::Late(random.usize(1..30)),
            _ => Self::Slow(random.u32(1..20_000)),
        }
    }
}

fn some_items(random: &mut fastrand::Rng, items: usize) -> Vec<(usize, u16)> {
    let one_in = random.usize(1..6);
    (0..items)
        .filter_map(|at| {
            let status = one_of(random, &[429, 429, 503, 500]);
            (random.usize(0..one_in) == 0).then_some((at, status))
        })
        .collect()
}

/// An error as the server writes it.
pub(super) fn refusal(status: u16, kind: &str, reason: &str) -> Response<Body> {
    let cause = json!({"type": kind, "reason": reason});
    let body = json!({
        "error": {"root_cause": [cause], "type": kind, "reason": reason},
        "status": status,
    });
    answer(status, "application/json", body.to_string())
}

pub(super) fn answer(status: u16, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
