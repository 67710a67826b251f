//! A receiver of documents over HTTP: NDJSON or a JSON array, plain, gzip or zstd, as Vector,
//! Logstash or Fluent Bit take them; its answers can be scripted.

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::serve::serve;

/// What a request gets instead of being taken.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This status, with headers and a body; nothing is taken.
    Status(u16, Vec<(&'static str, String)>, String),
    /// As [`Reply::Status`], but the documents are taken before.
    TakenBut(u16, Vec<(&'static str, String)>, String),
    /// No answer until the notice.
    Hold(Arc<Notify>),
}

impl Reply {
    /// This status and body.
    #[must_use]
    pub fn status(status: u16, body: &str) -> Self {
        Self::Status(status, Vec::new(), body.to_owned())
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// `POST`, `OPTIONS`.
    pub method: Method,
    /// Path and query.
    pub uri: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its documents, one a line; empty if it has none.
    pub lines: Vec<String>,
}

#[derive(Default)]
struct Inner {
    script: VecDeque<Reply>,
    requests: Vec<Received>,
    arrived: String,
    limit: Option<usize>,
    poison: Option<(String, u16, String)>,
    authorization: Option<String>,
    now: usize,
    most: usize,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receiver on a loopback port of its own; it ends when it is dropped.
pub struct FakeReceiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl FakeReceiver {
    /// Starts one.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let app = Router::new()
            .fallback(handle)
            .with_state(Arc::clone(&shared));
        let (address, server) = serve(app).await?;
        Ok(Self {
            shared,
            address,
            server,
        })
    }

    /// Where documents are posted to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// What the next requests get, one after the other; then they are taken again.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock().script.extend(replies);
    }

    /// From now on every request is taken.
    pub fn takes_all(&self) {
        let mut inner = self.shared.lock();
        inner.script.clear();
        inner.poison = None;
    }

    /// Larger requests, decompressed, get 413.
    pub fn limit(&self, bytes: usize) {
        self.shared.lock().limit = Some(bytes);
    }

    /// Requests with a line that holds `text` get this status and words.
    pub fn refuse(&self, text: &str, status: u16, words: &str) {
        self.shared.lock().poison = Some((text.to_owned(), status, words.to_owned()));
    }

    /// Requests without this `Authorization` get 401.
    pub fn require(&self, authorization: &str) {
        self.shared.lock().authorization = Some(authorization.to_owned());
    }

    /// The documents that were taken, one a line, in order.
    #[must_use]
    pub fn arrived(&self) -> String {
        self.shared.lock().arrived.clone()
    }

    /// Every request, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.lock().requests.clone()
    }

    /// The most requests that were there at once.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.shared.lock().most
    }

    /// Forgets what arrived and what was asked.
    pub fn clear(&self) {
        let mut inner = self.shared.lock();
        inner.arrived.clear();
        inner.requests.clear();
    }
}

impl Drop for FakeReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 64 << 20).await else {
        return answer(400, &[], "the body could not be read");
    };
    let (reply, lines) = {
        let mut inner = shared.lock();
        inner.now += 1;
        inner.most = inner.most.max(inner.now);
        let lines = documents(&parts.headers, &body);
        inner.requests.push(Received {
            method: parts.method.clone(),
            uri: parts.uri.to_string(),
            headers: parts.headers.clone(),
            lines: lines.clone().unwrap_or_default(),
        });
        (inner.script.pop_front(), lines)
    };
    let response = match reply {
        Some(Reply::Status(status, headers, body)) => answer(status, &headers, &body),
        Some(Reply::Hold(notice)) => {
            notice.notified().await;
            answer(503, &[], "held")
        }
        Some(Reply::TakenBut(status, headers, body)) => {
            take(&mut shared.lock(), lines.as_deref().unwrap_or_default());
            answer(status, &headers, &body)
        }
        None => judged(&mut shared.lock(), &parts.method, &parts.headers, lines),
    };
    shared.lock().now -= 1;
    response
}

fn judged(
    inner: &mut Inner,
    method: &Method,
    headers: &HeaderMap,
    lines: Option<Vec<String>>,
) -> Response<Body> {
    let given = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    if let Some(needed) = &inner.authorization
        && given != Some(needed)
    {
        // As some servers do, with what was given in it.
        return answer(401, &[], &format!("not allowed: {}", given.unwrap_or("")));
    }
    if *method != Method::POST {
        return answer(405, &[], "");
    }
    let Some(lines) = lines else {
        return answer(400, &[], "the body is not what its headers say");
    };
    let size: usize = lines.iter().map(|line| line.len() + 1).sum();
    if inner.limit.is_some_and(|limit| size > limit) {
        return answer(413, &[], "too large");
    }
    if let Some((text, status, words)) = &inner.poison
        && lines.iter().any(|line| line.contains(text))
    {
        return answer(*status, &[], words);
    }
    take(inner, &lines);
    answer(200, &[], "")
}

fn take(inner: &mut Inner, lines: &[String]) {
    for line in lines {
        inner.arrived.push_str(line);
        inner.arrived.push('\n');
    }
}

/// The documents of a body, one a line, as they were sent; `None` if it is not what its
/// headers say.
fn documents(headers: &HeaderMap, body: &[u8]) -> Option<Vec<String>> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut text = String::new();
    match header("content-encoding") {
        None => text.push_str(std::str::from_utf8(body).ok()?),
        Some("gzip") => {
            flate2::read::GzDecoder::new(body)
                .read_to_string(&mut text)
                .ok()?;
        }
        Some("zstd") => {
            zstd::Decoder::new(body)
                .ok()?
                .read_to_string(&mut text)
                .ok()?;
        }
        Some(_) => return None,
    }
    match header("content-type")? {
        "application/x-ndjson" if text.ends_with('\n') => {
            Some(text.lines().map(str::to_owned).collect())
        }
        "application/json" => {
            let raw: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(&text).ok()?;
            Some(raw.iter().map(|raw| raw.get().to_owned()).collect())
        }
        _ => None,
    }
}

fn answer(status: u16, headers: &[(&'static str, String)], body: &str) -> Response<Body> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, value);
    }
    builder
        .body(Body::from(body.to_owned()))
        .unwrap_or_default()
}
