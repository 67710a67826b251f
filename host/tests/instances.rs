//! Instances that are in the state and not in the configuration: reported, renamed, removed, while
//! a host runs and without one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;
use std::process::Child;
use std::time::Duration;

use common::{Setup, demo, output, published, runs, signal, started, text};
use misp_ecs_tests::FakeMisp;
use serde_json::Value;

/// The configuration names the instance otherwise from now on.
fn named(setup: &Setup, from: &str, to: &str) {
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    assert!(yaml.contains(from), "{yaml}");
    std::fs::write(&config, yaml.replace(from, to)).unwrap();
}

/// Deletes some events on the server; returns their uuids.
fn delete_events(misp: &FakeMisp, count: usize) {
    misp.with_store(|store| {
        let events = store.events();
        let published = events.iter().filter(|event| event["published"] == true);
        let small = published.filter(|event| {
            let attributes = event["Attribute"].as_array();
            attributes.is_some_and(|all| all.len() == 1)
        });
        let uuids = small.filter_map(|event| event["uuid"].as_str().map(str::to_owned));
        let uuids: Vec<String> = uuids.take(count).collect();
        assert_eq!(uuids.len(), count);
        uuids.iter().for_each(|uuid| store.delete(uuid));
    });
}

async fn fails(setup: &Setup, words: &[&str]) -> String {
    let ran = output(setup.command(words)).await;
    assert!(!ran.status.success(), "{words:?} went well");
    text(&ran.stderr) + &text(&ran.stdout)
}

/// The status of a running host after its first poll.
async fn status(setup: &Setup) -> Value {
    let walked = async {
        loop {
            let asked = output(setup.command(&["status", "--json"])).await;
            if let Ok(status) = serde_json::from_slice::<Value>(&asked.stdout)
                && status["instances"][0]["counts"]["walks"].as_u64() > Some(0)
            {
                return status;
            }
        }
    };
    let minute = Duration::from_secs(60);
    tokio::time::timeout(minute, walked).await.unwrap()
}

async fn ends(child: Child) {
    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    assert_eq!(ended.await.unwrap().status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_renamed_in_the_configuration_pins_nothing() {
    let misp = demo().await;
    let setup = Setup::with_deletes(&misp, "").with_compiled();
    runs(&setup, &["run", "--once"]).await;
    named(&setup, "name: lab", "name: office");
    let said = runs(&setup, &["run", "--once"]).await;
    assert!(said.contains("an instance is not configured"), "{said}");
    assert!(said.contains("misp-ecs instance rename lab NEW"), "{said}");
    assert!(said.contains("misp-ecs instance remove lab"), "{said}");
    delete_events(&misp, 2);
    runs(&setup, &["sweep"]).await;
    assert_eq!(setup.standing(), published(&misp));
    let checked = output(setup.command(&["check"])).await;
    let said = text(&checked.stdout);
    assert!(said.contains("misp-ecs instance rename lab NEW"), "{said}");

    let said = fails(&setup, &["instance", "rename", "lap", "office"]).await;
    assert!(said.contains("did you mean `lab`"), "{said}");
    runs(&setup, &["instance", "rename", "lab", "office"]).await;
    let said = runs(&setup, &["run", "--once"]).await;
    assert!(!said.contains("instance rename"), "{said}");
    runs(&setup, &["sweep", "--confirm"]).await;
    assert_eq!(setup.standing(), published(&misp));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_renames_and_removes() {
    let (misp, other) = (demo().await, FakeMisp::start().await);
    other.add(
        misp_ecs_tests::events::event(77, "of the other")
            .published_at(misp_ecs_tests::events::BASE_TIME)
            .attribute(misp_ecs_tests::events::attr("domain", "other.example.org"))
            .build(),
    );
    let setup = Setup::with_deletes(&misp, "").with_compiled();
    std::fs::write(setup.folder.path().join("other-key"), other.key()).unwrap();
    let both = format!(
        "instances: [{{name: other, url: '{}', api_key_file: other-key}}, ",
        other.url()
    );
    named(&setup, "instances: [", &both);
    runs(&setup, &["run", "--once"]).await;
    let mine = published(&misp);
    let all: BTreeSet<String> = mine.union(&published(&other)).cloned().collect();
    assert_eq!(setup.standing(), all);

    named(&setup, &both, "instances: [");
    named(&setup, "name: lab", "name: office");
    let child = started(&mut setup.command(&["run"]));
    let status_now = status(&setup).await;
    assert_eq!(
        status_now["unconfigured"],
        serde_json::json!(["lab", "other"])
    );
    let asked = output(setup.command(&["status"])).await;
    let said = text(&asked.stdout);
    assert_eq!(asked.status.code(), Some(1), "{said}");
    assert!(said.starts_with("degraded: "), "{said}");
    assert!(said.contains("misp-ecs instance remove other"), "{said}");
    let said = fails(&setup, &["instance", "remove", "office"]).await;
    assert!(said.contains("office is configured"), "{said}");
    runs(&setup, &["instance", "rename", "lab", "office"]).await;
    let said = runs(&setup, &["instance", "remove", "other"]).await;
    assert!(said.contains("1 document deleted"), "{said}");
    assert_eq!(setup.standing(), mine);
    assert_eq!(status(&setup).await["unconfigured"], serde_json::json!([]));
    ends(child).await;

    // Without a host.
    named(&setup, "name: office", "name: home");
    runs(&setup, &["run", "--once"]).await;
    runs(&setup, &["instance", "remove", "office"]).await;
    assert_eq!(setup.standing(), mine);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_named_by_its_address_goes_on_under_its_name_of_now() {
    let misp = demo().await;
    let setup = Setup::with_deletes(&misp, "").with_compiled();
    // As earlier versions named it.
    named(&setup, "name: lab,", &format!("name: '{}',", misp.url()));
    runs(&setup, &["run", "--once"]).await;
    let before = std::fs::read_to_string(setup.folder.path().join("out.ndjson")).unwrap();
    named(&setup, &format!("name: '{}',", misp.url()), "");
    let said = runs(&setup, &["run", "--once"]).await;
    assert!(said.contains("kept under its name of now"), "{said}");
    assert!(!said.contains("is not configured"), "{said}");
    let after = std::fs::read_to_string(setup.folder.path().join("out.ndjson")).unwrap();
    assert_eq!(before, after);
    delete_events(&misp, 1);
    runs(&setup, &["sweep"]).await;
    assert_eq!(setup.standing(), published(&misp));
}
