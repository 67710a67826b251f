//! `misp-ecs mapping`: the tools of those who write a mapping, as a user has them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::path::Path;
use std::process::Output;

use common::{hostile, misp_ecs, text};
use serde_json::Value;

fn run(words: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    misp_ecs(home.path())
        .arg("mapping")
        .args(words)
        .output()
        .unwrap()
}

fn golden() -> String {
    let folder = "../crates/mapping-ecs-1-12/tests/golden";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    folder.display().to_string()
}

fn failed(report: &Value) -> Vec<&str> {
    report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| check["name"].as_str().unwrap())
        .collect()
}

#[test]
fn the_mapping_of_the_house_keeps_the_contract() {
    let output = run(&["verify", "ecs-1.12", "--golden", &golden()]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("22 cases as expected"), "{said}");
    assert!(!said.contains("FAIL"), "{said}");
}

#[test]
fn a_mapping_that_breaks_the_contract_is_told_where() {
    let output = run(&["verify", "--json", &hostile().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    // It refuses no bytes as settings, and gives an event without attributes no document.
    assert_eq!(failed(&report), ["settings", "sample"]);
}

#[test]
fn what_is_no_mapping_fails_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module.wasm");
    std::fs::write(&path, b"\0asm\x01\0\0\0").unwrap();
    let output = run(&["verify", &path.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("FAIL  component"), "{said}");
    assert!(said.contains("mapping componentize"), "{said}");
}

#[test]
fn a_golden_case_that_differs_is_named_and_can_be_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("one");
    std::fs::create_dir(&case).unwrap();
    let from = Path::new(&golden()).join("whole-event");
    std::fs::copy(from.join("input.json"), case.join("input.json")).unwrap();
    let expected = std::fs::read_to_string(from.join("expected.ndjson")).unwrap();
    let wrong = expected.replacen("\"operation\":\"put\"", "\"operation\":\"delete\"", 1);
    assert_ne!(wrong, expected);
    std::fs::write(case.join("expected.ndjson"), wrong).unwrap();
    let place = folder.path().display().to_string();

    let output = run(&["verify", "ecs-1.12", "--golden", &place]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(
        said.contains("one: line 1: `operation` is \"put\", expected \"delete\""),
        "{said}"
    );
    let output = run(&["verify", "ecs-1.12", "--golden", &place, "--accept"]);
    assert_eq!(output.status.code(), Some(0));
    let output = run(&["verify", "ecs-1.12", "--golden", &place]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}
