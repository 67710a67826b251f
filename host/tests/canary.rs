//! The key canary: what the host must keep to itself is in nothing that it prints or writes,
//! also when the other side repeats the request's headers in its answer.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::path::Path;
use std::process::Stdio;

use common::{Setup, demo, output, signal};
use misp_ecs_tests::events::{Attr, BASE_TIME, attr, event, object};
use misp_ecs_tests::fake_misp::KEY;
use misp_ecs_tests::fake_receiver::Reply;
use misp_ecs_tests::{ELASTIC_KEY, FakeElastic, FakeMisp, FakeReceiver};

const TOKEN: &str = "Bearer CanaryHeader-4711";
/// Values that a mapping calls private.
const PGP: &str = "-----BEGIN CanaryPgp-----";
const PASSPORT: &str = "CanaryPassport-0815";
/// As they are sent, in pieces, and as they are in their files.
const SECRETS: [&str; 8] = [
    "CanaryPgp",
    "CanaryPassport",
    KEY,
    ELASTIC_KEY,
    "CanaryKey",
    "CanaryElastic",
    "CanaryHeader",
    "Q2FuYXJ5",
];
/// Files that hold them, and that the host only reads.
const KEPT_IN: [&str; 3] = ["key", "elastic-key", "headers"];

/// Everything that came out of the host.
struct World {
    misp: FakeMisp,
    elastic: FakeElastic,
    receiver: FakeReceiver,
    setup: Setup,
    /// How much was looked at: a test that sees nothing finds nothing.
    seen: usize,
}

impl World {
    async fn new() -> Self {
        let (misp, elastic) = (demo().await, FakeElastic::start().await);
        let receiver = FakeReceiver::start().await.unwrap();
        receiver.require(TOKEN);
        let setup = Setup::new(&misp, "");
        let file = |name: &str, text: &str| {
            std::fs::write(setup.folder.path().join(name), text).unwrap();
        };
        file("elastic-key", ELASTIC_KEY);
        file("headers", &format!("Authorization: {TOKEN}\n"));
        let outputs = format!(
            "{{siem: {{type: elasticsearch, urls: ['{}'], api_key_file: elastic-key, proxy: none, \
             retry_wait: 1ms, breaker_percent: 100}}, \
             hook: {{type: http, url: '{}', headers_file: headers, proxy: none}}, \
             out: {{type: file, path: out.ndjson}}}}",
            elastic.url(),
            receiver.url()
        );
        setup.set("outputs", &outputs);
        Self {
            misp,
            elastic,
            receiver,
            setup: setup.with_compiled(),
            seen: 0,
        }
    }

    fn look(&mut self, what: &str, bytes: &[u8]) {
        self.seen += bytes.len();
        let text = String::from_utf8_lossy(bytes);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} is in {what}: {text}");
        }
    }

    /// Runs a command with every detail in its log, and looks at all that it leaves; what it said.
    async fn run(&mut self, words: &[&str]) -> String {
        let mut command = self.setup.command(words);
        command.args(["--log", "trace"]);
        let ran = output(command).await;
        self.look(&format!("what {words:?} says"), &ran.stdout);
        self.look(&format!("what {words:?} logs"), &ran.stderr);
        self.files();
        String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned()
    }

    /// What has arrived at the outputs.
    fn outputs(&mut self) {
        let came = self.elastic.requests().into_iter();
        let bodies: Vec<_> = came.map(|request| request.body).collect();
        for body in bodies {
            self.look("what Elasticsearch got", &body);
        }
        let arrived = self.receiver.arrived();
        self.look("what the receiver got", arrived.as_bytes());
    }

    /// State, dead letters, trace, output, log.
    fn files(&mut self) {
        let folder = self.setup.folder.path().to_owned();
        let mut folders = vec![folder.clone()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                let kind = path.symlink_metadata().unwrap().file_type();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && !is_kept_in(&folder, &path) {
                    // A passing file may be gone by now.
                    let bytes = std::fs::read(&path).unwrap_or_default();
                    self.look(&path.display().to_string(), &bytes);
                }
            }
        }
    }

    /// A service with faults that are tried again for ever, until its status tells of this stage.
    async fn degraded(&mut self, stage: &str) {
        let log = self.setup.folder.path().join("log");
        let mut host = self
            .setup
            .command(&["run", "--log", "trace"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let told = async {
            loop {
                let status = self.run(&["status", "--json"]).await;
                if status.contains("\"degraded\"") && status.contains(stage) {
                    return;
                }
            }
        };
        let limit = std::time::Duration::from_secs(60);
        let told = tokio::time::timeout(limit, told).await;
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(told.is_ok(), "never degraded: {said}");
        assert!(said.contains("what is"), "the server was not heard: {said}");
        self.run(&["status"]).await;
        signal(&host, "TERM");
        tokio::task::spawn_blocking(move || host.wait().unwrap())
            .await
            .unwrap();
        self.files();
    }
}

fn is_kept_in(folder: &Path, path: &Path) -> bool {
    KEPT_IN.iter().any(|name| path == folder.join(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_comes_out_of_the_host() {
    let mut world = World::new().await;
    let echo = format!("what is {{\"authorization\": \"{TOKEN}\"}}?");
    for words in [
        &["config"][..],
        &["setup", "elasticsearch", "--dry-run"],
        &["setup", "elasticsearch"],
        &["check"],
    ] {
        // `config` knows no configuration.
        let ran = match words {
            ["config"] => output(world.setup.bare(words)).await.stdout,
            _ => world.run(words).await.into_bytes(),
        };
        world.look(&words.join(" "), &ran);
    }

    // Answers that every document is refused with: they are kept in the dead letters.
    world.elastic.habits(|habits| habits.echo_bulks = Some(400));
    world.receiver.script([Reply::status(400, &echo)]);
    world.run(&["run", "--once"]).await;
    let letters = world.setup.folder.path().join("state/dead-letters.ndjson");
    let letters = std::fs::read_to_string(letters).unwrap();
    assert!(letters.contains("what is"), "{letters}");
    assert!(letters.contains("\"siem\""), "{letters}");

    world.elastic.habits(|habits| habits.echo_bulks = None);

    // Refused for now: credentials, a redirect, an error of the server.
    for status in [401, 302, 500, 403] {
        world.elastic.habits(|habits| habits.echo = Some(status));
        world.misp.habits(|habits| habits.echo = Some(status));
        world.receiver.script([Reply::status(status, &echo)]);
        for words in [&["check"][..], &["setup", "elasticsearch"]] {
            let said = world.run(words).await;
            assert!(said.contains(&status.to_string()), "{words:?}: {said}");
        }
    }
    world.run(&["audit"]).await;
    world.run(&["run", "--once"]).await;
    world.misp.habits(|habits| habits.echo = Some(500));
    world.degraded("source").await;

    world.misp.habits(|habits| habits.echo = None);
    world.misp.with_store(|store| {
        let event = store.events()[0]["uuid"].as_str().unwrap().to_owned();
        store.edit(&event, |event| event["info"] = "another".into());
        store.publish(&event);
    });
    world.elastic.habits(|habits| habits.echo = Some(403));
    world.degraded("output siem").await;
    world.elastic.habits(|habits| habits.echo = None);
    world
        .receiver
        .script(std::iter::repeat_n(Reply::status(500, &echo), 100));
    world.degraded("output hook").await;
    world.receiver.clear();
    for words in [
        &["state", "show"][..],
        &["state", "export"],
        &["mapping", "history"],
    ] {
        world.run(words).await;
    }
    let trace = world.setup.folder.path().join("trace.ndjson");
    assert!(trace.metadata().unwrap().len() > 0);
    assert!(world.seen > 100_000, "{} bytes", world.seen);
}

/// A private attribute, and everything of it that can repeat its value.
fn private(kind: &str, value: &str) -> Attr {
    attr(kind, value)
        .with("warnings", serde_json::json!([{"match": value}]))
        .with("validationIssue", value)
        .with(
            "RelatedAttribute",
            serde_json::json!([{"type": "text", "value": value}]),
        )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_value_comes_out_of_the_host() {
    let mut world = World::new().await;
    let of_event = event(9_001, "private")
        .published_at(BASE_TIME + 9_001)
        .attribute(private("pgp-private-key", PGP))
        .attribute(private("passport-number", PASSPORT))
        .object(
            object("person", "misc")
                .attribute("passport-number", private("passport-number", PASSPORT))
                .attribute("text", attr("text", "of the same object")),
        )
        .build();
    let uuid = of_event["uuid"].as_str().unwrap().to_owned();
    let aside = tempfile::tempdir().unwrap();
    let file = aside.path().join("event.json");
    std::fs::write(&file, serde_json::json!({"Event": of_event}).to_string()).unwrap();
    world.misp.add(of_event);
    // What the mapping refuses, with all of its event.
    world.misp.with_store(|store| {
        store.edit(&uuid, |event| {
            let attributes = event["Attribute"].as_array_mut().unwrap();
            attributes.push(serde_json::json!({}));
        });
        store.publish(&uuid);
    });

    world.run(&["setup", "elasticsearch"]).await;
    let said = world.run(&["run", "--once"]).await;
    assert!(said.contains("account"), "{said}");
    world.outputs();
    let out = std::fs::read_to_string(world.setup.folder.path().join("out.ndjson")).unwrap();
    let of_it = out.lines().filter(|line| line.contains(&uuid));
    let redacted = of_it.filter(|line| line.contains("[redacted]")).count();
    assert!(redacted >= 3, "{redacted} documents: {said}");
    let letters = world.setup.folder.path().join("state/dead-letters.ndjson");
    let kept = std::fs::read_to_string(&letters).unwrap();
    assert!(
        kept.contains(&uuid) && kept.contains("[redacted]"),
        "{kept}"
    );

    // Refused by an output, and shown to a person.
    world.elastic.habits(|habits| habits.echo_bulks = Some(400));
    world.misp.with_store(|store| {
        store.edit(&uuid, |event| event["info"] = "private again".into());
        store.publish(&uuid);
    });
    world.run(&["run", "--once"]).await;
    let kept = std::fs::read_to_string(&letters).unwrap();
    assert!(kept.contains("private again"), "{kept}");
    world.elastic.habits(|habits| habits.echo_bulks = None);
    for words in [
        &["dead-letter", "list"][..],
        &["dead-letter", "show"],
        &["dead-letter", "replay"],
        &["state", "export"],
    ] {
        world.run(words).await;
    }
    world.outputs();

    let file = file.display().to_string();
    for words in [
        &[
            "mapping",
            "diff",
            "ecs-1.12",
            "ecs-9",
            &file,
            "--examples",
            "500",
        ][..],
        &["transform", "--envelope", &file],
    ] {
        let mut command = world.setup.bare(words);
        command.args(["--log", "trace"]);
        let ran = output(command).await;
        assert!(!ran.stdout.is_empty(), "{words:?}");
        world.look(&words.join(" "), &ran.stdout);
        world.look(&words.join(" "), &ran.stderr);
    }
    assert!(world.seen > 100_000, "{} bytes", world.seen);
}
