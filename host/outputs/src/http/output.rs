//! An HTTP receiver as an [`Output`].

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use pipeline::{Delivery, Output, OutputError, Verdict};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use tokio::sync::Mutex;
use transport::{FileStamps, ProxyChoice, Reach, innermost, tls_failure};

use super::answer::{self, Taken};
use super::error::{AtStart, HttpError};
use super::headers::Headers;
use super::options::{HttpCompression, HttpFormat, HttpOptions};
use super::request::{body, waves};
use crate::breaker::Breaker;
use crate::lines::{Lines, encode};

const USER_AGENT: &str = concat!("misp-ecs/", env!("CARGO_PKG_VERSION"));

/// A smaller batch says nothing about what is refused.
const SMALLEST_JUDGED: usize = 100;

/// Posts documents. A batch is acknowledged when each of its requests got a status of 2xx.
pub struct HttpOutput {
    name: String,
    target: String,
    options: HttpOptions,
    /// Made when first needed, and again when a file of certificates or headers has changed.
    link: Mutex<Option<Linked>>,
    breaker: Breaker,
}

/// A link, and the files it was made with.
struct Linked {
    link: Arc<Link>,
    files: FileStamps,
}

struct Link {
    client: reqwest::Client,
    url: Url,
    headers: Headers,
}

impl HttpOutput {
    /// Touches nothing yet: files are read and the receiver is asked with the first batch.
    #[must_use]
    pub fn new(name: &str, options: &HttpOptions) -> Self {
        Self {
            name: name.to_owned(),
            target: options.url.shown(),
            options: options.clone(),
            link: Mutex::new(None),
            breaker: Breaker::default(),
        }
    }

    /// Reads the files that the options name; does not ask the receiver.
    ///
    /// # Errors
    /// When the address, a file or the proxy is not what it should be.
    pub fn open(name: &str, options: &HttpOptions) -> Result<Self, OutputError> {
        let mut output = Self::new(name, options);
        let files = options.stamps();
        let link = Arc::new(Link::new(options).map_err(OutputError::new)?);
        output.link = Mutex::new(Some(Linked { link, files }));
        Ok(output)
    }

    async fn link(&self) -> Result<Arc<Link>, HttpError> {
        let mut kept = self.link.lock().await;
        // Before they are read: what changes meanwhile is seen the next time.
        let files = self.options.stamps();
        let earlier = match kept.as_ref() {
            Some(linked) if linked.files == files => return Ok(Arc::clone(&linked.link)),
            Some(linked) => Some(Arc::clone(&linked.link)),
            None => None,
        };
        let link = match (Link::new(&self.options), earlier) {
            (Ok(link), _) => Arc::new(link),
            (Err(error), None) => return Err(error),
            (Err(error), Some(earlier)) => {
                tracing::warn!(
                    output = self.name,
                    %error,
                    "certificates or headers have changed and cannot be used, continuing with the \
                     earlier ones"
                );
                return Ok(earlier);
            }
        };
        let linked = kept.insert(Linked { link, files });
        Ok(Arc::clone(&linked.link))
    }

    /// Sends every line; says which were refused for good, and why.
    async fn send(&self, lines: Lines, ids: &[&str]) -> Result<Vec<(usize, String)>, HttpError> {
        let link = self.link().await?;
        let waves = waves(ids, &lines, &self.options);
        let batch = SentBatch {
            output: self,
            link: &link,
            lines: Arc::new(lines),
            of: ids.len(),
            rejected: AtomicUsize::new(0),
        };
        let mut refused = Vec::new();
        for wave in waves {
            let answers = stream::iter(wave)
                .map(|range| batch.send(range))
                .buffer_unordered(self.options.in_flight.get())
                .try_collect::<Vec<_>>()
                .await;
            match answers {
                Ok(answers) => refused.extend(answers.into_iter().flatten()),
                Err(error) => {
                    if matches!(error, HttpError::Refused { .. }) {
                        *self.link.lock().await = None;
                    }
                    return Err(error);
                }
            }
        }
        Ok(refused)
    }
}

impl Link {
    fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        let bad = |reason: &str| HttpError::Url {
            reason: reason.to_owned(),
        };
        let url = Url::parse(&options.url.0).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it begins with neither http:// nor https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "it holds a user name or a password; give `Authorization: ...` in `headers_file`",
            ));
        }
        let headers = match &options.headers_file {
            Some(path) => Headers::read(path)?,
            None => Headers::default(),
        };
        let proxy = ProxyChoice::from(options.proxy.as_ref().map(|proxy| proxy.0.clone()));
        let client = transport::builder(Reach {
            base: &url,
            user_agent: USER_AGENT,
            connect_timeout: options.connect_timeout.get(),
            read_timeout: options.timeout.get(),
            proxy: &proxy,
            tls: &options.tls.transport(),
        })?
        .timeout(options.timeout.get())
        .redirect(Policy::none())
        .build()
        .map_err(|error| transport::TransportError::Setup {
            reason: innermost(&error),
        })?;
        Ok(Self {
            client,
            url,
            headers,
        })
    }

    fn request(&self, method: Method) -> reqwest::RequestBuilder {
        self.client
            .request(method, self.url.clone())
            .headers(self.headers.map.clone())
    }
}

fn no_answer(target: &str, error: reqwest::Error) -> HttpError {
    let target = target.to_owned();
    if error.is_timeout() {
        let reason = "none came in time".to_owned();
        return HttpError::NoAnswer { target, reason };
    }
    if let Some(reason) = tls_failure(&error) {
        return HttpError::Tls { target, reason };
    }
    // The address may hold a token.
    let reason = innermost(&error.without_url());
    HttpError::NoAnswer { target, reason }
}

/// A batch on its way.
struct SentBatch<'a> {
    output: &'a HttpOutput,
    link: &'a Link,
    lines: Arc<Lines>,
    of: usize,
    rejected: AtomicUsize,
}

impl SentBatch<'_> {
    /// Sends a range of lines. What is refused is sent again in halves, in order, down to the
    /// single line.
    async fn send(&self, range: Range<usize>) -> Result<Vec<(usize, String)>, HttpError> {
        let mut rest = vec![range];
        let mut refused = Vec::new();
        while let Some(range) = rest.pop() {
            let Taken::NotThese(text) = self.post(range.clone()).await? else {
                continue;
            };
            if range.len() > 1 {
                let middle = range.start + range.len() / 2;
                rest.push(middle..range.end);
                rest.push(range.start..middle);
            } else {
                self.judge(&text)?;
                refused.push((range.start, text));
            }
        }
        Ok(refused)
    }

    async fn post(&self, range: Range<usize>) -> Result<Taken, HttpError> {
        let compression = self.output.options.compression;
        let format = self.output.options.format();
        let lines = Arc::clone(&self.lines);
        let body = tokio::task::spawn_blocking(move || body(&lines, range, format, compression))
            .await
            .map_err(|_| HttpError::Interrupted)?
            .map_err(|_| HttpError::Interrupted)?;
        let request = self.link.request(Method::POST).header(
            CONTENT_TYPE,
            match format {
                HttpFormat::Ndjson => "application/x-ndjson",
                HttpFormat::Json => "application/json",
            },
        );
        let request = match compression {
            HttpCompression::None => request,
            HttpCompression::Gzip => request.header(CONTENT_ENCODING, "gzip"),
            HttpCompression::Zstd => request.header(CONTENT_ENCODING, "zstd"),
        };
        let target = &self.output.target;
        let answer = request
            .body(body)
            .send()
            .await
            .map_err(|error| no_answer(target, error))?;
        answer::read(answer, target, &self.link.headers).await
    }

    /// Counts one more that is refused for good.
    fn judge(&self, text: &str) -> Result<(), HttpError> {
        let rejected = self.rejected.fetch_add(1, Ordering::Relaxed) + 1;
        let limit = usize::from(self.output.options.reject_limit_percent);
        let too_many = self.of >= SMALLEST_JUDGED && rejected * 100 > self.of * limit;
        if !too_many {
            return Ok(());
        }
        Err(HttpError::TooManyRejected {
            target: self.output.target.clone(),
            rejected,
            of: self.of,
            text: text.to_owned(),
        })
    }
}

#[async_trait]
impl Output for HttpOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        self.options.url.identity()
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        let (lines, mut verdicts) = encode(batch, self.options.common());
        if lines.is_empty() {
            return Ok(verdicts);
        }
        let ids: Vec<&str> = batch
            .iter()
            .zip(&verdicts)
            .filter(|(_, verdict)| **verdict == Verdict::Stored)
            .map(|(delivery, _)| delivery.document.id.as_str())
            .collect();
        let mut refused = self.send(lines, &ids).await.map_err(OutputError::new)?;
        refused.sort_by_key(|(line, _)| *line);
        let mut refused = refused.into_iter().peekable();
        let sent = verdicts
            .iter_mut()
            .filter(|verdict| **verdict == Verdict::Stored);
        for (line, verdict) in sent.enumerate() {
            if let Some((_, text)) = refused.next_if(|(at, _)| *at == line) {
                *verdict = Verdict::Rejected { text };
            }
        }
        let judged = self
            .breaker
            .judge(&verdicts, self.options.reject_limit_percent);
        judged.map_err(|too_many| {
            OutputError::new(HttpError::TooManyRejected {
                target: self.target.clone(),
                rejected: too_many.rejected,
                of: too_many.total,
                text: too_many.first,
            })
        })?;
        Ok(verdicts)
    }

    /// Asks with `OPTIONS`, which changes nothing by its definition (RFC 9110, section 9.2.1).
    async fn check(&self) -> Result<(), OutputError> {
        let checked = async {
            // Files may have been put right since the last time.
            let link = Link::new(&self.options)?;
            let answer = link
                .request(Method::OPTIONS)
                .send()
                .await
                .map_err(|error| no_answer(&self.target, error))?;
            answer::read_check(answer, &self.target, &link.headers).await
        };
        checked
            .await
            .map_err(|error| OutputError::new(AtStart(error)))
    }
}
