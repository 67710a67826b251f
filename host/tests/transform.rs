//! `misp-ecs transform` and `mapping` as a user has them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::io::Write as _;
use std::process::{Output, Stdio};

use common::{misp_ecs, text};
use misp_ecs_tests::events;
use serde_json::{Value, json};

fn run(words: &[&str], input: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut child = misp_ecs(home.path())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn attribute(uuid: &str, value: &str) -> Value {
    json!({"uuid": uuid, "type": "domain", "category": "Network activity", "value": value, "to_ids": true, "timestamp": "1767225600"})
}

#[test]
fn every_attribute_of_a_page_is_a_document() {
    let events = events::demo();
    let page =
        json!({"response": events.iter().map(|event| json!({"Event": event})).collect::<Vec<_>>()});
    let output = run(&["transform"], &page.to_string());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let documents = lines(&output);
    assert!(documents.len() > 2_000);
    assert!(
        documents
            .iter()
            .all(|document| document["event"]["module"] == "ti_misp_ecs")
    );
}

#[test]
fn one_bad_line_costs_itself() {
    let good = attribute("a", "one.example.org");
    let also = attribute("b", "two.example.org");
    let output = run(&["transform"], &format!("{good}\n{{\"type\":\n{also}\n"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output).len(), 2);
    let said = text(&output.stderr);
    assert!(
        said.contains("not valid JSON") && said.contains("1 refused"),
        "{said}"
    );
}

#[test]
fn nothing_is_no_error_and_nonsense_is() {
    let empty = run(&["transform"], "{\"response\":[]}");
    assert_eq!((empty.status.code(), empty.stdout.len()), (Some(0), 0));
    assert_eq!(
        run(&["transform", "/no/such/file"], "").status.code(),
        Some(2)
    );
    assert_eq!(
        run(&["transform", "--no-such-flag"], "").status.code(),
        Some(2)
    );
    assert_eq!(
        run(&["transform", "--mapping", "ecs-1.21"], "")
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_file_that_cannot_be_read_does_not_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let good = attribute("a", "one.example.org").to_string();
    let good = file("good.json", good.as_bytes());
    let manifest = file("manifest.json", b"{}");
    for (bad, code, why) in [
        ("/no/such/file".to_owned(), 2, "cannot be opened"),
        (folder.path().display().to_string(), 2, "is a folder"),
        (file("a.gz", &[0x1f, 0x8b, 8]), 2, "gzip"),
        (file("utf-16", &[0xff, 0xfe, b'{', 0]), 2, "UTF-16"),
        (file("blank", b" \n"), 1, "is empty"),
    ] {
        let output = run(&["transform", &bad, &manifest, &good], "");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{bad}: {said}");
        assert_eq!(lines(&output).len(), 1, "{bad}");
        assert!(said.contains(why), "{bad}: {said}");
    }
}

#[test]
fn the_envelope_holds_what_the_host_acts_on() {
    let mut deleted = attribute("gone", "old.example.org");
    deleted["deleted"] = json!(true);
    let event = json!({"Event": {"uuid": "e", "info": "x", "timestamp": "1767225600", "Attribute": [attribute("a", "one.example.org"), deleted], "Object": []}});
    let output = run(&["transform", "--envelope"], &event.to_string());
    assert_eq!(output.status.code(), Some(0));
    let lines_ = lines(&output);
    assert_eq!(lines_.len(), 1);
    let line = &lines_[0];
    let keys: Vec<&str> = line
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["documents", "event", "refused", "tallies"]);
    assert_eq!(line["event"], "e");
    let document = &line["documents"][0];
    let keys: Vec<&str> = document
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "attribute",
            "attribute_timestamp",
            "body",
            "dataset",
            "expires_ms",
            "fingerprint",
            "id",
            "modified_ms",
            "notes",
            "operation",
            "timestamp_ms"
        ]
    );
    assert_eq!(document["attribute"], "a");
    assert_eq!(document["operation"], "put");
    assert_eq!(document["timestamp_ms"], 1_767_225_600_000_i64);
    let fingerprint = document["fingerprint"].as_str().unwrap();
    assert!(fingerprint.len() == 16 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(
        document["body"]["threat"]["indicator"]["url"]["domain"],
        "one.example.org"
    );
    assert_eq!(line["documents"][1]["operation"], "delete");

    let plain = run(&["transform"], &event.to_string());
    assert_eq!(lines(&plain).len(), 1);
    let tombstones = run(&["transform", "--deletes"], &event.to_string());
    let lines_ = lines(&tombstones);
    assert_eq!(lines_[1]["misp_ecs"]["operation"], "delete");
    assert_eq!(lines_[1]["misp_ecs"]["id"], line["documents"][1]["id"]);
}

#[test]
fn settings_are_yaml_or_json_and_wrong_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let input = attribute("a", "one.example.org").to_string();
    for settings in [
        file("a.yaml", "preserve_original_event: false\n"),
        file("a.json", "{\"preserve_original_event\": false}"),
    ] {
        let output = run(&["transform", "--settings", &settings], &input);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(lines(&output)[0]["event"].get("original"), None);
    }
    let wrong = file("b.yaml", "preserve_orginal_event: false\n");
    let output = run(&["transform", "--settings", &wrong], &input);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("preserve_original_event"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_mapping_says_what_it_is() {
    let info = text(&run(&["mapping", "info"], "").stdout);
    assert!(
        info.contains("ecs-9") && info.contains("sha256:") && info.contains("only_to_ids"),
        "{info}"
    );
    let list = text(&run(&["mapping", "list"], "").stdout);
    assert!(
        list.contains("ecs-1.12") && list.contains("ecs-9"),
        "{list}"
    );
    let fields: Value =
        serde_json::from_slice(&run(&["mapping", "fields", "--format", "json"], "").stdout)
            .unwrap();
    let names: Vec<&str> = fields
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["name"].as_str().unwrap())
        .collect();
    for name in [
        "threat.indicator.ip",
        "misp.attribute.uuid",
        "event.dataset",
        "misp_ecs.id",
    ] {
        assert!(names.contains(&name), "{name}");
    }
}
