//! Starts a real OpenSearch on the loopback interface and ends it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::Value;
use transport::{ProxyChoice, Reach, TlsOptions};

const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/services/opensearch"
);

/// A node with an empty data folder. It ends when this is dropped, and by itself when this
/// process ends, whose end closes its standard input.
pub(crate) struct Node {
    child: Child,
    url: String,
    client: reqwest::Client,
    _home: tempfile::TempDir,
}

impl Node {
    /// `None` where there is no Java or Maven.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        for (program, argument) in [("java", "-version"), ("mvn", "-v")] {
            if !runs(program, argument) {
                assert!(std::env::var_os("CI").is_none(), "{program} is missing");
                println!("skipped: {program} is missing, see tests/services/opensearch/README.md");
                return None;
            }
        }
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new("java")
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-Dlog4j2.disable.jmx=true", "-Dosnode.stdin=true", "-cp"])
            .arg(classpath())
            .arg(Path::new(SOURCE).join("OsNode.java"))
            .arg(home.path())
            .arg("0")
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let Some(line) = lines.next() else {
                panic!("the node ended before it was ready: {said:#?}");
            };
            let line = line.unwrap();
            if let Some(rest) = line.strip_prefix("READY ") {
                break rest.split(' ').next().unwrap().to_owned();
            }
            said.push(line);
        };
        // It would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            client: client(&url),
            child,
            url,
            _home: home,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The answer as JSON, whatever its status.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let mut request = self.client.request(method, format!("{}/{path}", self.url));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// The ids that a query finds over a pattern, sorted.
    pub(crate) async fn found(&self, pattern: &str, query: &Value) -> Vec<String> {
        self.ask(Method::POST, "_refresh", None).await;
        let body = serde_json::json!({"size": 1000, "_source": false, "query": query});
        let path = format!("{pattern}/_search");
        let answer = self.ask(Method::POST, &path, Some(&body)).await;
        let hits = answer["hits"]["hits"].as_array();
        let mut ids: Vec<String> = hits
            .unwrap_or_else(|| panic!("{answer:#}"))
            .iter()
            .map(|hit| hit["_id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Its own end is orderly but slow; nothing of it is kept.
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

fn runs(program: &str, argument: &str) -> bool {
    let run = Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

/// Where the node's parts are, found out by Maven and kept with what else is built.
fn classpath() -> String {
    let pom = Path::new(SOURCE).join("pom.xml");
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("opensearch.classpath");
    let newer = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified());
    let fresh = matches!((newer(&kept), newer(&pom)), (Ok(kept), Ok(pom)) if kept > pom);
    let read = std::fs::read_to_string(&kept).unwrap_or_default();
    if fresh && !read.is_empty() && read.trim().split(':').all(|part| Path::new(part).exists()) {
        return read.trim().to_owned();
    }
    let made = Command::new("mvn")
        .args(["-q", "-B", "-f"])
        .arg(&pom)
        .arg("dependency:build-classpath")
        .arg(format!("-Dmdep.outputFile={}", kept.display()))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stdout)
    );
    std::fs::read_to_string(kept).unwrap().trim().to_owned()
}

fn client(url: &str) -> reqwest::Client {
    let reach = Reach {
        base: &Url::parse(url).unwrap(),
        user_agent: "misp-ecs-tests",
        connect_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(60),
        proxy: &ProxyChoice::Direct,
        tls: &TlsOptions::default(),
    };
    transport::builder(reach).unwrap().build().unwrap()
}
