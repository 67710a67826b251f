//! A feed polled by the real binary: what came, what changed, what is gone.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use common::{misp_ecs, text};
use serde_json::{Map, Value, json};

const CONFIG: &str = "instances: [{name: lab, url: feed, endpoint: feed}]\n\
    outputs: {out: {type: file, path: out.ndjson, deletes: true, envelope_field: true}}\n\
    state: {path: state}\n";

fn uuid(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// An event and its attributes, by number.
type Event = (u32, i64, Vec<u32>);

/// Writes a feed of these events, and nothing else into its folder.
fn write(folder: &Path, events: &[Event]) {
    let feed = folder.join("feed");
    if feed.exists() {
        std::fs::remove_dir_all(&feed).unwrap();
    }
    std::fs::create_dir(&feed).unwrap();
    let mut manifest = Map::new();
    for (number, timestamp, attributes) in events {
        let attributes: Vec<Value> = attributes
            .iter()
            .map(|attribute| {
                json!({"uuid": uuid(*attribute), "type": "ip-dst", "category": "Network activity",
                       "timestamp": "1700000000", "to_ids": true,
                       "value": format!("192.0.2.{}", attribute % 256)})
            })
            .collect();
        let event = json!({"Event": {"uuid": uuid(*number), "timestamp": timestamp.to_string(),
            "info": "made up", "date": "2023-11-14", "Attribute": attributes}});
        let path = feed.join(format!("{}.json", uuid(*number)));
        std::fs::write(path, event.to_string()).unwrap();
        manifest.insert(uuid(*number), json!({"timestamp": timestamp}));
    }
    std::fs::write(
        feed.join("manifest.json"),
        Value::Object(manifest).to_string(),
    )
    .unwrap();
}

fn run(folder: &Path, words: &[&str]) -> Output {
    let mut command = misp_ecs(folder);
    let config = folder.join("misp-ecs.yaml");
    command.args(words).arg("--config").arg(config);
    command.output().unwrap()
}

fn runs(folder: &Path, words: &[&str]) -> String {
    let ran = run(folder, words);
    let said = text(&ran.stderr) + &text(&ran.stdout);
    assert!(ran.status.success(), "{said}");
    said
}

/// Puts without a later delete, and the number of lines.
fn output(folder: &Path) -> (BTreeSet<String>, usize) {
    let mut standing = BTreeSet::new();
    let mut ids = std::collections::BTreeMap::new();
    let written = std::fs::read_to_string(folder.join("out.ndjson")).unwrap();
    for line in written.lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        let id = document["misp_ecs"]["id"].as_str().unwrap().to_owned();
        if document["misp_ecs"]["operation"] == "delete" {
            standing.remove(&ids[&id]);
        } else {
            let attribute = document["misp"]["attribute"]["uuid"].as_str().unwrap();
            ids.insert(id, attribute.to_owned());
            standing.insert(attribute.to_owned());
        }
    }
    (standing, written.lines().count())
}

fn set(numbers: &[u32]) -> BTreeSet<String> {
    numbers.iter().copied().map(uuid).collect()
}

#[test]
fn what_a_feed_holds_is_what_the_output_holds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("misp-ecs.yaml"), CONFIG).unwrap();
    let many: Vec<u32> = (100..200).collect();
    write(
        folder,
        &[
            (1, 10, vec![11, 12]),
            (2, 20, vec![21]),
            (3, 30, many.clone()),
        ],
    );
    let checked = runs(folder, &["check"]);
    assert!(checked.contains("names 3 events"), "{checked}");
    runs(folder, &["run", "--once"]);
    assert_eq!(output(folder).1, 103);

    // Nothing changed: nothing is sent, and the audit agrees.
    runs(folder, &["run", "--once"]);
    assert_eq!(output(folder).1, 103);
    let audit = runs(folder, &["audit"]);
    assert!(audit.contains("nothing differs"), "{audit}");

    // An attribute left, another came: one delete, one document.
    write(
        folder,
        &[
            (1, 11, vec![12, 13]),
            (2, 20, vec![21]),
            (3, 30, many.clone()),
        ],
    );
    runs(folder, &["run", "--once"]);
    let (standing, lines) = output(folder);
    assert_eq!(lines, 105);
    assert!(standing.contains(&uuid(13)) && !standing.contains(&uuid(11)));

    // An event left the manifest: the audit sees it, a sweep withdraws it.
    write(folder, &[(1, 11, vec![12, 13]), (3, 30, many.clone())]);
    runs(folder, &["run", "--once"]);
    let audit = run(folder, &["audit"]);
    assert_eq!(audit.status.code(), Some(1), "{}", text(&audit.stdout));
    runs(folder, &["sweep"]);
    let mut expected = set(&many);
    expected.extend(set(&[12, 13]));
    assert_eq!(output(folder).0, expected);
    let audit = runs(folder, &["audit"]);
    assert!(audit.contains("nothing differs"), "{audit}");

    // An emptied feed empties nothing.
    write(folder, &[]);
    let swept = run(folder, &["sweep"]);
    assert_eq!(swept.status.code(), Some(3));
    let swept = text(&swept.stdout) + &text(&swept.stderr);
    assert!(swept.contains("HELD BACK"), "{swept}");
    assert_eq!(output(folder).0, expected);
}

#[test]
fn a_feed_that_is_not_there_says_where_it_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("misp-ecs.yaml"), CONFIG).unwrap();
    let ran = run(folder, &["run", "--once"]);
    assert_eq!(ran.status.code(), Some(4));
    let said = text(&ran.stderr);
    assert!(
        said.contains("feed") && !said.contains("panicked"),
        "{said}"
    );
}

#[test]
fn an_event_that_cannot_be_read_is_counted_and_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("misp-ecs.yaml"), CONFIG).unwrap();
    let events = [(1, 10, vec![11]), (2, 20, vec![21])];
    write(folder, &events);
    // The file of event 1 holds event 2 with another value.
    let file = |number: u32| folder.join(format!("feed/{}.json", uuid(number)));
    let other = std::fs::read_to_string(file(2)).unwrap();
    std::fs::write(file(1), other.replace("192.0.2.21", "192.0.2.99")).unwrap();
    for _ in 0..2 {
        let ran = run(folder, &["run", "--once"]);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(said.contains("not the event it is named after"), "{said}");
        assert_eq!(output(folder), (set(&[21]), 1));
    }
    write(folder, &events);
    runs(folder, &["run", "--once"]);
    assert_eq!(output(folder), (set(&[11, 21]), 2));
}
