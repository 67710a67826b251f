//! One question to a node and its answer, whole and bounded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Method, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use transport::{ProxyChoice, Reach, Renewed, builder, innermost, tls_failure};

use super::credentials::{Credentials, Environment, Source};
use super::error::ElasticError;
use super::options::ElasticsearchOptions;
use crate::retry_after::retry_after;

/// No answer is larger: that of a bulk of 1,000 is below 1 MB.
const LARGEST_ANSWER: usize = 64 << 20;
/// What is kept of a text of the server.
const LONGEST_REASON: usize = 500;

/// The nodes of a cluster.
pub(super) struct Client {
    http: Renewed<reqwest::Client>,
    options: ElasticsearchOptions,
    nodes: Vec<Url>,
    /// The node that answered last, by place.
    current: AtomicUsize,
    source: Source,
    credentials: Mutex<Credentials>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) kind: &'static str,
    pub(super) gzip: bool,
    pub(super) bytes: Bytes,
}

impl Client {
    /// The client of the options. Reads the files they name; asks nothing yet.
    pub(super) fn new(
        options: &ElasticsearchOptions,
        environment: Environment,
    ) -> Result<Self, ElasticError> {
        let nodes = nodes(options)?;
        let source = Source::new(options, environment)?;
        let credentials = source.read()?;
        let files = options.tls.files().cloned();
        let http = Renewed::new(files, || http_client(options, &nodes))?;
        Ok(Self {
            http,
            options: options.clone(),
            nodes,
            current: AtomicUsize::new(0),
            source,
            credentials: Mutex::new(credentials),
        })
    }

    /// One try at the current node; the next one is current after a failure.
    ///
    /// # Errors
    /// When no whole answer came, or it says that nothing will: 401, 403, 429, 5xx.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        content: Option<Content>,
    ) -> Result<Answer, ElasticError> {
        let place = self.current.load(Ordering::Relaxed);
        let asked = self.ask_node(place, method, path, content).await;
        let elsewhere = match &asked {
            Err(ElasticError::Busy { status, .. }) => *status != 429,
            Err(error) => error.is_passing(),
            Ok(_) => false,
        };
        if elsewhere {
            let next = (place + 1) % self.nodes.len().max(1);
            // If it has moved on already, another question did the same.
            let _ =
                self.current
                    .compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        asked
    }

    /// As [`Self::read`], whatever the answer holds.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, ElasticError> {
        self.read(method, path, body).await
    }

    /// A try at each node until one answers, and the answer, read from JSON; `None` for 404.
    ///
    /// # Errors
    /// When none answers, or not with such JSON and success.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<T>, ElasticError> {
        let content = body.map(|body| Content {
            kind: "application/json",
            gzip: false,
            bytes: body.to_string().into(),
        });
        let mut asked = self.ask(method.clone(), path, content.clone()).await;
        for _ in 1..self.nodes.len() {
            match &asked {
                Err(error) if error.is_passing() => {}
                _ => break,
            }
            asked = self.ask(method.clone(), path, content.clone()).await;
        }
        let answer = asked?;
        match answer.status {
            404 => Ok(None),
            200..300 => serde_json::from_slice(&answer.body)
                .map(Some)
                .map_err(|error| self.unreadable(&answer.body, &error)),
            status => Err(ElasticError::Refused {
                status,
                reason: self.reason(&answer.body),
            }),
        }
    }

    async fn ask_node(
        &self,
        place: usize,
        method: Method,
        path: &str,
        content: Option<Content>,
    ) -> Result<Answer, ElasticError> {
        let Some(node) = self.nodes.get(place).or(self.nodes.first()) else {
            return refuse("there is no node".to_owned());
        };
        let url = node.join(path).map_err(|error| ElasticError::Options {
            reason: format!("{path} is no path: {error}"),
        })?;
        let http = self
            .http
            .current(|| http_client(&self.options, &self.nodes));
        let mut request = http.request(method, url);
        if let Some(header) = self.credentials().header {
            request = request.header(AUTHORIZATION, header);
        }
        if let Some(content) = content {
            request = request
                .header(CONTENT_TYPE, content.kind)
                .body(content.bytes);
            if content.gzip {
                request = request.header(CONTENT_ENCODING, "gzip");
            }
        }
        let failed = |error: reqwest::Error| {
            let url = node.as_str().to_owned();
            match tls_failure(&error) {
                Some(reason) => ElasticError::Tls { url, reason },
                None => {
                    let reason = innermost(&error);
                    ElasticError::Unreachable { url, reason }
                }
            }
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let after = retry_after(response.headers(), SystemTime::now());
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > LARGEST_ANSWER {
                let reason = format!("it is larger than {LARGEST_ANSWER} bytes");
                return Err(ElasticError::Unreadable { reason });
            }
            body.extend_from_slice(&piece);
        }
        match status {
            401 | 403 => {
                let mut reason = self.reason(&body);
                if let Err(error) = self.read_credentials_again() {
                    reason.push_str("; they cannot be read again: ");
                    reason.push_str(&error.to_string());
                }
                Err(if status == 401 {
                    ElasticError::Credentials { reason }
                } else {
                    ElasticError::Forbidden { reason }
                })
            }
            429 | 500..600 => Err(ElasticError::Busy {
                status,
                reason: self.reason(&body),
                after,
            }),
            // A search server does not redirect.
            300..=399 => Err(ElasticError::Unreadable {
                reason: format!("it is a redirect ({status})"),
            }),
            _ => Ok(Answer { status, body }),
        }
    }

    /// Why the server refused: its own words where they can be read, cut and without secrets.
    pub(super) fn reason(&self, body: &[u8]) -> String {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = ["/error/reason", "/error", "/message"]
            .iter()
            .find_map(|at| said.pointer(at)?.as_str());
        match text {
            Some(text) => self.clean(text),
            None if body.is_empty() => "no reason given".to_owned(),
            None => format!("{} bytes that are no error of a search server", body.len()),
        }
    }

    /// A text of the server, cut and without secrets.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = self.credentials().redact(text);
        if text.len() > LONGEST_REASON {
            let cut = text.floor_char_boundary(LONGEST_REASON);
            text.truncate(cut);
            text.push_str("..");
        }
        text
    }

    /// An answer that is no JSON, or not the JSON it should be.
    pub(super) fn unreadable(&self, body: &[u8], error: &serde_json::Error) -> ElasticError {
        let start = body.trim_ascii_start();
        let reason = if start.starts_with(b"<") {
            "it is a page for people".to_owned()
        } else {
            format!("{} bytes, {}", body.len(), self.clean(&error.to_string()))
        };
        ElasticError::Unreadable { reason }
    }

    fn credentials(&self) -> Credentials {
        let credentials = self.credentials.lock();
        credentials.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Somebody may have put new ones there since.
    fn read_credentials_again(&self) -> Result<(), ElasticError> {
        let read = self.source.read()?;
        let mut credentials = self
            .credentials
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *credentials = read;
        Ok(())
    }
}

/// The HTTP client of these options. Reads the files they name.
fn http_client(
    options: &ElasticsearchOptions,
    nodes: &[Url],
) -> Result<reqwest::Client, ElasticError> {
    let proxy = ProxyChoice::from(options.proxy.as_ref().map(|proxy| proxy.0.clone()));
    let secured = nodes.iter().find(|node| node.scheme() == "https");
    let Some(base) = secured.or(nodes.first()) else {
        return refuse("`urls` or `cloud_id` is needed".to_owned());
    };
    let reach = Reach {
        base,
        user_agent: concat!("misp-ecs/", env!("CARGO_PKG_VERSION")),
        connect_timeout: options.connect_timeout.get(),
        read_timeout: options.read_timeout.get(),
        proxy: &proxy,
        tls: &options.tls.transport(),
    };
    builder(reach)
        .map_err(|error| ElasticError::Options {
            reason: error.to_string(),
        })?
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| ElasticError::Options {
            reason: innermost(&error),
        })
}

fn refuse<T>(reason: String) -> Result<T, ElasticError> {
    Err(ElasticError::Options { reason })
}

fn nodes(options: &ElasticsearchOptions) -> Result<Vec<Url>, ElasticError> {
    match (&options.cloud_id, options.urls.as_slice()) {
        (Some(_), [_, ..]) => refuse("`urls` and `cloud_id` are given: keep one".to_owned()),
        (Some(id), []) => Ok(vec![cloud(id)?]),
        (None, []) => refuse("`urls` or `cloud_id` is needed".to_owned()),
        (None, urls) => urls.iter().map(|url| node(&url.0)).collect(),
    }
}

/// An address with a slash at its end, so that paths can be joined to it.
fn node(text: &str) -> Result<Url, ElasticError> {
    // What does not parse may still hold a password.
    let shown = text.rsplit('@').next().unwrap_or_default();
    let mut url = Url::parse(text.trim()).map_err(|error| ElasticError::Options {
        reason: format!(
            "`{shown}` of `urls` is no address: {error}; it looks like \
             https://elastic.example.org:9200"
        ),
    })?;
    if url.password().is_some() || !url.username().is_empty() {
        return refuse(format!(
            "`{shown}` of `urls` holds a user name or password: give `username` and \
             `password_file`"
        ));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return refuse(format!(
            "`{shown}` of `urls` begins with neither http nor https"
        ));
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// `NAME:BASE64`, and in it `HOST$ELASTICSEARCH$KIBANA`; the host may have a port.
fn cloud(id: &str) -> Result<Url, ElasticError> {
    let refused = || ElasticError::Options {
        reason: "`cloud_id` is none: copy it again from the deployment's page".to_owned(),
    };
    let encoded = id.rsplit(':').next().unwrap_or_default().trim();
    let decoded = BASE64.decode(encoded).map_err(|_| refused())?;
    let decoded = String::from_utf8(decoded).map_err(|_| refused())?;
    let mut parts = decoded.split('$');
    let (Some(host), Some(elasticsearch)) = (parts.next(), parts.next()) else {
        return Err(refused());
    };
    if host.is_empty() || elasticsearch.is_empty() {
        return Err(refused());
    }
    let (host, port) = host.rsplit_once(':').unwrap_or((host, "443"));
    let (elasticsearch, port) = elasticsearch
        .rsplit_once(':')
        .unwrap_or((elasticsearch, port));
    node(&format!("https://{elasticsearch}.{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_id_names_a_node() {
        let id = |text: &str| format!("my:cluster:{}", BASE64.encode(text));
        for (text, url) in [
            ("eu.example.org$abc$def", "https://abc.eu.example.org/"),
            ("example.org:9243$abc$", "https://abc.example.org:9243/"),
            ("example.org$abc:9244$def", "https://abc.example.org:9244/"),
        ] {
            assert_eq!(cloud(&id(text)).unwrap().as_str(), url);
        }
        for bad in [
            "",
            "a:b",
            &id("example.org"),
            &id("$$"),
            &id("example.org$"),
        ] {
            cloud(bad).unwrap_err();
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        for bad in [
            "ftp://a.example.org",
            "https://user:Canary12@a.example.org",
            "https://user:Canary12@a.example.org:x",
            "a.example.org",
        ] {
            let error = node(bad).unwrap_err().to_string();
            assert!(!error.contains("Canary12"), "{error}");
        }
        let path = node("https://a.example.org/es?x#y").unwrap();
        assert_eq!(path.as_str(), "https://a.example.org/es/");
    }
}
