//! The whole host with a mapping that misbehaves: nothing is lost, nothing is passed over.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use common::{Setup, hostile, output, text};
use misp_ecs_tests::{FakeMisp, events};
use serde_json::Value;

const BAD: [&str; 12] = [
    "trap",
    "panic",
    "loop",
    "memory",
    "output",
    "lose",
    "not-utf8",
    "newline",
    "no-object",
    "no-id",
    "too-few",
    "too-many",
];

/// A MISP with events of one bad attribute each between good ones, and two attributes that get the same id.
async fn misp(bad: &[&str]) -> FakeMisp {
    let misp = FakeMisp::start().await;
    let all = (1_u32..).zip(bad.iter().copied()).map(|(n, bad)| {
        let built = events::event(u64::from(n), "x").published_at(events::BASE_TIME + i64::from(n));
        let built = built.attribute(events::attr("text", &format!("before-{n}")));
        let built = built.attribute(events::attr("text", bad));
        built
            .attribute(events::attr("text", &format!("after-{n}")))
            .build()
    });
    misp.add_all(all);
    misp
}

fn with_mapping(misp: &FakeMisp, path: &Path) -> Setup {
    let setup = Setup::new(misp, "");
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    let more = format!(
        "mapping: {{path: '{}'}}\nlimits: {{memory: 24MiB, time: 1s, output: 2MiB}}\n",
        path.display()
    );
    std::fs::write(&config, yaml + &more).unwrap();
    setup
}

async fn once(setup: &Setup) -> Output {
    output(setup.command(&["run", "--once"])).await
}

/// The values in the output, and the attributes in the dead letters with what was said of them.
fn came(setup: &Setup) -> (BTreeSet<String>, Vec<(String, String)>) {
    let read = |name: &str| {
        let text = std::fs::read_to_string(setup.folder.path().join(name)).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let values = read("out.ndjson");
    let values = values.iter().map(|document| word(&document["value"]));
    let letters = read("state/dead-letters.ndjson");
    let letters = letters.iter().map(|letter| {
        let input: Value = serde_json::from_str(letter["input"].as_str().unwrap()).unwrap();
        (word(&input["value"]), word(&letter["reason"]["text"]))
    });
    (values.collect(), letters.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attribute_is_delivered_or_in_the_dead_letters() {
    let mut bad = BAD.to_vec();
    // The first of these two keeps its id.
    bad.extend(["collide", "collide"]);
    let misp = misp(&bad).await;
    let setup = with_mapping(&misp, hostile());
    let output = once(&setup).await;
    let said = text(&output.stderr);
    assert!(said.contains("account"), "{said}");
    assert!(!said.contains("DOES NOT BALANCE"), "{said}");

    let (values, letters) = came(&setup);
    let mut expected: BTreeSet<String> = (1..=bad.len())
        .flat_map(|n| [format!("before-{n}"), format!("after-{n}")])
        .collect();
    expected.insert("collide".to_owned());
    assert_eq!(values, expected);
    let blamed: BTreeSet<&str> = letters.iter().map(|(value, _)| value.as_str()).collect();
    assert_eq!(letters.len(), BAD.len(), "{letters:?}\n{said}");
    assert_eq!(blamed, BTreeSet::from(BAD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_mapping_moves_no_cursor() {
    // Nothing but traps: more in a row than any mapping survives.
    let misp = FakeMisp::start().await;
    let event = (0..40).fold(
        events::event(1, "x").published_at(events::BASE_TIME),
        |built, _| built.attribute(events::attr("text", "trap")),
    );
    misp.add_all(vec![event.build()]);
    let setup = with_mapping(&misp, hostile());
    let output = once(&setup).await;
    let said = text(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("attributes in a row"), "{said}");
    assert_eq!(setup.attributes().len(), 0);

    // Another mapping gets all of them: the cursor stood still.
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    let hostile = format!("path: '{}'", hostile().display());
    std::fs::write(&config, yaml.replace(&hostile, "name: ecs-1.12")).unwrap();
    let output = once(&setup).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(setup.attributes().len(), 40);
}

/// A component of 2 MB whose compilation takes memory with the product of its variables and loops.
fn compile_bomb() -> Vec<u8> {
    use std::fmt::Write as _;
    const VARIABLES: usize = 49_000;
    const LOOPS: usize = 2_000;
    let mut text = String::from("(component (core module (func (local");
    text += &" i64".repeat(VARIABLES);
    text.push(')');
    text += &"(loop ".repeat(LOOPS);
    for variable in 0..VARIABLES {
        let sum = format!("(i64.add (local.get {variable}) (i64.const 1))");
        write!(text, "(local.set {variable} {sum})").unwrap();
    }
    text += &"(br_if 0 (i32.wrap_i64 (local.get 0))))".repeat(LOOPS);
    text += ")))";
    wat::parse_str(&text).unwrap()
}

/// The most memory that a process had, KiB, until it ended; and its output.
fn run_and_measure(mut command: std::process::Command) -> (u64, Output) {
    use std::process::Stdio;
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        std::thread::yield_now();
    }
    (most, child.wait_with_output().unwrap())
}

#[tokio::test]
async fn a_component_that_takes_too_much_to_compile_costs_this_process_nothing() {
    let misp = misp(&[]).await;
    let bomb = tempfile::tempdir().unwrap();
    let path = bomb.path().join("bomb.component.wasm");
    std::fs::write(&path, compile_bomb()).unwrap();
    let setup = with_mapping(&misp, &path);
    let command = setup.command(&["run", "--once"]);
    let measured = tokio::task::spawn_blocking(move || run_and_measure(command));
    let (most_kib, ran) = measured.await.unwrap();
    let said = text(&ran.stderr);
    assert!(!ran.status.success(), "{said}");
    assert!(said.contains("could not be compiled"), "{said}");
    assert!(most_kib < 200 << 10, "{most_kib} KiB");
}
