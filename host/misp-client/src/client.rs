//! One request to MISP, and what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pipeline::ServerClock;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use splitter::Body;
use transport::{Renewed, innermost};

use crate::body::{Intake, Keep, Memory, spooled};
use crate::disk::DiskSpool;
use crate::error::{ClientError, OptionsError};
use crate::headers;
use crate::key::ApiKey;
use crate::keys::Keys;
use crate::options::ClientOptions;
use crate::pace::Pace;
use crate::setup::{authorization, base, build};
use crate::trace::Tracer;

/// The most bytes taken of a call that is no search. The longest is the list of all keys that a
/// site admin sees.
const SMALL_BODY: usize = 16 << 20;

/// The two searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `events/restSearch`
    Events,
    /// `attributes/restSearch`
    Attributes,
}

impl Endpoint {
    fn path(self) -> &'static str {
        match self {
            Self::Events => "events/restSearch",
            Self::Attributes => "attributes/restSearch",
        }
    }
}

/// What an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Text,
}

impl Form {
    /// What its content type holds.
    fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Text => "text/plain",
        }
    }
}

/// A search's answer, its body whole but not yet looked at.
#[derive(Debug)]
pub struct Answer {
    /// The body, unpacked.
    pub body: Body,
    /// `Date`: the web server's clock, UNIX seconds.
    pub date: Option<i64>,
    /// `X-Result-Count`: for events how many match over all pages.
    pub result_count: Option<u64>,
    /// `X-Skipped-Elements-Count`: read but left out of this page.
    pub skipped: Option<u64>,
    /// Bytes as they came over the wire.
    pub received: u64,
    /// From the request to the last byte.
    pub took: Duration,
}

/// A small answer.
#[derive(Debug)]
pub(crate) struct Small<T> {
    pub(crate) value: T,
    pub(crate) date: Option<i64>,
    pub(crate) result_count: Option<u64>,
}

/// Talks to one MISP. Cheap to clone: clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: Arc<Renewed<reqwest::Client>>,
    base: Url,
    options: ClientOptions,
    keys: Keys,
    tracer: Option<Tracer>,
    clock: ServerClock,
}

impl Client {
    /// Sets the client up; makes no request yet.
    ///
    /// # Errors
    /// When an address, certificate or key file is not what it should be.
    pub fn new(options: ClientOptions) -> Result<Self, OptionsError> {
        let base = base(&options.url)?;
        let files = options.tls.files().cloned();
        let http = Arc::new(Renewed::new(files, || build(&options, &base))?);
        let tracer = options
            .trace_file
            .as_deref()
            .map(Tracer::open)
            .transpose()?;
        if !options.tls.verify {
            tracing::warn!(url = %base, "the certificate of this MISP is not checked");
        }
        if base.scheme() == "http" && !is_loopback(&base) {
            tracing::warn!(url = %base, "no TLS: the API key goes over the network in the clear");
        }
        authorization(&options.api_key).map_err(|error| OptionsError::Key {
            reason: error.to_string(),
        })?;
        let keys = Keys::new(options.api_key.clone());
        Ok(Self {
            http,
            base,
            options,
            keys,
            tracer,
            clock: ServerClock::default(),
        })
    }

    /// The instance's address, with a slash at its end.
    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    /// Searches. The body is sent as it is: it must hold an explicit `limit` and `page`.
    ///
    /// # Errors
    /// When no whole JSON answer came.
    pub async fn post_search(
        &self,
        endpoint: Endpoint,
        body: &Value,
    ) -> Result<Answer, ClientError> {
        self.post_for(Form::Json, endpoint, body).await
    }

    /// As [`Self::post_search`], for a search whose `returnFormat` is `csv`.
    ///
    /// # Errors
    /// When no whole CSV answer came.
    pub async fn post_csv(&self, endpoint: Endpoint, body: &Value) -> Result<Answer, ClientError> {
        self.post_for(Form::Csv, endpoint, body).await
    }

    /// As [`Self::post_search`], for a search whose answer is plain text.
    pub(crate) async fn post_text(
        &self,
        endpoint: Endpoint,
        body: &Value,
    ) -> Result<Answer, ClientError> {
        self.post_for(Form::Text, endpoint, body).await
    }

    async fn post_for(
        &self,
        form: Form,
        endpoint: Endpoint,
        body: &Value,
    ) -> Result<Answer, ClientError> {
        let started = Instant::now();
        let path = endpoint.path();
        let result = self.search(form, path, body, started).await;
        self.trace(
            &Method::POST,
            path,
            Some(body),
            started,
            &result,
            |answer| {
                json!({"status": 200, "bytes": answer.body.len(), "received": answer.received,
                   "result_count": answer.result_count, "skipped": answer.skipped,
                   "date": answer.date})
            },
        );
        result
    }

    async fn search(
        &self,
        form: Form,
        path: &str,
        body: &Value,
        started: Instant,
    ) -> Result<Answer, ClientError> {
        let response = self.send(form, Method::POST, path, Some(body)).await?;
        let headers = response.headers().clone();
        let spool = DiskSpool::new(self.options.spool.clone());
        let (spool, received) = self
            .take_in(response, spool, self.options.max_compressed)
            .await?;
        Ok(Answer {
            body: spooled(spool)?,
            date: headers::date(&headers),
            result_count: headers::number(&headers, "x-result-count"),
            skipped: headers::number(&headers, "x-skipped-elements-count"),
            received,
            took: started.elapsed(),
        })
    }

    /// A call whose answer is small and read as a whole.
    pub(crate) async fn small<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Small<T>, ClientError> {
        let started = Instant::now();
        let result = self.small_untraced(method.clone(), path, body).await;
        self.trace(
            &method,
            path,
            body,
            started,
            &result,
            |small| json!({"status": 200, "result_count": small.result_count, "date": small.date}),
        );
        result
    }

    async fn small_untraced<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Small<T>, ClientError> {
        let response = self.send(Form::Json, method, path, body).await?;
        let headers = response.headers().clone();
        let memory = Memory {
            bytes: Vec::new(),
            limit: SMALL_BODY,
        };
        let (memory, _) = self.take_in(response, memory, SMALL_BODY as u64).await?;
        let value = serde_json::from_slice(&memory.bytes).map_err(|error| {
            ClientError::Unreadable {
                path: path.to_owned(),
                // What serde says holds places and kinds, and texts of the answer.
                reason: self.clean(&error.to_string()),
            }
        })?;
        Ok(Small {
            value,
            date: headers::date(&headers),
            result_count: headers::number(&headers, "x-result-count"),
        })
    }

    /// Sends, and turns every status but 200, and every other form, into an error.
    async fn send(
        &self,
        form: Form,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, ClientError> {
        let url = self
            .base
            .join(path)
            .map_err(|error| self.unreachable(&error))?;
        let http = self.http.current(|| build(&self.options, &self.base));
        let request = |key: &ApiKey| {
            let header = authorization(key).map_err(|error| self.unreachable(&error))?;
            let request = http.request(method.clone(), url.clone());
            let request = request.header(AUTHORIZATION, header);
            Ok(match body {
                Some(body) => request
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.to_string()),
                None => request,
            })
        };
        let key = self.keys.in_use();
        let mut response = self.answer(request(&key)?).await?;
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        if refused.contains(&response.status())
            && let Some(other) = self.keys.after(&key)
        {
            response = self.answer(request(&other)?).await?;
        }
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let content_type = headers::text(response.headers(), CONTENT_TYPE.as_str())
            .unwrap_or("application/json")
            .to_owned();
        if !content_type.to_ascii_lowercase().contains(form.word()) {
            let snippet = self.snippet(response).await;
            return Err(ClientError::OtherForm {
                wanted: form.word(),
                content_type: self.clean(&content_type),
                snippet,
            });
        }
        Ok(response)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.no_answer(error))?;
        if let Some(date) = headers::date_now(answer.headers()) {
            self.clock.set(date);
        }
        Ok(answer)
    }

    pub(crate) async fn take_in<K: Keep>(
        &self,
        mut response: Response,
        keep: K,
        most: u64,
    ) -> Result<(K, u64), ClientError> {
        let encoding = headers::text(response.headers(), CONTENT_ENCODING.as_str());
        let mut intake = Intake::new(encoding, keep, most)?;
        let mut pace = Pace::new(self.options.pace);
        loop {
            let came = pace.wait(response.chunk()).await;
            match came.map_err(ClientError::TooSlow)? {
                Ok(Some(piece)) => {
                    pace.came(piece.len());
                    intake.push(&piece)?;
                }
                Ok(None) => break,
                Err(error) if error.is_timeout() => return Err(self.timeout()),
                Err(error) => {
                    return Err(ClientError::Truncated {
                        received: intake.received(),
                        reason: innermost(&error.without_url()),
                    });
                }
            }
        }
        let received = intake.received();
        Ok((intake.finish()?, received))
    }

    /// The server's clock, as its last answer showed it.
    pub(crate) fn clock(&self) -> ServerClock {
        self.clock.clone()
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    fn trace<T>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        started: Instant,
        result: &Result<T, ClientError>,
        describe: impl FnOnce(&T) -> Value,
    ) {
        let Some(tracer) = &self.tracer else { return };
        let asked = json!({
            "time_ms": pipeline::now_ms(), "method": method.as_str(),
            "url": format!("{}{path}", self.base), "body": body,
            "headers": {"authorization": "[redacted]", "accept": "application/json"},
        });
        let mut came = match result {
            Ok(answer) => describe(answer),
            Err(error) => json!({"error": error.to_string()}),
        };
        if let Some(came) = came.as_object_mut() {
            came.insert(
                "took_ms".to_owned(),
                u64::try_from(started.elapsed().as_millis())
                    .unwrap_or(u64::MAX)
                    .into(),
            );
        }
        tracer.write(&asked, &came);
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}
