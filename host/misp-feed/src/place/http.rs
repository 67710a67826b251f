//! A feed on a web server.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use misp_client::headers::{date, date_now, text, wait};
use misp_client::{DiskSpool, Intake, Keep, Memory, Pace, spooled};
use pipeline::ServerClock;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use splitter::{Body, SpoolLimits};
use transport::{Reach, Renewed, TransportError, builder, innermost, tls_failure};

use super::{Listed, MANIFEST, REDIRECTS, spool};
use crate::error::FeedError;
use crate::manifest::{MANIFEST_BYTES, Manifest};
use crate::options::FeedOptions;
use crate::position::Validators;

/// A longer validator is not remembered, bytes: it would go into every cursor.
const LONGEST_VALIDATOR: usize = 512;
/// Of a manifest younger than this, seconds, nothing is remembered: it may change again within
/// the second that its `Last-Modified`, and many an `ETag`, names.
const SETTLED_AFTER: i64 = 2;
/// Where a 429 does not say how long.
const LIMITED: Duration = Duration::from_secs(60);
/// Characters of the other side's text that are shown.
const SNIPPET: usize = 200;

#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Arc<Renewed<Client>>,
    base: Url,
    options: Arc<FeedOptions>,
    spool: SpoolLimits,
    clock: ServerClock,
}

impl Http {
    pub(super) fn new(url: &str, options: &FeedOptions) -> Result<Self, FeedError> {
        let base = address(url)?;
        if base.scheme() == "http" && !options.headers.is_empty() {
            tracing::warn!(url = %base, "no TLS: the headers go over the network in the clear");
        }
        if !options.tls.verify {
            tracing::warn!(url = %base, "the certificate of this feed is not checked");
        }
        let files = options.tls.files().cloned();
        let client = Renewed::new(files, || client(options, &base))?;
        Ok(Self {
            client: Arc::new(client),
            base,
            options: Arc::new(options.clone()),
            spool: spool(options),
            clock: ServerClock::default(),
        })
    }

    pub(super) fn name(&self) -> &str {
        self.base.as_str()
    }

    pub(super) fn clock(&self) -> ServerClock {
        self.clock.clone()
    }

    pub(super) async fn manifest(
        &self,
        since: Option<&Validators>,
    ) -> Result<Option<Listed>, FeedError> {
        let url = format!("{}{MANIFEST}", self.base);
        // The cursor may be that of an instance that was moved to another feed.
        let since = since.filter(|since| since.url == url);
        let mut conditions = HeaderMap::new();
        if let Some(since) = since {
            for (name, value) in [
                (IF_NONE_MATCH, &since.etag),
                (IF_MODIFIED_SINCE, &since.last_modified),
            ] {
                if let Some(value) = value.as_deref().and_then(|v| HeaderValue::from_str(v).ok()) {
                    conditions.insert(name, value);
                }
            }
        }
        let asked = !conditions.is_empty();
        let response = self.send(MANIFEST, conditions).await?;
        if asked && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let response = self
            .accepted(MANIFEST, response)
            .map_err(|error| match error {
                FeedError::Refused {
                    status: 404 | 410, ..
                } => FeedError::NoFeed {
                    place: self.base.to_string(),
                    reason: "there is no manifest.json under this address; `url` must name the \
                         folder that holds it",
                },
                other => other,
            })?;
        let date = date(response.headers());
        let validators = validators(url, response.headers(), date);
        let most = self.spool.total.min(MANIFEST_BYTES);
        let memory = Memory {
            bytes: Vec::new(),
            limit: usize::try_from(most).unwrap_or(usize::MAX),
        };
        let memory = self.take_in(MANIFEST, response, memory, most).await?;
        let manifest = Manifest::parse(&memory.bytes).map_err(|reason| FeedError::Manifest {
            place: self.base.to_string(),
            reason,
        })?;
        Ok(Some(Listed {
            manifest,
            validators,
            date,
        }))
    }

    pub(super) async fn event(&self, file: &str) -> Result<Body, FeedError> {
        let response = self.send(file, HeaderMap::new()).await?;
        let response = self.accepted(file, response).map_err(|error| match error {
            FeedError::Refused {
                file,
                status: 404 | 410,
            } => FeedError::Gone { file },
            other => other,
        })?;
        let spool = DiskSpool::new(self.spool.clone());
        let spool = self
            .take_in(file, response, spool, self.spool.total)
            .await?;
        spooled(spool).map_err(|error| FeedError::body(file, error))
    }

    async fn send(&self, file: &str, headers: HeaderMap) -> Result<Response, FeedError> {
        let url = self.base.join(file).map_err(|error| FeedError::Address {
            url: self.base.to_string(),
            reason: error.to_string(),
        })?;
        let client = self.client.current(|| client(&self.options, &self.base));
        let request = client.get(url).headers(headers);
        let answer = request.send().await.map_err(|error| {
            let error = error.without_url();
            let place = self.base.to_string();
            if let Some(reason) = tls_failure(&error) {
                FeedError::Tls { place, reason }
            } else if error.is_timeout() && !error.is_connect() {
                self.timeout(file)
            } else if error.is_connect() {
                let reason = self.clean(&innermost(&error));
                FeedError::Unreachable { place, reason }
            } else {
                // The server is there, but this request brought it down: others may not.
                FeedError::Truncated {
                    file: file.to_owned(),
                    received: 0,
                    reason: self.clean(&innermost(&error)),
                }
            }
        })?;
        if let Some(date) = date_now(answer.headers()) {
            self.clock.set(date);
        }
        Ok(answer)
    }

    /// Turns every status but 200 into an error.
    fn accepted(&self, file: &str, response: Response) -> Result<Response, FeedError> {
        let file = file.to_owned();
        let status = response.status().as_u16();
        let wait = wait(response.headers(), SystemTime::now());
        Err(match status {
            200 => return Ok(response),
            301 | 302 | 303 | 307 | 308 => {
                let location = text(response.headers(), LOCATION.as_str()).unwrap_or_default();
                let shown = location.split(['?', '#']).next().unwrap_or_default();
                FeedError::Redirected {
                    file,
                    location: self.clean(shown),
                }
            }
            429 => FeedError::RateLimited {
                wait: wait.unwrap_or(LIMITED),
            },
            408 | 425 | 500..=599 => FeedError::ServerError { file, status, wait },
            400..=499 => FeedError::Refused { file, status },
            _ => FeedError::UnexpectedStatus { file, status },
        })
    }

    async fn take_in<K: Keep>(
        &self,
        file: &str,
        mut response: Response,
        keep: K,
        most: u64,
    ) -> Result<K, FeedError> {
        let failed = |error| FeedError::body(file, error);
        let encoding = text(response.headers(), CONTENT_ENCODING.as_str());
        let mut intake = Intake::new(encoding, keep, most).map_err(failed)?;
        let mut pace = Pace::new(self.options.pace);
        loop {
            let came = pace.wait(response.chunk()).await;
            let came = came.map_err(|reason| FeedError::TooSlow {
                file: file.to_owned(),
                reason,
            })?;
            match came {
                Ok(Some(piece)) => {
                    pace.came(piece.len());
                    intake.push(&piece).map_err(failed)?;
                }
                Ok(None) => return intake.finish().map_err(failed),
                Err(error) if error.is_timeout() => return Err(self.timeout(file)),
                Err(error) => {
                    return Err(FeedError::Truncated {
                        file: file.to_owned(),
                        received: intake.received(),
                        reason: innermost(&error.without_url()),
                    });
                }
            }
        }
    }

    fn timeout(&self, file: &str) -> FeedError {
        FeedError::Timeout {
            file: file.to_owned(),
            seconds: self.options.read_timeout.as_secs(),
        }
    }

    /// A text of the other side as it may be shown: short, on one line, without our headers.
    fn clean(&self, text: &str) -> String {
        let shown: String = text.chars().filter(|letter| !letter.is_control()).collect();
        self.options
            .headers
            .redact(&shown)
            .chars()
            .take(SNIPPET)
            .collect()
    }
}

/// The HTTP client of these options. Reads the files they name.
fn client(options: &FeedOptions, base: &Url) -> Result<Client, TransportError> {
    let mut headers = options.headers.map();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    builder(Reach {
        base,
        user_agent: &options.user_agent,
        connect_timeout: options.connect_timeout,
        read_timeout: options.read_timeout,
        proxy: &options.proxy,
        tls: &options.tls,
    })?
    .default_headers(headers)
    .redirect(same_origin())
    .build()
    .map_err(|error| TransportError::Setup {
        reason: innermost(&error),
    })
}

/// Headers may be secret: they go to the server they are meant for and to no other.
fn same_origin() -> Policy {
    Policy::custom(|attempt| {
        let same = attempt
            .previous()
            .first()
            .is_some_and(|first| first.origin() == attempt.url().origin());
        if same && attempt.previous().len() <= REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// The address of the folder, with a slash at its end.
fn address(given: &str) -> Result<Url, FeedError> {
    let refuse = |shown: &str, reason: &str| FeedError::Address {
        url: shown.to_owned(),
        reason: reason.to_owned(),
    };
    let mut url = Url::parse(given.trim()).map_err(|error| {
        // What does not parse may still hold a password.
        let shown = given.rsplit('@').next().unwrap_or_default();
        let shown = shown.split(['?', '#']).next().unwrap_or_default();
        refuse(shown, &error.to_string())
    })?;
    let with_user = url.password().is_some() || !url.username().is_empty();
    let with_query = url.query().is_some();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    if with_user {
        return Err(refuse(
            url.as_str(),
            "it holds a user name or password: give them as a header",
        ));
    }
    if with_query {
        return Err(refuse(
            url.as_str(),
            "it holds a query, which would be sent with no other file: give a secret as a header",
        ));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse(
            url.as_str(),
            "it begins with neither http nor https",
        ));
    }
    let path = url.path();
    let folder = path
        .strip_suffix(MANIFEST)
        .filter(|folder| folder.ends_with('/'))
        .unwrap_or(path);
    let folder = format!("{}/", folder.strip_suffix('/').unwrap_or(folder));
    url.set_path(&folder);
    Ok(url)
}

fn validators(url: String, headers: &HeaderMap, date: Option<i64>) -> Option<Validators> {
    let short = |name: &str| {
        let value = text(headers, name).filter(|value| value.len() <= LONGEST_VALIDATOR)?;
        Some(value.to_owned())
    };
    let etag = short(ETAG.as_str());
    let last_modified = short(LAST_MODIFIED.as_str());
    if etag.is_none() && last_modified.is_none() {
        return None;
    }
    if let Some(text) = &last_modified {
        let modified = misp_client::headers::seconds_of(text)?;
        if date.is_none_or(|date| date.saturating_sub(modified) < SETTLED_AFTER) {
            return None;
        }
    }
    Some(Validators {
        url,
        etag,
        last_modified,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_that_of_the_folder() {
        for given in [
            "https://feed.example.org/misp",
            " https://feed.example.org/misp/ ",
            "https://feed.example.org/misp/manifest.json",
            "https://feed.example.org/misp/manifest.json#x",
        ] {
            assert_eq!(
                address(given).unwrap().as_str(),
                "https://feed.example.org/misp/"
            );
        }
        let odd = address("https://feed.example.org/a-manifest.json").unwrap();
        assert_eq!(odd.as_str(), "https://feed.example.org/a-manifest.json/");
    }

    #[test]
    fn an_address_with_a_secret_is_refused_and_not_shown() {
        for given in [
            "https://user:canary@feed.example.org/",
            "https://feed.example.org/?token=canary",
            "https://user:canary@:/",
            "https://feed.example.org:port/?canary",
            "ftp://feed.example.org/#canary",
        ] {
            let error = address(given).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }

    fn remembered(pairs: &[(&'static str, &str)]) -> Option<Validators> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        validators(String::new(), &headers, date(&headers))
    }

    #[test]
    fn a_manifest_that_may_change_within_its_second_is_asked_for_again() {
        const NOW: (&str, &str) = ("date", "Fri, 01 May 2026 00:00:30 GMT");
        let young = ("last-modified", "Fri, 01 May 2026 00:00:29 GMT");
        let settled = ("last-modified", "Fri, 01 May 2026 00:00:28 GMT");
        assert!(remembered(&[NOW, young, ("etag", "\"x\"")]).is_none());
        assert!(remembered(&[settled]).is_none(), "nothing to compare with");
        assert!(remembered(&[NOW, ("last-modified", "soon")]).is_none());
        assert!(remembered(&[NOW]).is_none());
        assert!(remembered(&[NOW, settled]).unwrap().last_modified.is_some());
        assert!(remembered(&[("etag", "\"x\"")]).unwrap().etag.is_some());
    }

    #[test]
    fn a_validator_at_the_limit_is_remembered_and_one_over_it_is_not() {
        assert!(remembered(&[("etag", &"x".repeat(LONGEST_VALIDATOR))]).is_some());
        assert!(remembered(&[("etag", &"x".repeat(LONGEST_VALIDATOR + 1))]).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text in ".{0,60}", rest in "[a-z:/?#@.]{0,30}") {
            for given in [text, format!("https://{rest}")] {
                if let Ok(url) = address(&given) {
                    prop_assert!(url.path().ends_with('/') && url.query().is_none());
                }
            }
        }
    }
}
