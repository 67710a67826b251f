//! Another mapping put to work: by a command, a signal, a file; with a host and without.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{
    Setup, demo, exits, flawed, mapping, misp_ecs, output, published, runs, signal, text,
};
use misp_ecs_tests::FakeMisp;
use serde_json::Value;

const FIRST: &str = "ecs-1.12";
const SECOND: &str = "ecs-9";

fn component(name: &str) -> PathBuf {
    let file = format!("{name}.component.wasm");
    mapping().parent().unwrap().join(file)
}

/// A setup whose `mapping` is this.
fn setup(misp: &FakeMisp, extra: &str, mapping: &str) -> Setup {
    let setup = Setup::with_deletes(misp, extra);
    configure(&setup, mapping);
    setup
}

fn configure(setup: &Setup, mapping: &str) {
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    let kept: Vec<&str> = yaml
        .lines()
        .filter(|line| !line.starts_with("mapping:"))
        .collect();
    std::fs::write(
        &config,
        format!("{}\nmapping: {mapping}\n", kept.join("\n")),
    )
    .unwrap();
}

/// What stands in the output: attribute to its document.
fn documents(setup: &Setup) -> BTreeMap<String, Value> {
    folded(setup).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// As [`documents`]; an error while the host has not written everything that belongs together.
fn folded(setup: &Setup) -> Result<BTreeMap<String, Value>, String> {
    let written = std::fs::read_to_string(setup.folder.path().join("out.ndjson")).unwrap();
    let mut by_id = BTreeMap::new();
    for line in written.lines() {
        let document: Value =
            serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let id = document["misp_ecs"]["id"].as_str().unwrap().to_owned();
        if document["misp_ecs"]["operation"] != "delete" {
            by_id.insert(id, document);
        } else if by_id.remove(&id).is_none() {
            return Err(format!("{id} was withdrawn and never there"));
        }
    }
    let mut found = BTreeMap::new();
    for document in by_id.into_values() {
        if let Some(uuid) = document["misp"]["attribute"]["uuid"].as_str() {
            let uuid = uuid.to_owned();
            if found.insert(uuid.clone(), document).is_some() {
                return Err(format!("{uuid} stands there twice"));
            }
        }
    }
    Ok(found)
}

fn versions(setup: &Setup) -> BTreeSet<String> {
    let documents = documents(setup).into_values();
    documents
        .map(|document| document["ecs"]["version"].as_str().unwrap().to_owned())
        .collect()
}

fn lines(setup: &Setup) -> usize {
    let written = std::fs::read_to_string(setup.folder.path().join("out.ndjson")).unwrap();
    written.lines().count()
}

fn uuids(documents: &BTreeMap<String, Value>) -> BTreeSet<String> {
    documents.keys().cloned().collect()
}

fn service(setup: &Setup) -> Child {
    let mut command: Command = setup.command(&["run"]);
    let log = std::fs::File::create(setup.folder.path().join("log")).unwrap();
    command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn log(setup: &Setup) -> String {
    std::fs::read_to_string(setup.folder.path().join("log")).unwrap()
}

/// The event of each attribute, and when it was published, UNIX seconds.
fn publish_times(misp: &FakeMisp) -> BTreeMap<String, (String, u64)> {
    misp.with_store(|store| {
        let mut times = BTreeMap::new();
        for event in store.events() {
            let time = &event["publish_timestamp"];
            let time = time.as_str().map_or(time.to_string(), str::to_owned);
            let time: u64 = time.parse().unwrap();
            let of_event = event["uuid"].as_str().unwrap();
            for attribute in attributes_of(event) {
                let uuid = attribute["uuid"].as_str().unwrap();
                times.insert(uuid.to_owned(), (of_event.to_owned(), time));
            }
        }
        times
    })
}

fn attributes_of(event: &Value) -> Vec<&Value> {
    let objects = event["Object"].as_array().into_iter().flatten();
    let of_objects = objects.filter_map(|object| object["Attribute"].as_array());
    let own = event["Attribute"].as_array().into_iter();
    own.chain(of_objects).flatten().collect()
}

/// Documents that the output has, those of events without attributes as well.
fn documents_of(setup: &Setup) -> usize {
    let written = std::fs::read_to_string(setup.folder.path().join("out.ndjson")).unwrap();
    let ids = written.lines().map(|line| {
        let document: Value = serde_json::from_str(line).unwrap();
        document["misp_ecs"]["id"].as_str().unwrap().to_owned()
    });
    ids.collect::<BTreeSet<_>>().len()
}

/// Asks the running host until this holds of its status; each question is a process of its own.
async fn until(setup: &Setup, what: &str, holds: impl Fn(&Value) -> bool) {
    let reached = async {
        loop {
            let asked = output(setup.command(&["status", "--json"])).await;
            if let Ok(status) = serde_json::from_slice::<Value>(&asked.stdout)
                && holds(&status)
            {
                return;
            }
        }
    };
    let limit = std::time::Duration::from_secs(90);
    let came = tokio::time::timeout(limit, reached).await;
    assert!(came.is_ok(), "never {what}: {}", log(setup));
}

async fn until_at_work(setup: &Setup, name: &str) {
    until(setup, name, |status| status["mapping"]["name"] == name).await;
}

async fn until_walked(setup: &Setup, walks: u64) {
    let walked = |status: &Value| status["instances"][0]["counts"]["walks"].as_u64() >= Some(walks);
    until(setup, "walked", walked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_host_the_next_start_has_it_and_reprocess_replaces_everything() {
    let misp = demo().await;
    let setup = setup(&misp, "", &format!("{{name: {FIRST}}}"));
    runs(&setup, &["run", "--once"]).await;
    assert_eq!(uuids(&documents(&setup)), published(&misp));
    let before = lines(&setup);

    let said = runs(&setup, &["mapping", "use", SECOND]).await;
    assert!(said.contains("from the next start on"), "{said}");
    let others = format!(
        "lab: {} documents were made by another mapping or with other settings; `misp-ecs reprocess` makes them again",
        documents_of(&setup)
    );
    assert!(said.replace(',', "").contains(&others), "{others}: {said}");
    runs(&setup, &["run", "--once"]).await;
    assert_eq!(
        lines(&setup),
        before,
        "what did not change is not read again"
    );
    assert_eq!(versions(&setup), BTreeSet::from(["1.12".to_owned()]));

    // Another than before: each start says what is still of the old one, until `reprocess`.
    runs(&setup, &["mapping", "rollback"]).await;
    configure(&setup, &format!("{{name: {SECOND}}}"));
    let said = runs(&setup, &["run", "--once"]).await;
    let others = "documents were made by another mapping or with other settings: `misp-ecs reprocess` makes them again";
    assert!(said.contains(others), "{said}");
    let documents_before = format!("documents={}", documents_of(&setup));
    assert!(
        said.contains(&documents_before),
        "{documents_before}: {said}"
    );
    let place = component(SECOND).display().to_string();
    for said in [said, runs(&setup, &["run", "--once"]).await] {
        let at_work = said
            .lines()
            .find(|line| line.contains("the mapping at work"));
        let at_work = at_work.unwrap();
        for part in [SECOND, &runtime_digest(&component(SECOND)), &place] {
            assert!(at_work.contains(part), "{part}: {at_work}");
        }
    }
    let said = runs(&setup, &["run", "--once"]).await;
    assert!(said.contains(others), "{said}");

    let said = runs(&setup, &["reprocess"]).await;
    assert!(said.contains("events are read again"), "{said}");
    assert_eq!(uuids(&documents(&setup)), published(&misp));
    assert_eq!(versions(&setup), BTreeSet::from(["9.4.0".to_owned()]));
    let exported = runs(&setup, &["state", "export"]).await;
    let digest = runtime_digest(&component(SECOND));
    let delivered = exported
        .lines()
        .filter(|line| line.contains(r#""fate":"delivered""#));
    let others = delivered.filter(|line| !line.contains(&digest)).count();
    assert_eq!(others, 0);
    // Nothing is left of the old one: nothing is read again.
    let said = runs(&setup, &["reprocess"]).await;
    assert!(said.contains("lab: 0 events"), "{said}");

    // Back again, and one event of it.
    let said = runs(&setup, &["mapping", "rollback"]).await;
    assert!(said.contains(FIRST), "{said}");
    let event = misp.with_store(|store| store.events()[1]["uuid"].as_str().unwrap().to_owned());
    runs(&setup, &["reprocess", "--event", &event]).await;
    let both = BTreeSet::from(["1.12".to_owned(), "9.4.0".to_owned()]);
    assert_eq!(versions(&setup), both);
    assert_eq!(uuids(&documents(&setup)), published(&misp));
    // What was published since then, and nothing else.
    let times = publish_times(&misp);
    let mut all: Vec<u64> = times.values().map(|(_, time)| *time).collect();
    all.sort_unstable();
    let since = all[all.len() / 2];
    assert!(all.first() < Some(&since));
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(since);
    let time = humantime::format_rfc3339_seconds(time).to_string();
    let said = runs(&setup, &["reprocess", "--since", &time]).await;
    assert!(said.contains("events are read again"), "{said}");
    for (uuid, document) in documents(&setup) {
        let (of_event, published) = &times[&uuid];
        let is_replaced = *published >= since || *of_event == event;
        let version = if is_replaced { "1.12" } else { "9.4.0" };
        assert_eq!(document["ecs"]["version"], version, "{uuid} of {published}");
    }
    let said = exits(&setup, &["mapping", "rollback"], 2).await;
    assert!(said.contains("no mapping to go back to"), "{said}");
    // Every change is in the log, those that were taken back as well.
    let history = runs(&setup, &["mapping", "history"]).await;
    let causes = history
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1));
    let causes: Vec<&str> = causes.collect();
    let expected = ["configured", "use", "rollback", "configured", "rollback"];
    assert_eq!(causes, expected, "{history}");
    runs(&setup, &["reprocess", "--all"]).await;
    assert_eq!(versions(&setup), BTreeSet::from(["1.12".to_owned()]));
    let audit = runs(&setup, &["audit"]).await;
    assert!(audit.contains("nothing differs"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reprocess_that_is_killed_is_ended_by_the_next_run() {
    let misp = demo().await;
    let setup = setup(&misp, "", &format!("{{name: {FIRST}}}"));
    runs(&setup, &["run", "--once"]).await;
    runs(&setup, &["mapping", "use", SECOND]).await;
    let before = misp.requests().len();
    let mut killed = setup
        .command(&["reprocess"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    misp.arrived(before + 2).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    runs(&setup, &["run", "--once"]).await;
    assert_eq!(versions(&setup), BTreeSet::from(["9.4.0".to_owned()]));
    assert_eq!(uuids(&documents(&setup)), published(&misp));
}

fn runtime_digest(path: &Path) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = misp_ecs(home.path());
    command.args(["mapping", "info"]).arg(path);
    let said = text(&command.output().unwrap().stdout);
    let digest = said.lines().find_map(|line| line.split_once("sha256:"));
    digest.unwrap().1.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_swaps_under_load_lose_and_double_nothing() {
    let misp = demo().await;
    let setup = setup(&misp, ", interval: 50ms", &format!("{{name: {FIRST}}}"));
    let child = service(&setup);
    until_at_work(&setup, FIRST).await;
    let events: Vec<String> = misp.with_store(|store| {
        let all = store.events().iter();
        all.map(|event| event["uuid"].as_str().unwrap().to_owned())
            .collect()
    });
    for turn in 0..100 {
        let name = [SECOND, FIRST][turn % 2];
        runs(&setup, &["mapping", "use", name]).await;
        misp.with_store(|store| {
            let uuid = &events[turn % events.len()];
            store.edit(uuid, |event| {
                if let Some(attribute) = event["Attribute"]
                    .as_array_mut()
                    .and_then(|all| all.first_mut())
                {
                    attribute["comment"] = format!("turn {turn}").into();
                }
            });
            store.publish(uuid);
            store.advance(1);
        });
    }
    runs(&setup, &["reprocess"]).await;
    let now = std::time::Instant::now();
    let settled = || {
        // While it is at work, a document of the new mapping may be there before the old one goes.
        let Ok(standing) = folded(&setup) else {
            return false;
        };
        uuids(&standing) == published(&misp)
            && standing
                .values()
                .all(|document| document["ecs"]["version"] == "1.12")
    };
    while !settled() && now.elapsed().as_secs() < 60 {
        let walks = status_walks(&setup).await;
        until_walked(&setup, walks + 1).await;
    }
    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await;
    assert!(ended.unwrap().status.success(), "{}", log(&setup));
    assert!(settled(), "{}", log(&setup));
    // What stands in the file is what one clean walk gives.
    let fresh = Setup::with_deletes(&misp, "");
    configure(&fresh, &format!("{{name: {FIRST}}}"));
    runs(&fresh, &["run", "--once"]).await;
    let values = |setup: &Setup| -> BTreeMap<String, Value> {
        let documents = documents(setup).into_iter();
        documents
            .map(|(uuid, document)| (uuid, document["misp"]["attribute"].clone()))
            .collect()
    };
    assert_eq!(values(&setup), values(&fresh));
    assert_eq!(
        log(&setup).matches("another mapping is at work").count(),
        100
    );
    let audit = runs(&setup, &["audit"]).await;
    assert!(audit.contains("nothing differs"), "{audit}");
}

async fn status_walks(setup: &Setup) -> u64 {
    let asked = output(setup.command(&["status", "--json"])).await;
    let status: Value = serde_json::from_slice(&asked.stdout).unwrap();
    status["instances"][0]["counts"]["walks"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_takes_over_and_a_broken_one_does_not() {
    let misp = demo().await;
    let setup = setup(&misp, "", "{path: versions}");
    let versions = setup.folder.path().join("versions");
    std::fs::create_dir(&versions).unwrap();
    std::fs::copy(component(FIRST), versions.join("mine-9.wasm")).unwrap();
    let child = service(&setup);
    until_at_work(&setup, FIRST).await;
    std::fs::copy(component(SECOND), versions.join("mine-10.wasm")).unwrap();
    until_at_work(&setup, SECOND).await;

    // No component: it says so and stays. SIGHUP reads it again, to the same end.
    std::fs::write(versions.join("mine-11.wasm"), b"\0asm nonsense").unwrap();
    signal(&child, "HUP");
    let told = async {
        while !log(&setup).contains("the old one stays active") {
            output(setup.command(&["status"])).await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, told).await.unwrap();
    until_at_work(&setup, SECOND).await;
    assert!(log(&setup).contains("mine-11.wasm"), "{}", log(&setup));

    // A restart, with the broken one still there, finds the last good one.
    signal(&child, "TERM");
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
    let child = service(&setup);
    until_at_work(&setup, SECOND).await;
    assert!(
        log(&setup).contains("the last good one is at work"),
        "{}",
        log(&setup)
    );
    signal(&child, "TERM");
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_mapping_of_the_configuration_again() {
    let misp = demo().await;
    let setup = setup(&misp, "", &format!("{{name: {FIRST}}}"));
    let child = service(&setup);
    until_at_work(&setup, FIRST).await;
    configure(&setup, &format!("{{name: {SECOND}}}"));
    signal(&child, "HUP");
    until_at_work(&setup, SECOND).await;
    let said = runs(&setup, &["mapping", "history"]).await;
    assert_eq!(said.lines().count(), 2, "{said}");
    // A path that is new in the configuration is watched from then on.
    let file = setup.folder.path().join("mine.wasm");
    std::fs::copy(component(FIRST), &file).unwrap();
    configure(&setup, "{path: mine.wasm}");
    signal(&child, "HUP");
    until_at_work(&setup, FIRST).await;
    std::fs::copy(component(SECOND), &file).unwrap();
    until_at_work(&setup, SECOND).await;
    // A setting that the mapping does not know: the old one stays.
    let bad = output(setup.command(&["mapping", "use", "no-such-mapping"])).await;
    assert!(!bad.status.success());
    configure(
        &setup,
        &format!("{{name: {FIRST}, settings: {{no_such_setting: 1}}}}"),
    );
    signal(&child, "HUP");
    let told = async {
        while !log(&setup).contains("no_such_setting") {
            output(setup.command(&["status"])).await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, told).await.unwrap();
    until_at_work(&setup, SECOND).await;
    signal(&child, "TERM");
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_on_the_sample_is_not_put_to_work() {
    let misp = demo().await;
    let component = flawed().display().to_string();
    let setup = setup(&misp, "", &format!("{{path: '{component}'}}"));
    let child = service(&setup);
    until_walked(&setup, 1).await;
    // What it does wrong is named by its settings.
    configure(
        &setup,
        &format!("{{path: '{component}', settings: {{flaw: count}}}}"),
    );
    signal(&child, "HUP");
    let told = async {
        while !log(&setup).contains("the old one stays active") {
            output(setup.command(&["status"])).await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, told).await.unwrap();
    let said = log(&setup);
    assert!(said.contains("attributes of the sample's event"), "{said}");
    assert!(!said.contains("another mapping is at work"), "{said}");
    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    assert!(ended.await.unwrap().status.success());
    // Without a host it is the same, by the command.
    let said = exits(&setup, &["mapping", "use", &component], 3).await;
    assert!(said.contains("attributes of the sample's event"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pinned_digest_is_put_to_work() {
    let misp = demo().await;
    let pin = runtime_digest(&component(FIRST));
    let setup = setup(
        &misp,
        "",
        &format!("{{name: {FIRST}, digest: 'sha256:{pin}'}}"),
    );
    runs(&setup, &["run", "--once"]).await;
    let said = exits(&setup, &["mapping", "use", SECOND], 3).await;
    assert!(said.contains("`mapping.digest` allows"), "{said}");
    // By the digest of one that was at work.
    runs(&setup, &["mapping", "use", &pin[..12]]).await;
}
