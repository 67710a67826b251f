//! What an answer means.

use std::time::SystemTime;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};

use super::error::HttpError;
use super::headers::Headers;
use crate::retry_after::retry_after;
use crate::said;

/// No more of an answer is read: an acknowledgement is its status.
const MOST_READ: usize = 16 << 10;

/// What became of a request that got an answer about its documents.
#[derive(Debug)]
pub(super) enum Taken {
    /// All of them.
    All,
    /// One of them, or their size, is not to its liking: what it said.
    NotThese(String),
}

/// Reads an answer to documents.
pub(super) async fn read(
    answer: Response,
    target: &str,
    headers: &Headers,
) -> Result<Taken, HttpError> {
    let status = answer.status();
    if status.is_success() {
        if is_html(&answer) {
            return Err(HttpError::Html {
                target: target.to_owned(),
                status,
            });
        }
        // To the end, if it is near: the connection can then be used again.
        some_text(answer).await;
        return Ok(Taken::All);
    }
    let after = retry_after(answer.headers(), SystemTime::now());
    let text = said::words(&some_text(answer).await, headers.secrets());
    let target = target.to_owned();
    if is_busy(status) {
        return Err(HttpError::Busy {
            target,
            status,
            text,
            after,
        });
    }
    if is_elsewhere(status) {
        return Err(HttpError::Refused {
            target,
            status,
            text,
        });
    }
    Ok(Taken::NotThese(match text.as_str() {
        "" => format!("the receiver answered {status}"),
        _ => format!("the receiver answered {status}: {text}"),
    }))
}

/// Whether an answer to a request without documents shows that they would be taken.
pub(super) async fn read_check(
    answer: Response,
    target: &str,
    headers: &Headers,
) -> Result<(), HttpError> {
    match answer.status() {
        // A receiver needs not know the method that is asked with, nor anything at this path by it.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            Ok(())
        }
        _ => read(answer, target, headers).await.map(|_| ()),
    }
}

fn is_busy(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Statuses that no other document would change: credentials, address, method, encoding.
/// Redirects are among them, for the headers must not follow one elsewhere.
fn is_elsewhere(status: StatusCode) -> bool {
    !status.is_client_error()
        || matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::PAYMENT_REQUIRED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
                | StatusCode::METHOD_NOT_ALLOWED
                | StatusCode::NOT_ACCEPTABLE
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED
                | StatusCode::GONE
                | StatusCode::UNSUPPORTED_MEDIA_TYPE
                | StatusCode::MISDIRECTED_REQUEST
                | StatusCode::UPGRADE_REQUIRED
        )
}

fn is_html(answer: &Response) -> bool {
    answer
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("text/html")
        })
}

/// The beginning of an answer's body; what cannot be read of it is left out.
async fn some_text(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MOST_READ {
        match answer.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(MOST_READ);
    String::from_utf8_lossy(&bytes).into_owned()
}
