//! One real OpenSearch node, and questions to it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Value, json};
use transport::{ProxyChoice, Reach, TlsOptions};

use super::process::Process;
use super::{folder, once, run};

/// Hits in one answer of a walk through an index.
const PAGE: u64 = 5_000;

/// A node on a loopback port of its own, which it keeps over restarts. Ends when dropped, and by
/// itself when this process ends, whose end closes its standard input.
pub struct OpenSearchNode {
    process: Option<Process>,
    classpath: String,
    home: PathBuf,
    settings: Vec<String>,
    url: String,
    client: reqwest::Client,
}

impl OpenSearchNode {
    /// Starts a node with its data in `home` and settings such as
    /// `http.max_content_length=256kb`. Downloads it the first time; blocks.
    ///
    /// # Errors
    /// When it cannot be downloaded or does not start.
    pub fn start(home: &Path, settings: &[&str]) -> io::Result<Self> {
        let kept = folder("opensearch")?;
        let classpath = kept.join("classpath");
        once(&kept, "done", || {
            run(Command::new("mvn")
                .args(["-q", "-B", "-f"])
                .arg(own("pom.xml"))
                .arg("dependency:build-classpath")
                .arg(format!("-Dmdep.outputFile={}", classpath.display())))
        })?;
        let mut node = Self {
            process: None,
            classpath: fs::read_to_string(classpath)?.trim().to_owned(),
            home: home.to_owned(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            url: String::new(),
            client: client()?,
        };
        node.resume()?;
        Ok(node)
    }

    /// Such as `http://127.0.0.1:9200`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts it again, at the same port with the same data.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        let port = self.url.rsplit_once(':').map_or("0", |(_, port)| port);
        let mut command = Command::new("java");
        command
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dlog4j2.disable.jmx=true", "-Dosnode.stdin=true", "-cp"])
            .arg(&self.classpath)
            .arg(own("OsNode.java"))
            .arg(&self.home)
            .arg(port)
            .args(&self.settings);
        let (process, lines) = Process::start(&mut command, "READY ")?;
        let ready = lines.iter().find_map(|line| line.strip_prefix("READY "));
        let url = ready.and_then(|rest| rest.split(' ').next());
        url.unwrap_or_default().clone_into(&mut self.url);
        self.process = Some(process);
        Ok(())
    }

    /// The answer as JSON, whatever its status.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let mut request = self.client.request(method, format!("{}/{path}", self.url));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.map_err(io::Error::other)?;
        let body = answer.bytes().await.map_err(io::Error::other)?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// The documents that a query finds over a pattern, by id.
    ///
    /// # Errors
    /// When the answer is none of documents.
    pub async fn documents(
        &self,
        pattern: &str,
        query: &Value,
    ) -> io::Result<BTreeMap<String, Value>> {
        self.ask(Method::POST, "_refresh", None).await?;
        let first = format!("{pattern}/_search?scroll=1m");
        let body = json!({"size": PAGE, "query": query, "sort": ["_doc"]});
        let mut answer = self.ask(Method::POST, &first, Some(&body)).await?;
        let mut found = BTreeMap::new();
        loop {
            let hits = answer.pointer("/hits/hits").and_then(Value::as_array);
            let hits = hits.ok_or_else(|| io::Error::other(format!("no hits: {answer:#}")))?;
            if hits.is_empty() {
                return Ok(found);
            }
            for hit in hits {
                let id = hit.get("_id").and_then(Value::as_str).unwrap_or_default();
                let source = hit.get("_source").cloned().unwrap_or_default();
                found.insert(id.to_owned(), source);
            }
            let next = json!({"scroll": "1m", "scroll_id": answer.get("_scroll_id")});
            answer = self
                .ask(Method::POST, "_search/scroll", Some(&next))
                .await?;
        }
    }
}

fn own(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("services/opensearch")
        .join(file)
}

fn client() -> io::Result<reqwest::Client> {
    let base = Url::parse("http://127.0.0.1/").map_err(io::Error::other)?;
    let reach = Reach {
        base: &base,
        user_agent: "misp-ecs-tests",
        connect_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(60),
        proxy: &ProxyChoice::Direct,
        tls: &TlsOptions::default(),
    };
    let builder = transport::builder(reach).map_err(io::Error::other)?;
    builder.build().map_err(io::Error::other)
}
