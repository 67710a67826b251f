//! What was refused: listed, shown, and asked for again after a fix.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;

use common::{Setup, demo, output, published, signal, started, text};
use misp_ecs_tests::fake_receiver::FakeReceiver;
use serde_json::Value;

/// The attributes that the receiver has, and how many lines came.
fn standing(receiver: &FakeReceiver) -> (BTreeSet<String>, usize) {
    let arrived = receiver.arrived();
    (common::standing(&arrived), arrived.lines().count())
}

async fn runs(setup: &Setup, words: &[&str]) -> String {
    let ran = output(setup.command(words)).await;
    assert!(
        ran.status.success(),
        "{words:?}: {}{}",
        text(&ran.stdout),
        text(&ran.stderr)
    );
    text(&ran.stdout)
}

fn letters(setup: &Setup) -> usize {
    let path = setup.folder.path().join("state/dead-letters.ndjson");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| line.contains("\"reason\""))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_replayed_after_a_fix_and_not_before() {
    let misp = demo().await;
    let receiver = FakeReceiver::start().await.unwrap();
    let setup = Setup::with_receiver(&misp, &receiver, "");
    assert_eq!(
        runs(&setup, &["dead-letter", "list"]).await,
        "nothing is refused\n"
    );
    let victim = published(&misp).into_iter().next().unwrap();
    receiver.refuse(&victim, 400, "no field 'x-17' here");
    // Something was rejected.
    common::exits(&setup, &["run", "--once"], 1).await;
    let refused = letters(&setup);
    assert!(refused > 0);

    let list = runs(&setup, &["dead-letter", "list"]).await;
    assert!(
        list.starts_with(&format!("{refused} refused, for 1 reason\n")),
        "{list}"
    );
    assert!(
        list.contains("output out: ") && list.contains("no field '…' here"),
        "{list}"
    );
    let json = runs(&setup, &["dead-letter", "list", "--json"]).await;
    let group: Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(group["count"], refused);
    assert_eq!(group["output"], "out");
    let shown = runs(&setup, &["dead-letter", "show", "--group", "1"]).await;
    assert_eq!(shown.lines().count(), refused);
    let shown: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    let event = shown["event"].as_str().unwrap();
    for (words, found) in [
        (["--event", event], true),
        (["--output", "out"], true),
        (["--output", "other"], false),
        (["--instance", "other"], false),
        (["--since", "1h"], true),
        (["--since", "2100-01-01"], false),
    ] {
        let some = runs(&setup, &["dead-letter", "show", words[0], words[1]]).await;
        assert_eq!(!some.is_empty(), found, "{words:?}");
    }
    let none = output(setup.command(&["dead-letter", "show", "--group", "2"])).await;
    assert!(
        text(&none.stderr).contains("no group 2"),
        "{}",
        text(&none.stderr)
    );

    // Not fixed: refused once more, and as often open as before.
    for round in 2..4 {
        common::exits(&setup, &["dead-letter", "replay"], 1).await;
        assert_eq!(letters(&setup), round * refused);
        let list = runs(&setup, &["dead-letter", "list"]).await;
        assert!(list.starts_with(&format!("{refused} refused")), "{list}");
    }

    receiver.takes_all();
    let before = standing(&receiver);
    runs(&setup, &["dead-letter", "replay"]).await;
    let (has, lines) = standing(&receiver);
    assert_eq!(has, published(&misp));
    assert_eq!(lines, before.1 + refused, "only what was refused is sent");
    let list = runs(&setup, &["dead-letter", "list"]).await;
    assert!(list.starts_with("nothing is refused"), "{list}");
    assert!(runs(&setup, &["dead-letter", "show"]).await.is_empty());
    let all = runs(&setup, &["dead-letter", "show", "--all"]).await;
    assert_eq!(all.lines().count(), 3 * refused);
    let replayed = output(setup.command(&["dead-letter", "replay"])).await;
    let said = text(&replayed.stderr);
    assert!(said.contains("nothing is to be replayed"), "{said}");
    assert_eq!(standing(&receiver).1, lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_replays_at_once() {
    let misp = demo().await;
    let receiver = FakeReceiver::start().await.unwrap();
    let setup = Setup::with_receiver(&misp, &receiver, "");
    let victim = published(&misp).into_iter().next().unwrap();
    receiver.refuse(&victim, 400, "no");
    // Something was rejected.
    common::exits(&setup, &["run", "--once"], 1).await;
    receiver.takes_all();
    let mut child = started(&mut setup.command(&["run"]));
    let socket = setup.folder.path().join("state/control.sock");
    let replayed = async {
        // Before it has the state, a replay would take it from under it.
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            tokio::task::yield_now().await;
        }
        loop {
            let asked = output(setup.command(&["dead-letter", "replay"])).await;
            let said = text(&asked.stdout);
            if asked.status.success() && said.contains("are read again") {
                assert!(said.contains("lab: "), "{said}");
                break;
            }
        }
        while standing(&receiver).0 != published(&misp) {
            tokio::task::yield_now().await;
        }
    };
    let minute = std::time::Duration::from_secs(60);
    tokio::time::timeout(minute, replayed).await.unwrap();
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
    let list = runs(&setup, &["dead-letter", "list"]).await;
    assert!(list.starts_with("nothing is refused"), "{list}");
}
