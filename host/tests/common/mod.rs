//! The real binary against a fake MISP.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test, and not every suite uses all of them"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use misp_ecs_tests::fake_receiver::FakeReceiver;
use misp_ecs_tests::{ELASTIC_KEY, FakeElastic, FakeMisp};
use serde_json::Value;
use tempfile::TempDir;

/// The mappings' components, built once and kept where the binary looks for them; the path of
/// `ecs-1.12`.
pub fn mapping() -> &'static Path {
    static MAPPING: OnceLock<PathBuf> = OnceLock::new();
    MAPPING.get_or_init(|| {
        let binary = Path::new(env!("CARGO_BIN_EXE_misp-ecs"));
        let folder = binary.parent().unwrap().join("mappings");
        std::fs::create_dir_all(&folder).unwrap();
        let [first, _] = ["ecs-1.12", "ecs-9"].map(|name| {
            let package = format!("component-{}", name.replace('.', "-"));
            let path = folder.join(format!("{name}.component.wasm"));
            // Whole or not at all: another suite may be reading it.
            let built = component(&package);
            let mut file = tempfile::NamedTempFile::new_in(&folder).unwrap();
            std::io::Write::write_all(&mut file, &std::fs::read(built).unwrap()).unwrap();
            file.persist(&path).unwrap();
            path
        });
        first
    })
}

/// The component that misbehaves as its records ask, built once.
pub fn hostile() -> &'static Path {
    static HOSTILE: OnceLock<PathBuf> = OnceLock::new();
    HOSTILE.get_or_init(|| component("component-hostile"))
}

/// The mapping of the house with the flaw that its settings name, built once.
pub fn flawed() -> &'static Path {
    static FLAWED: OnceLock<PathBuf> = OnceLock::new();
    FLAWED.get_or_init(|| component("component-flawed"))
}

fn component(package: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let binary = Path::new(env!("CARGO_BIN_EXE_misp-ecs"));
    let target = binary.ancestors().nth(2).unwrap();
    let component = component_build::build(&root, package, target).unwrap();
    let mut file = tempfile::NamedTempFile::new_in(target).unwrap();
    std::io::Write::write_all(&mut file, &component).unwrap();
    let path = target.join(format!("{package}.wasm"));
    file.persist(&path).unwrap();
    path
}

/// The binary, without anything of this environment that it would read.
pub fn misp_ecs(home: &Path) -> Command {
    mapping();
    let mut command = Command::new(env!("CARGO_BIN_EXE_misp-ecs"));
    for name in [
        "MISP_URL",
        "MISP_API_KEY",
        "MISP_API_KEY_FILE",
        "STATE_DIRECTORY",
        "XDG_STATE_HOME",
        "MISP_ECS_CONFIG",
        "MISP_ECS_LOG",
    ] {
        command.env_remove(name);
    }
    command
        .env("HOME", home)
        // As `run` would have it after starting anew, which a test of its own looks at.
        .env("MALLOC_ARENA_MAX", "1")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null());
    command
}

/// A folder with a configuration that polls `misp` into `out.ndjson`.
pub struct Setup {
    pub folder: TempDir,
}

impl Setup {
    pub fn new(misp: &FakeMisp, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), misp.key()).unwrap();
        let config = format!(
            "instances: [{{name: lab, url: '{}', api_key_file: key, page_size: 3, trace_file: trace.ndjson{extra}}}]\noutputs: {{out: {{type: file, path: out.ndjson, rotate_size: 0}}}}\nstate: {{path: state}}\n",
            misp.url()
        );
        std::fs::write(folder.path().join("misp-ecs.yaml"), config).unwrap();
        Self { folder }
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = misp_ecs(self.folder.path());
        command
            .args(words)
            .arg("--config")
            .arg(self.folder.path().join("misp-ecs.yaml"));
        command
    }

    /// A command that takes no configuration.
    pub fn bare(&self, words: &[&str]) -> Command {
        let mut command = misp_ecs(self.folder.path());
        command.args(words);
        command
    }

    /// How often each attribute is in the output. Every line must be whole.
    pub fn attributes(&self) -> BTreeMap<String, usize> {
        let text =
            std::fs::read_to_string(self.folder.path().join("out.ndjson")).unwrap_or_default();
        attributes(&text)
    }
}

/// How often each attribute uuid stands in NDJSON.
pub fn attributes(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let document: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Some(uuid) = document
            .pointer("/misp/attribute/uuid")
            .and_then(Value::as_str)
        {
            *found.entry(uuid.to_owned()).or_insert(0) += 1;
        }
    }
    found
}

/// Runs a command to its end without holding up the fake MISP.
pub async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// Starts a command of whose output nothing is of interest.
pub fn started(command: &mut Command) -> Child {
    let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
    silent.spawn().unwrap()
}

/// Sends a signal.
pub fn signal(child: &Child, name: &str) {
    signal_to(child.id(), name);
}

/// Sends a signal to a process by its id.
pub fn signal_to(id: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), id.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A MISP with the made-up events.
pub async fn demo() -> FakeMisp {
    let misp = FakeMisp::start().await;
    misp.add_demo_events();
    misp
}

impl Setup {
    /// As [`Self::new`], with deletes and ids in the file.
    pub fn with_deletes(misp: &FakeMisp, extra: &str) -> Self {
        let setup = Self::new(misp, extra);
        let config = setup.folder.path().join("misp-ecs.yaml");
        let yaml = std::fs::read_to_string(&config).unwrap();
        let yaml = yaml.replace(
            "type: file,",
            "type: file, deletes: true, envelope_field: true,",
        );
        std::fs::write(&config, yaml).unwrap();
        setup
    }

    /// As [`Self::new`], into an Elasticsearch with these options more; the output is `siem`.
    pub fn with_elastic(misp: &FakeMisp, extra: &str, elastic: &FakeElastic, more: &str) -> Self {
        let setup = Self::new(misp, extra);
        std::fs::write(setup.folder.path().join("elastic-key"), ELASTIC_KEY).unwrap();
        let url = elastic.url();
        let output = format!(
            "{{siem: {{type: elasticsearch, urls: ['{url}'], api_key_file: elastic-key, proxy: none{more}}}}}"
        );
        setup.set("outputs", &output);
        setup
    }

    /// As [`Self::new`], into a receiver over HTTP with these options more; the output is `out`.
    pub fn with_receiver(misp: &FakeMisp, receiver: &FakeReceiver, more: &str) -> Self {
        let setup = Self::new(misp, "");
        let url = receiver.url();
        let output = format!("{{out: {{type: http, url: '{url}', proxy: none{more}}}}}");
        setup.set("outputs", &output);
        setup
    }

    /// Compiled mappings are kept beside the tests, for the next setup and the next run: each
    /// takes seconds to compile.
    pub fn with_compiled(self) -> Self {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        let state = self.folder.path().join("state");
        let cache = self.folder.path().join(".cache");
        for folder in [&kept, &state, &cache] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::os::unix::fs::symlink(&kept, state.join("compiled")).unwrap();
        std::os::unix::fs::symlink(&kept, cache.join("misp-ecs")).unwrap();
        self
    }

    /// Replaces a line of the configuration, or adds it.
    pub fn set(&self, key: &str, value: &str) {
        let config = self.folder.path().join("misp-ecs.yaml");
        let yaml = std::fs::read_to_string(&config).unwrap();
        let kept = yaml
            .lines()
            .filter(|line| !line.starts_with(&format!("{key}:")));
        let kept: Vec<&str> = kept.collect();
        std::fs::write(&config, format!("{}\n{key}: {value}\n", kept.join("\n"))).unwrap();
    }

    /// The attributes that such a file says are there.
    pub fn standing(&self) -> BTreeSet<String> {
        let lines = std::fs::read_to_string(self.folder.path().join("out.ndjson")).unwrap();
        standing(&lines)
    }
}

/// The attributes that NDJSON with envelopes says are there: puts without a later delete.
pub fn standing(lines: &str) -> BTreeSet<String> {
    let mut found = BTreeMap::new();
    for line in lines.lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        let id = document["misp_ecs"]["id"].as_str().unwrap().to_owned();
        if document["misp_ecs"]["operation"] == "delete" {
            found.remove(&id);
        } else if let Some(uuid) = document["misp"]["attribute"]["uuid"].as_str() {
            found.insert(id, uuid.to_owned());
        }
    }
    found.into_values().collect()
}

/// Runs a command that ends well; what it said, stdout first.
pub async fn runs(setup: &Setup, words: &[&str]) -> String {
    let ran = output(setup.command(words)).await;
    let said = text(&ran.stdout) + &text(&ran.stderr);
    assert!(ran.status.success(), "{words:?}: {said}");
    said
}

/// Runs a command that ends with this code; its output, stdout first.
pub async fn exits(setup: &Setup, words: &[&str], code: i32) -> String {
    let ran = output(setup.command(words)).await;
    let said = text(&ran.stdout) + &text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(code), "{words:?}: {said}");
    said
}

/// The live attributes of published events.
pub fn published(misp: &FakeMisp) -> BTreeSet<String> {
    let all = misp.with_store(|store| store.published_attributes());
    all.into_iter().collect()
}

/// The account of every instance in a summary: it balances, and nothing is on its way any more.
pub fn balances(said: &str) {
    let accounts = said.lines().filter(|line| line.starts_with("  account   "));
    let accounts: Vec<&str> = accounts.collect();
    assert!(!accounts.is_empty(), "no account: {said}");
    for account in accounts {
        assert!(account.ends_with(" + 0 in flight"), "{said}");
    }
}
