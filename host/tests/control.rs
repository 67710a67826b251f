//! A running host and the commands that ask it; ends at every named place.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;

use common::{Setup, balances, demo, exits, output, published, runs, signal, started, text};
use misp_ecs_tests::fake_misp::Fault;
use serde_json::Value;

fn service(setup: &Setup) -> Child {
    started(&mut setup.command(&["run"]))
}

/// Asks until the walk is over; each question is a process of its own, so this is no busy loop.
async fn status_after_a_walk(setup: &Setup) -> Value {
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
    let minute = std::time::Duration::from_secs(60);
    tokio::time::timeout(minute, walked).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_answers_and_a_stopped_one_does_not() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let child = service(&setup);
    let status = status_after_a_walk(&setup).await;
    let instance = &status["instances"][0];
    assert_eq!(instance["instance"], "lab");
    assert_eq!(instance["health"]["status"], "running");
    assert_eq!(instance["counts"]["in_flight"], 0);
    let socket = setup.folder.path().join("state/control.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let checked = output(setup.command(&["check"])).await;
    let said = text(&checked.stdout);
    assert!(
        checked.status.success() && said.contains("is held by"),
        "{said}"
    );

    let told = output(setup.command(&["status"])).await;
    let said = text(&told.stdout);
    assert!(
        said.starts_with("healthy: 1 instance\n") && said.contains("mapped"),
        "{said}"
    );
    let shown = output(setup.command(&["state", "show"])).await;
    assert!(shown.status.success());
    assert!(
        text(&shown.stdout).contains("delivered"),
        "{}",
        text(&shown.stdout)
    );
    let exported = output(setup.command(&["state", "export"])).await;
    let lines = text(&exported.stdout);
    assert!(
        lines
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    let documents = lines
        .lines()
        .filter(|line| line.starts_with("{\"document\""))
        .count();
    assert!(documents >= misp.with_store(|store| store.published_attributes()).len());

    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    assert_eq!(ended.await.unwrap().status.code(), Some(0));
    assert!(!socket.exists());
    let alone = exits(&setup, &["status"], 5).await;
    assert!(alone.contains("misp-ecs is not running"), "{alone}");
    let shown = output(setup.command(&["state", "show"])).await;
    assert!(text(&shown.stdout).contains("delivered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_leaves_a_socket_that_is_in_nobodys_way() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let mut child = service(&setup);
    status_after_a_walk(&setup).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(setup.folder.path().join("state/control.sock").exists());
    let shown = output(setup.command(&["state", "show"])).await;
    assert!(
        text(&shown.stdout).contains("delivered"),
        "{}",
        text(&shown.stderr)
    );
    assert!(
        output(setup.command(&["run", "--once"]))
            .await
            .status
            .success()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_says_why_nothing_came() {
    let misp = demo().await;
    let setup = Setup::new(&misp, ", filters: {tags: [no-such-tag]}");
    let mut child = service(&setup);
    let status = status_after_a_walk(&setup).await;
    let why = status["instances"][0]["why_nothing"].to_string();
    assert!(
        why.contains("the tag `no-such-tag` does not exist"),
        "{why}"
    );
    let said = runs(&setup, &["status"]).await;
    assert!(
        said.contains("matched   0 at the source")
            && said.contains("  filters: the tag `no-such-tag` does not exist"),
        "{said}"
    );
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_to_be_read_again_is_shown() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    runs(&setup, &["run", "--once"]).await;
    let fault = Fault::Status(403, "{}".to_owned());
    misp.next(fault);
    exits(&setup, &["reprocess", "--all"], 4).await;
    let events = misp.with_store(|store| {
        let events = store.events().iter();
        events.filter(|event| event["published"] == true).count()
    });
    let left = format!("to come      {events} events are to be read again");
    let said = runs(&setup, &["state", "show"]).await;
    assert!(said.contains(&left), "{left}: {said}");
    runs(&setup, &["run", "--once"]).await;
    let said = runs(&setup, &["state", "show"]).await;
    assert!(!said.contains("to come"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_sweeps_when_asked_and_withdraws_much_when_told_to() {
    let misp = demo().await;
    let setup = Setup::with_deletes(&misp, "");
    let mut child = service(&setup);
    status_after_a_walk(&setup).await;
    // Behind the cursor: no walk sees it.
    let late = misp_ecs_tests::events::event(4_242, "late")
        .published_at(misp_ecs_tests::events::BASE_TIME - 1_000)
        .attribute(misp_ecs_tests::events::attr("domain", "late.example.org"))
        .build();
    misp.add(late);
    let said = runs(&setup, &["sweep", "--instance", "lab"]).await;
    assert!(
        said.contains("1 missing, 0 stale, 0 orphaned") && !said.contains("HELD BACK"),
        "{said}"
    );
    let all = setup.standing();
    assert_eq!(all, published(&misp));

    misp.with_store(|store| {
        let events = store.events().iter();
        let uuids: Vec<String> = events
            .filter_map(|event| event["uuid"].as_str().map(str::to_owned))
            .collect();
        uuids.iter().for_each(|uuid| store.delete(uuid));
    });
    let said = exits(&setup, &["sweep"], 3).await;
    assert!(said.contains("HELD BACK"), "{said}");
    assert_eq!(setup.standing(), all);
    let said = exits(&setup, &["status"], 1).await;
    assert!(
        said.starts_with("degraded: lab (reconciliation held back)\n"),
        "{said}"
    );
    assert!(said.contains("HELD BACK"), "{said}");
    let said = runs(&setup, &["sweep", "--confirm"]).await;
    assert!(!said.contains("HELD BACK"), "{said}");
    assert_eq!(setup.standing(), BTreeSet::new());
    let said = runs(&setup, &["status"]).await;
    assert!(!said.contains("HELD BACK"), "{said}");

    for command in ["sweep", "reprocess", "audit"] {
        let said = exits(&setup, &[command, "--instance", "lap"], 2).await;
        assert!(said.contains("did you mean `lab`"), "{command}: {said}");
    }
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_at_every_named_place_the_output_is_as_the_server() {
    for place in [
        "acknowledged",
        "kept",
        "remembered",
        "withdrawn",
        "deleted",
        "committed",
    ] {
        let misp = demo().await;
        let setup = Setup::with_deletes(&misp, "");
        for times in ["1", "2", "5"] {
            let mut command = setup.command(&["run", "--once"]);
            command.env("MISP_ECS_CRASH_AT", format!("{place}:{times}"));
            output(command).await;
            // What an editor does between two polls.
            misp.with_store(|store| {
                let events = store.events().iter();
                let (event, attribute) = events
                    .filter(|event| event["published"] == true)
                    .find_map(|event| {
                        let attribute = event["Attribute"][0]["uuid"].as_str()?;
                        Some((event["uuid"].as_str()?.to_owned(), attribute.to_owned()))
                    })
                    .unwrap();
                store.advance(60);
                store.hard_delete(&event, &attribute);
                store.publish(&event);
            });
        }
        let last = output(setup.command(&["run", "--once"])).await;
        assert!(last.status.success(), "{place}: {}", text(&last.stderr));
        balances(&text(&last.stderr));
        let (found, expected) = (setup.standing(), published(&misp));
        let missing: Vec<_> = expected.difference(&found).collect();
        assert_eq!(missing, Vec::<&String>::new(), "{place}: missing");
        let left: Vec<_> = found.difference(&expected).collect();
        assert_eq!(left, Vec::<&String>::new(), "{place}: not withdrawn");
    }
}
