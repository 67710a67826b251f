//! What it means when no usable answer came, told without the key.

use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, LOCATION};
use serde_json::{Map, Value};
use transport::{innermost, tls_failure};

use crate::body::{Keep, Memory};
use crate::client::Client;
use crate::error::ClientError;
use crate::headers;

/// The most bytes taken of an error page: enough for its message.
const ERROR_BODY: usize = 64 << 10;
/// Characters of the other side's text that are shown.
const SNIPPET: usize = 200;

impl Client {
    /// What a status other than 200 means.
    pub(crate) async fn refused(&self, response: Response) -> ClientError {
        let status = response.status();
        let wait = headers::wait(response.headers(), SystemTime::now());
        let headers = response.headers().clone();
        let status_code = status.as_u16();
        match status_code {
            300..=399 => self.redirected(&headers),
            401 | 403 => ClientError::KeyRefused {
                status: status_code,
                message: self.message(response).await,
            },
            429 => ClientError::RateLimited {
                // MISP's own window, should it not say.
                wait: wait.unwrap_or(Duration::from_secs(900)),
            },
            // 408 and 425 are the web server's ways of asking to try again.
            408 | 425 | 500..=599 => ClientError::ServerError {
                status: status_code,
                message: self.message(response).await,
                wait,
            },
            400..=499 => ClientError::RequestRefused {
                status: status_code,
                message: self.message(response).await,
            },
            _ => ClientError::UnexpectedStatus {
                status: status_code,
            },
        }
    }

    fn redirected(&self, headers: &HeaderMap) -> ClientError {
        let location = headers::text(headers, LOCATION.as_str()).unwrap_or_default();
        if location.contains("/users/login") {
            return ClientError::Maintenance;
        }
        let shown = location.split(['?', '#']).next().unwrap_or_default();
        ClientError::Redirected {
            url: self.url().to_owned(),
            location: self.clean(shown),
        }
    }

    /// What an error body says: MISP's `message`, or how the page begins.
    async fn message(&self, response: Response) -> String {
        let text = self.beginning(response).await;
        let said = serde_json::from_str::<Map<String, Value>>(&text)
            .ok()
            .and_then(|map| Some(map.get("message")?.as_str()?.to_owned()));
        match said {
            Some(message) => self.clean(&message),
            None if text.trim_start().starts_with('<') => "an HTML page".to_owned(),
            None if text.trim().is_empty() => "no text".to_owned(),
            None => self.clean(&text),
        }
    }

    pub(crate) async fn snippet(&self, response: Response) -> String {
        let text = self.beginning(response).await;
        self.clean(&text)
    }

    /// The first bytes of a body; whatever goes wrong while reading them matters no more.
    async fn beginning(&self, mut response: Response) -> String {
        let encoding = headers::text(response.headers(), CONTENT_ENCODING.as_str());
        let mut memory = Memory {
            bytes: Vec::new(),
            limit: ERROR_BODY,
        };
        if encoding.is_none_or(|encoding| encoding == "identity") {
            while let Ok(Some(piece)) = response.chunk().await {
                if memory.push(&piece).is_err() {
                    break;
                }
            }
        } else if let Ok((unpacked, _)) = self.take_in(response, memory, ERROR_BODY as u64).await {
            memory = unpacked;
        } else {
            return String::new();
        }
        String::from_utf8_lossy(&memory.bytes).into_owned()
    }

    /// A text of the other side as it may be shown: short, on one line, without the key.
    pub(crate) fn clean(&self, text: &str) -> String {
        let words: Vec<&str> = text
            .split(|letter: char| letter.is_whitespace() || letter.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        let line = words.join(" ");
        let redacted = self.keys().redact(&line);
        let mut short: String = redacted.chars().take(SNIPPET).collect();
        if short.len() < redacted.len() {
            short.push_str("...");
        }
        short
    }

    pub(crate) fn no_answer(&self, error: reqwest::Error) -> ClientError {
        let error = error.without_url();
        if error.is_timeout() && !error.is_connect() {
            return self.timeout();
        }
        if let Some(reason) = tls_failure(&error) {
            return ClientError::Tls {
                url: self.url().to_owned(),
                reason,
            };
        }
        if error.is_timeout() {
            return ClientError::Unreachable {
                url: self.url().to_owned(),
                reason: format!("no connection within {:?}", self.options().connect_timeout),
            };
        }
        // The connection was there, and what came was not HTTP, or nothing came.
        let is_foreign = !error.is_connect() && self.url().starts_with("http://");
        if is_foreign {
            return ClientError::Unreachable {
                url: self.url().to_owned(),
                reason: format!(
                    "{}; if this port speaks TLS, `url` must begin with https://",
                    self.clean(&innermost(&error))
                ),
            };
        }
        self.unreachable(&error)
    }

    pub(crate) fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        ClientError::Unreachable {
            url: self.url().to_owned(),
            reason: self.clean(&innermost(error)),
        }
    }

    pub(crate) fn timeout(&self) -> ClientError {
        ClientError::Timeout {
            url: self.url().to_owned(),
            seconds: self.options().read_timeout.as_secs(),
        }
    }
}
