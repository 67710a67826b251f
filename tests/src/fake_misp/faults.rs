//! What goes wrong on purpose: once, for one request, or as a standing habit of the server.

use std::io::Write;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use flate2::{Compression, write::GzEncoder};
use tokio::sync::Notify;

use crate::weather::{cut_after, one_of};

/// What one request meets instead of, or before, its answer. Queued with
/// [`super::FakeMisp::next`]; searches take them from the queue in order.
#[derive(Debug, Clone)]
pub enum Fault {
    /// None: this request is answered as usual.
    None,
    /// This status with MISP's JSON error body of this message.
    Status(u16, String),
    /// This status with an HTML page.
    Html(u16),
    /// Maintenance: 302 to `/users/login`.
    Maintenance,
    /// 429 as MISP sends it: `X-Rate-Limit-Reset`, no `Retry-After`.
    RateLimited {
        /// Seconds until calls are counted anew.
        reset: String,
    },
    /// This status with a `Retry-After` of this text.
    RetryAfter(u16, String),
    /// 200, `application/json`, and this body.
    Body(String),
    /// This answer as it stands: a status line, headers, an empty line, the body.
    Answer(&'static str),
    /// The right answer cut after so many bytes, as if it were whole.
    Truncated(usize),
    /// The right answer, and the connection breaks after so many bytes.
    Cut(usize),
    /// The right answer, once [`Notify::notify_one`] has been called.
    Hold(Arc<Notify>),
    /// The right answer, after so many turns of the executor.
    Slow(u32),
    /// A small gzip body that unpacks to so many MiB.
    GzipBomb(usize),
}

/// How the server behaves until told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// `order` is unknown and ignored without a word, as by old versions.
    pub ignore_order: bool,
    /// No `X-Result-Count` nor `X-Skipped-Elements-Count`, and a `Date` that is none.
    pub omit_headers: bool,
    /// Ids, counts and times are numbers instead of strings.
    pub number_ids: bool,
    /// Bodies are compressed for those who accept gzip.
    pub gzip: bool,
    /// More items a page than this are never given, whatever `limit` says.
    pub limit_cap: Option<usize>,
    /// Pages larger than this are too much for PHP's memory: 500.
    pub memory_exceeded_above: Option<usize>,
    /// An event whose `info` holds this text is too much for PHP unless it is asked for without
    /// its attributes (`metadata`): 500.
    pub unservable: Option<&'static str>,
    /// Attributes of this type are left out after a page was cut, as by a warning list: they are
    /// counted in `X-Skipped-Elements-Count`.
    pub warninglisted: Option<&'static str>,
    /// As by the server's allowed list: counted nowhere.
    pub allowlisted: Option<&'static str>,
    /// This path is refused with 403, as by a proxy or a small role.
    pub refuses: Option<&'static str>,
    /// Everything is answered with this status and an error that repeats the request's headers,
    /// the key among them, as some proxies do.
    pub echo: Option<u16>,
}

impl Fault {
    /// The answer that replaces the right one; `None` if the right one is still needed.
    pub(super) fn instead(&self, path: &str) -> Option<Response<Body>> {
        match self {
            Self::Status(status, message) => Some(error(*status, message, path)),
            Self::Html(status) => Some(answer(
                *status,
                "text/html; charset=UTF-8",
                "<!DOCTYPE html>\n<html><body>not what you asked for</body></html>\n",
            )),
            Self::Maintenance => {
                let mut response = answer(302, "text/html; charset=UTF-8", "");
                insert(&mut response, header::LOCATION, "/users/login");
                Some(response)
            }
            Self::RateLimited { reset } => {
                let mut response = error(429, "Rate limit exceeded.", path);
                insert_named(&mut response, "x-rate-limit-limit", "5");
                insert_named(&mut response, "x-rate-limit-remaining", "0");
                insert_named(&mut response, "x-rate-limit-reset", reset);
                Some(response)
            }
            Self::RetryAfter(status, wait) => {
                let mut response = error(*status, "Busy.", path);
                insert(&mut response, header::RETRY_AFTER, wait);
                Some(response)
            }
            Self::Body(text) => Some(answer(200, "application/json; charset=UTF-8", text)),
            Self::Answer(text) => Some(as_it_stands(text)),
            Self::GzipBomb(mebibytes) => {
                let mut response = answer(200, "application/json; charset=UTF-8", "");
                insert(&mut response, header::CONTENT_ENCODING, "gzip");
                *response.body_mut() = Body::from(bomb(*mebibytes));
                Some(response)
            }
            Self::None | Self::Truncated(_) | Self::Cut(_) | Self::Hold(_) | Self::Slow(_) => None,
        }
    }

    /// What becomes of the right answer.
    pub(super) fn spoil(&self, mut response: Response<Body>, body: Bytes) -> Response<Body> {
        let length = body.len();
        let kept = |keep: usize| body.slice(..keep.min(length));
        let body = match self {
            Self::Truncated(keep) => kept(*keep),
            Self::Cut(keep) => return cut_after(response, kept(*keep), length),
            _ => body,
        };
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, body.len().into());
        *response.body_mut() = Body::from(body);
        response
    }

    /// What a busy installation, its proxy or the network do to a request: all of it passes.
    pub(super) fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(0..14) {
            0 => Self::Status(500, "An Internal Error Has Occurred.".to_owned()),
            1 => Self::Html(one_of(random, &[500, 502, 503, 504])),
            2 => Self::Html(200),
            3 => Self::Maintenance,
            4 => Self::RateLimited {
                reset: "1".to_owned(),
            },
            5 => Self::RetryAfter(503, "1".to_owned()),
            6 => {
                let bodies = ["", "{}", "null", r#"{"response": [{"Eve"#];
                Self::Body(one_of(random, &bodies).to_owned())
            }
            7..=8 => Self::Truncated(some_bytes(random)),
            9..=11 => Self::Cut(some_bytes(random)),
            _ => Self::Slow(random.u32(1..20_000)),
        }
    }
}

/// Of a small answer, or of a large one.
fn some_bytes(random: &mut fastrand::Rng) -> usize {
    let most = if random.bool() { 300 } else { 100_000 };
    random.usize(0..most)
}

/// MISP's JSON error body; the slashes of the address are escaped as PHP does.
pub(super) fn error(status: u16, message: &str, path: &str) -> Response<Body> {
    let message = serde_json::Value::from(message).to_string();
    let url = path.replace('/', "\\/");
    answer(
        status,
        "application/json; charset=UTF-8",
        &format!(r#"{{"name":{message},"message":{message},"url":"{url}"}}"#),
    )
}

fn as_it_stands(text: &str) -> Response<Body> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok()).unwrap_or(500);
    let mut response = answer(status, "", body);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            insert(&mut response, name, value);
        }
    }
    response
}

pub(super) fn answer(status: u16, content_type: &str, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    insert(&mut response, header::CONTENT_TYPE, content_type);
    response
}

pub(super) fn insert(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

pub(super) fn insert_named(response: &mut Response<Body>, name: &'static str, value: &str) {
    insert(response, HeaderName::from_static(name), value);
}

pub(super) fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory cannot fail.
    let _ = encoder.write_all(body);
    Bytes::from(encoder.finish().unwrap_or_default())
}

fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let _ = encoder.write_all(b"{\"response\": [");
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..mebibytes {
        let _ = encoder.write_all(&blanks);
    }
    let _ = encoder.write_all(b"]}\n");
    encoder.finish().unwrap_or_default()
}
