//! Documents sent over HTTP by the real binary: what arrives, what a fault costs, who is told what.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;

use common::{Setup, demo, output, published, text};
use misp_ecs_tests::fake_receiver::{FakeReceiver, Reply};
use serde_json::Value;

/// The attributes that the receiver has, and how many lines came.
fn standing(receiver: &FakeReceiver) -> (BTreeSet<String>, usize) {
    let arrived = receiver.arrived();
    (common::standing(&arrived), arrived.lines().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_receiver_has_is_what_misp_has() {
    let misp = demo().await;
    let receiver = FakeReceiver::start().await.unwrap();
    let headers = "headers_file: headers, compression: zstd, max_count: 100";
    let setup = Setup::with_receiver(&misp, &receiver, &format!(", {headers}"));
    receiver.require("Bearer CanaryToken");
    std::fs::write(
        setup.folder.path().join("headers"),
        "Authorization: Bearer CanaryToken\n",
    )
    .unwrap();
    let checked = output(setup.command(&["check"])).await;
    assert!(checked.status.success(), "{}", text(&checked.stdout));
    // Busy at first: nothing is lost for it.
    receiver.script([Reply::status(503, "busy"), Reply::status(429, "slow down")]);
    let ran = output(setup.command(&["run", "--once", "--log", "trace"])).await;
    let said = text(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(!said.contains("CanaryToken"));
    let (has, lines) = standing(&receiver);
    assert_eq!(has, published(&misp));

    let again = output(setup.command(&["run", "--once"])).await;
    assert!(again.status.success());
    assert_eq!(standing(&receiver).1, lines);

    // What is gone is deleted there too.
    misp.with_store(|store| {
        let event = store.events()[0].clone();
        let uuid = event["uuid"].as_str().unwrap();
        let attribute = event["Attribute"][0]["uuid"].as_str().unwrap();
        store.hard_delete(uuid, attribute);
        store.publish(uuid);
    });
    let ran = output(setup.command(&["run", "--once"])).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(standing(&receiver).0, published(&misp));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_document_that_is_refused_costs_itself_and_is_kept() {
    let misp = demo().await;
    let receiver = FakeReceiver::start().await.unwrap();
    let setup = Setup::with_receiver(&misp, &receiver, "");
    let victim = published(&misp).into_iter().next().unwrap();
    receiver.refuse(&victim, 400, "no such field");
    let ran = output(setup.command(&["run", "--once"])).await;
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    let mut expected = published(&misp);
    let (has, _) = standing(&receiver);
    let lost: Vec<String> = expected.difference(&has).cloned().collect();
    assert!(lost.contains(&victim), "{lost:?}");
    let letters = setup.folder.path().join("state/dead-letters.ndjson");
    let letters = std::fs::read_to_string(letters).unwrap();
    assert_eq!(letters.lines().count(), lost.len());
    assert!(letters.contains("no such field"), "{letters}");
    expected.retain(|uuid| !lost.contains(uuid));
    assert_eq!(has, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_by_check_before_anything_is_sent() {
    let misp = demo().await;
    let receiver = FakeReceiver::start().await.unwrap();
    let setup = Setup::with_receiver(&misp, &receiver, "");
    receiver.require("Bearer CanaryToken");
    let checked = output(setup.command(&["check"])).await;
    let said = text(&checked.stdout);
    assert!(
        !checked.status.success() && said.contains("output out"),
        "{said}"
    );
    assert_eq!(receiver.arrived(), "");
    std::fs::write(
        setup.folder.path().join("headers"),
        "Authorization: Bearer CanaryToken\n",
    )
    .unwrap();
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    let yaml = yaml.replace("proxy: none", "proxy: none, headers_file: headers");
    std::fs::write(&config, yaml).unwrap();
    let ran = output(setup.command(&["run", "--once"])).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(standing(&receiver).0, published(&misp));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_go_on_without_an_optional_one_and_it_catches_up() {
    let misp = demo().await;
    let receiver = FakeReceiver::start().await.unwrap();
    let more = "optional_after: 0s, max_count: 100";
    let setup = Setup::with_receiver(
        &misp,
        &receiver,
        &format!(", {more}}}, lines: {{type: file, path: lines.ndjson"),
    );
    let lines = || {
        let text = std::fs::read_to_string(setup.folder.path().join("lines.ndjson")).unwrap();
        let documents = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let uuids = documents.filter_map(|document: Value| {
            Some(document["misp"]["attribute"]["uuid"].as_str()?.to_owned())
        });
        uuids.collect::<BTreeSet<String>>()
    };
    receiver.script(vec![Reply::status(503, "down"); 200]);
    let ran = output(setup.command(&["run", "--once"])).await;
    let said = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert_eq!(lines(), published(&misp));
    assert!(said.contains("BEHIND    out: "), "{said}");
    assert!(said.contains("not sent while it was behind"), "{said}");
    assert_eq!(standing(&receiver).1, 0);

    receiver.takes_all();
    let ran = output(setup.command(&["run", "--once"])).await;
    let said = text(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(!said.contains("BEHIND"), "{said}");
    assert_eq!(standing(&receiver).0, published(&misp));
    let audit = output(setup.command(&["audit"])).await;
    assert!(audit.status.success(), "{}", text(&audit.stdout));
}
