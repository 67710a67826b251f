//! The command as a process: lines in, lines out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use misp_ecs_tests::events;
use serde_json::{Value, json};

const ATTRIBUTE: &str = r#"{"type":"ip-dst","value":"192.0.2.7","category":"Network activity","to_ids":true,"uuid":"9b2e0d2a-4f5f-4c8e-9f58-0123456789ab","timestamp":"1700000000"}"#;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_misp-ecs-map"));
    command.args(arguments).env_remove("MISP_ECS_SETTINGS");
    command
}

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that cannot begin does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn values(lines: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(lines).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn lines_of_any_shape_make_documents_and_bad_ones_a_word_each() {
    let event = json!({"Event": events::event_with_objects()}).to_string();
    let input = format!("{ATTRIBUTE}\r\n\n{{\n[{event},{ATTRIBUTE}]\n{{\"log\":1}}");
    let output = run(&mut command(&[]), &input);
    assert!(output.status.success());
    let documents = values(&output.stdout);
    assert!(documents.len() > 4);
    for document in &documents {
        assert_eq!(document["misp_ecs"]["operation"], "put");
    }
    let refused = values(&output.stderr);
    let places: Vec<_> = refused
        .iter()
        .map(|it| (&it["line"], &it["kind"]))
        .collect();
    let (malformed, unsupported) = (json!("malformed"), json!("unsupported"));
    assert_eq!(places, [(&json!(3), &malformed), (&json!(5), &unsupported)]);
}

#[test]
fn with_array_each_line_is_answered_by_one() {
    let event = json!({"Event": events::event_with_objects()}).to_string();
    let input = format!("{event}\n{{\n\n{ATTRIBUTE}\n");
    let output = run(&mut command(&["--array"]), &input);
    let arrays = values(&output.stdout);
    let lengths: Vec<usize> = arrays
        .iter()
        .map(|array| array.as_array().unwrap().len())
        .collect();
    assert!(lengths[0] > 3);
    assert_eq!(lengths[1..], [0, 0, 1]);
}

#[test]
fn settings_come_from_the_argument_before_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.json");
    fs::write(&file, r#"{"adapter":{"envelope":false}}"#).unwrap();
    let version = |command: &mut Command| {
        let document = values(&run(command, ATTRIBUTE).stdout).remove(0);
        let enveloped = document.get("misp_ecs").is_some();
        (
            document["ecs"]["version"].as_str().unwrap().to_owned(),
            enveloped,
        )
    };
    let variable = r#"{"adapter":{"mapping":"ecs-1.12"}}"#;
    let old = version(command(&[]).env("MISP_ECS_SETTINGS", variable));
    let path = file.to_str().unwrap();
    let new = version(command(&["--settings", path]).env("MISP_ECS_SETTINGS", variable));
    assert!(old.1 && !new.1);
    assert_ne!(old.0, new.0);
    let asked = version(&mut command(&["--mapping", "ecs-1.12"]));
    assert_eq!(asked, old);
}

#[test]
fn what_cannot_begin_ends_with_two_and_says_why() {
    for (arguments, variable, why) in [
        (&["--mapping", "x"][..], "{}", "no mapping `x`"),
        (&["--settings", "no-such-file"], "{}", "no-such-file"),
        (&[], "{", "settings"),
        (&[], r#"{"no_such":1}"#, "no_such"),
    ] {
        let output = run(
            command(arguments).env("MISP_ECS_SETTINGS", variable),
            ATTRIBUTE,
        );
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{said}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn an_inbox_is_read_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path();
    fs::write(inbox.join("2.jsonl"), format!("{ATTRIBUTE}\n{{\n")).unwrap();
    fs::write(inbox.join("1.json"), ATTRIBUTE.replace(".7", ".6")).unwrap();
    fs::write(inbox.join("notes.txt"), "not ours").unwrap();
    let settings = json!({"adapter": {"inbox": inbox}}).to_string();
    let run = || run(command(&[]).env("MISP_ECS_SETTINGS", &settings), "");
    let output = run();
    assert!(output.status.success());
    let ips: Vec<Value> = values(&output.stdout)
        .into_iter()
        .map(|document| document["threat"]["indicator"]["ip"].clone())
        .collect();
    assert_eq!(ips, [json!("192.0.2.6"), json!("192.0.2.7")]);
    let refused = values(&output.stderr);
    assert_eq!(refused.len(), 1);
    assert!(refused[0]["file"].as_str().unwrap().ends_with("2.jsonl"));
    assert_eq!(run().stdout, b"");
    assert!(inbox.join("1.json.done").exists() && inbox.join("notes.txt").exists());
}

#[test]
fn files_are_read_whole_and_a_missing_one_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("event.json");
    let event = json!({"Event": events::event_with_objects()});
    fs::write(&file, serde_json::to_string_pretty(&event).unwrap()).unwrap();
    let path = file.to_str().unwrap();
    let output = run(&mut command(&[path, "no-such-file"]), "");
    assert!(values(&output.stdout).len() > 3);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("no-such-file")
    );
}
