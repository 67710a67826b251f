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
use super::{folder, have, missing, once, run};

/// Hits in one answer of a walk through an index.
const PAGE: u64 = 5_000;

/// Which OpenSearch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenSearch {
    /// 2.19, on Java 17 or later.
    Two,
    /// 3.8, on Java 21 or later.
    Three,
}

impl OpenSearch {
    /// The `java` to start it with, if that and Maven are here; else it is said, and the test is
    /// to be passed over.
    ///
    /// # Panics
    /// Where they are missing and `CI` is set: there nothing is passed over.
    #[must_use]
    pub fn java(self) -> Option<PathBuf> {
        let least = match self {
            Self::Two => 17,
            Self::Three => 21,
        };
        let found = javas().find(|java| version(java).is_some_and(|version| version >= least));
        if found.is_none() {
            missing(&[&format!("a Java of at least {least}")]);
        }
        found.filter(|_| have(&["mvn"]))
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Two => "opensearch-2",
            Self::Three => "opensearch-3",
        }
    }

    fn own(self, file: &str) -> PathBuf {
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("services");
        services.join(self.folder()).join(file)
    }
}

/// Everything that may be a `java`: that of the environment first.
fn javas() -> impl Iterator<Item = PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(PathBuf::from);
    let installed = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let homes = home.into_iter().chain(installed.map(|entry| entry.path()));
    std::iter::once(PathBuf::from("java")).chain(homes.map(|home| home.join("bin/java")))
}

/// The major version; `None` if it does not run.
fn version(java: &Path) -> Option<u32> {
    let said = Command::new(java).arg("-version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let (_, quoted) = said.split_once("version \"")?;
    quoted.split(['.', '"', '-']).next()?.parse().ok()
}

/// A node on a loopback port of its own, which it keeps over restarts. Ends when dropped, and by
/// itself when this process ends, whose end closes its standard input.
pub struct OpenSearchNode {
    process: Option<Process>,
    generation: OpenSearch,
    java: PathBuf,
    classpath: String,
    home: PathBuf,
    settings: Vec<String>,
    url: String,
    client: reqwest::Client,
}

impl OpenSearchNode {
    /// Starts a node with the `java` of [`OpenSearch::java`], its data in `home` and settings such
    /// as `http.max_content_length=256kb`. Downloads it the first time; blocks.
    ///
    /// # Errors
    /// When it cannot be downloaded or does not start.
    pub fn start(
        generation: OpenSearch,
        java: &Path,
        home: &Path,
        settings: &[&str],
    ) -> io::Result<Self> {
        let kept = folder(generation.folder())?;
        let classpath = kept.join("classpath");
        once(&kept, "done", || {
            run(Command::new("mvn")
                .args(["-q", "-B", "-f"])
                .arg(generation.own("pom.xml"))
                .arg("dependency:build-classpath")
                .arg(format!("-Dmdep.outputFile={}", classpath.display())))
        })?;
        let mut node = Self {
            process: None,
            generation,
            java: java.to_owned(),
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
        let mut command = Command::new(&self.java);
        command
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dlog4j2.disable.jmx=true", "-Dosnode.stdin=true", "-cp"])
            .arg(&self.classpath)
            .arg(self.generation.own("OsNode.java"))
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

/// A client for servers of this machine.
pub(crate) fn client() -> io::Result<reqwest::Client> {
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
