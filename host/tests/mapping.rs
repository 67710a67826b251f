//! `misp-ecs mapping`: the tools of those who write a mapping, as a user has them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::path::Path;
use std::process::Output;

use common::{flawed, hostile, misp_ecs, text};
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
    golden_of("ecs-1.12")
}

fn golden_of(mapping: &str) -> String {
    let folder = format!(
        "../crates/mapping-{}/tests/golden",
        mapping.replace('.', "-")
    );
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
fn the_mappings_of_the_house_keep_the_contract_and_give_what_they_give_natively() {
    for (mapping, cases) in [("ecs-1.12", 22), ("ecs-9", 20)] {
        let output = run(&["verify", mapping, "--golden", &golden_of(mapping)]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(
            said.contains(&format!("{cases} cases as expected")),
            "{said}"
        );
        assert!(!said.contains("FAIL"), "{said}");
    }
}

#[test]
fn a_mapping_that_breaks_the_contract_is_told_where() {
    let output = run(&["verify", "--json", &hostile().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    // It keeps the contract on the sample, and little of it elsewhere.
    assert_eq!(
        failed(&report),
        [
            "settings",
            "ids",
            "static fields",
            "fingerprints",
            "odd input"
        ]
    );
}

#[test]
fn every_flaw_is_found_by_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let component = flawed().display().to_string();
    let found = |flaw: &str| {
        let settings = settings(folder.path(), &format!("flaw: {flaw}\n"));
        let words = ["verify", &component, "--settings", &settings, "--json"];
        serde_json::from_slice::<Value>(&run(&words).stdout).unwrap()
    };
    assert_eq!(found("none")["ok"], true, "{}", found("none"));
    for flaw in [
        "settings",
        "request",
        "sample",
        "static fields",
        "documents",
        "slices",
        "fingerprints",
        "odd input",
        "limits",
    ] {
        assert_eq!(failed(&found(flaw)), [flaw]);
    }
    assert_eq!(
        failed(&found("fingerprints by the clock")),
        ["fingerprints"]
    );
    // A document too many has the id of another.
    assert_eq!(failed(&found("count")), ["count", "ids", "slices"]);
    // What depends on how often it was called depends on how an event is cut.
    assert_eq!(failed(&found("determinism")), ["slices", "determinism"]);
    assert_eq!(failed(&found("ids")), ["ids"]);
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

fn settings(folder: &Path, text: &str) -> String {
    let path = folder.join("settings.yaml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_mapping_does_not_differ_from_itself() {
    let output = run(&["diff", "ecs-1.12", "ecs-1.12"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("documents  214: 214 same"), "{said}");
    assert!(said.contains("no difference"), "{said}");
}

#[test]
fn what_changes_is_counted_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let changed = settings(
        folder.path(),
        "ioc_expiration_duration: 1d\ntags: [new-tag]\n",
    );
    let words = ["diff", "ecs-1.12", "ecs-1.12", "--new-settings", &changed];
    let output = run(&words);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("new-tag"), "{said}");
    let output = run(&[&words[..], &["--json", "--examples", "1"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let documents = &report["documents"];
    assert_eq!(documents["changed"], 214, "{documents}");
    assert_eq!(
        report["fields"]["tags"]["added"].as_u64().unwrap()
            + report["fields"]["tags"]["changed"].as_u64().unwrap(),
        214
    );
    assert!(
        report["fields"]["(expires_ms)"]["added"].as_u64().unwrap() > 200,
        "{}",
        report["fields"]
    );
    assert_eq!(report["examples"].as_array().unwrap().len(), 1);
}

#[test]
fn ids_operations_and_refusals_are_compared_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.json");
    let attribute = |uuid: &str, value: &str| serde_json::json!({"uuid": uuid, "type": "text", "category": "Other", "value": value, "to_ids": false, "timestamp": "1767225600"});
    let event = serde_json::json!({"Event": {"uuid": "e", "info": "x", "timestamp": "1767225600", "Object": [], "Attribute": [attribute("a", "one"), attribute("b", "trap")]}});
    std::fs::write(&file, event.to_string()).unwrap();
    let file = file.display().to_string();
    let output = run(&[
        "diff",
        "ecs-1.12",
        &hostile().display().to_string(),
        &file,
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["fields"]["(id)"]["changed"], 1);
    assert_eq!(report["documents"]["only_old"], 1);
    assert_eq!(report["refused"]["only_new"], 1);
    assert_eq!(report["by_type"]["text"]["changed"], 1);

    // Attributes not meant for detection are withdrawn: another operation.
    let withdrawn = settings(folder.path(), "only_to_ids: true\n");
    let words = [
        "diff",
        "ecs-1.12",
        "ecs-1.12",
        &file,
        "--new-settings",
        &withdrawn,
    ];
    let said = text(&run(&words).stdout);
    assert!(
        said.contains("(operation)\n      - \"put\"\n      + \"delete\""),
        "{said}"
    );
}

#[test]
fn private_values_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.json");
    let attribute = |uuid: &str, kind: &str, value: &str| serde_json::json!({"uuid": uuid, "type": kind, "category": "Other", "value": value, "to_ids": false, "timestamp": "1767225600"});
    let event = serde_json::json!({"Event": {"uuid": "e", "info": "x", "timestamp": "1767225600", "Object": [], "Attribute": [
        attribute("a", "pgp-private-key", "no-key-at-all"),
        attribute("b", "comment", "seen with no-key-at-all"),
    ]}});
    std::fs::write(&file, event.to_string()).unwrap();
    let file = file.display().to_string();
    for format in ["--json", "--examples=9"] {
        let output = run(&[
            "diff",
            &hostile().display().to_string(),
            "ecs-1.12",
            &file,
            format,
        ]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("[redacted]"), "{said}");
        assert!(!said.contains("no-key"), "{said}");
    }
}

#[test]
fn an_error_is_no_difference() {
    for words in [
        ["diff", "ecs-1.12", "no-such-mapping", "-"],
        ["diff", "ecs-1.12", "ecs-1.12", "/no/such/file"],
        ["diff", "ecs-1.12", "ecs-1.12", "--no-such-flag"],
    ] {
        assert_eq!(run(&words).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn a_new_project_builds_into_a_mapping_that_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("my-mapping");
    let place = |name: &str| project.join(name).display().to_string();
    let output = run(&["new", "my-mapping", "--path", &place("")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // Not over what is there.
    let again = run(&["new", "my-mapping", "--path", &place("")]);
    assert_eq!(again.status.code(), Some(2));

    // The versions of this workspace: they are on this machine.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    std::fs::copy(lock, project.join("Cargo.lock")).unwrap();
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--offline"])
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", project.join("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    assert!(
        !text(&built.stderr).contains("warning"),
        "{}",
        text(&built.stderr)
    );
    let module = place("target/wasm32-unknown-unknown/release/my_mapping.wasm");
    let component = place("my-mapping.component.wasm");
    let output = run(&["componentize", &module, &component]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let output = run(&["verify", &component]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let output = run(&["diff", "ecs-1.12", &component]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

#[test]
fn what_is_no_module_is_not_componentized() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(place("x.wasm"), b"nonsense").unwrap();
    let output = run(&["componentize", &place("x.wasm"), &place("y.wasm")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("no core module"),
        "{}",
        text(&output.stderr)
    );
    for name in ["My", "1x", "a_b", ""] {
        assert_eq!(
            run(&["new", name, "--path", &place("p")]).status.code(),
            Some(2),
            "{name}"
        );
    }
}

#[test]
fn a_mapping_is_measured_on_the_users_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("event.json");
    let event = misp_ecs_tests::events::many_attributes(1, 1_500);
    std::fs::write(&file, serde_json::json!({ "Event": event }).to_string()).unwrap();
    let output = run(&["bench", "ecs-1.12", &file.display().to_string(), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["first_batch_attributes"], 1_000);
    for positive in [
        "compile_seconds",
        "first_batch_seconds",
        "attributes_per_second",
        "input_bytes_per_second",
        "output_bytes_per_second",
        "memory_bytes",
    ] {
        assert!(
            report[positive].as_f64().unwrap() > 0.0,
            "{positive}: {report}"
        );
    }
    assert_eq!(report["refused"], 0);
    std::fs::write(&file, "{\"response\":[]}").unwrap();
    let output = run(&["bench", "ecs-1.12", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("nothing to map"));
}

#[test]
fn settings_are_baked_into_a_mapping_and_what_is_given_holds_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (settings, out) = (place("settings.yaml"), place("baked.component.wasm"));
    std::fs::write(&settings, "preserve_original_event: true\n").unwrap();
    let baked = run(&["bake", "--settings", &settings, "ecs-9", &out]);
    assert!(baked.status.success(), "{}", text(&baked.stderr));
    let shown = run(&["bake", &out]);
    assert_eq!(
        text(&shown.stdout).trim(),
        r#"{"preserve_original_event":true}"#
    );

    let originals = |arguments: &[&str]| {
        let output = misp_ecs(folder.path())
            .args(["transform", "--mapping"])
            .args(arguments)
            .arg(place("event.json"))
            .output()
            .unwrap();
        let lines = text(&output.stdout);
        assert!(
            output.status.success() && !lines.is_empty(),
            "{}",
            text(&output.stderr)
        );
        lines
            .lines()
            .filter(|line| line.contains(r#""original":"#))
            .count()
    };
    let event = serde_json::json!({"Event": misp_ecs_tests::events::event_with_objects()});
    std::fs::write(place("event.json"), event.to_string()).unwrap();
    let few = originals(&["ecs-9"]);
    assert!(originals(&[&out]) > few);
    std::fs::write(place("given.yaml"), "preserve_original_event: false\n").unwrap();
    assert_eq!(originals(&[&out, "--settings", &place("given.yaml")]), few);
}

#[test]
fn settings_that_would_be_refused_are_not_baked() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (settings, out) = (place("settings.json"), place("out.wasm"));
    let foreign = place("foreign.wasm");
    std::fs::write(&foreign, b"\0asm").unwrap();
    for (text_of_settings, artifact, why) in [
        (r#"{"no_such_key": 1}"#, "ecs-9", "no_such_key"),
        (r#"{"adapter": {}}"#, "ecs-9", "`adapter` is for"),
        ("{}", foreign.as_str(), "no place for settings"),
        ("{}", "no-such-file", "cannot be read"),
    ] {
        std::fs::write(&settings, text_of_settings).unwrap();
        let output = run(&["bake", "--settings", &settings, artifact, &out]);
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains(why), "{said}");
        assert!(!Path::new(&out).exists());
    }
}
