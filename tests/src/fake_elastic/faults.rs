//! What goes wrong on purpose: once, for one bulk, or as a standing habit of the server.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What one bulk meets instead of, or before, its answer. Queued with
/// [`super::FakeElastic::next`]; bulks take them from the queue in order.
#[derive(Debug, Clone)]
pub enum ElasticFault {
    /// None: this bulk is answered as usual.
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
    /// Everything is written, and the answer is cut after so many bytes.
    Truncated(usize),
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
            _ => None,
        }
    }

    /// The status this fault gives the item at a position.
    pub(super) fn of_item(&self, position: usize) -> Option<u16> {
        let Self::Items(items) = self else {
            return None;
        };
        let mut items = items.iter();
        items
            .find(|(at, _)| *at == position)
            .map(|(_, status)| *status)
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

    /// What becomes of the right answer's text.
    pub(super) fn spoil_text(&self, mut text: String) -> String {
        match self {
            Self::Truncated(keep) => text.truncate(*keep),
            Self::Huge(mebibytes) => text.push_str(&" ".repeat(mebibytes << 20)),
            _ => {}
        }
        text
    }
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
