//! SIGHUP: the whole configuration is applied.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{Setup, attributes, demo, output, published, signal};

/// Asks the running host, each time by a process of its own, until this holds.
async fn until(setup: &Setup, what: &str, holds: impl Fn() -> bool) {
    let reached = async {
        while !holds() {
            output(setup.command(&["status"])).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(90), reached).await;
    assert!(came.is_ok(), "never {what}: {}", log(setup));
}

fn log(setup: &Setup) -> String {
    read(&setup.folder.path().join("log"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_applies_the_whole_configuration() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "").with_compiled();
    let log_file = std::fs::File::create(setup.folder.path().join("log")).unwrap();
    let mut host = setup.command(&["run"]);
    let mut host = host.stdout(Stdio::null()).stderr(log_file).spawn().unwrap();
    let all = published(&misp);
    let has_all = |file: &str| {
        let text = read(&setup.folder.path().join(file));
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        attributes(whole).keys().eq(&all)
    };
    until(&setup, "delivered", || has_all("out.ndjson")).await;

    // Nothing is changed: no mapping is another one.
    signal(&host, "HUP");
    let same = "the same mapping stays active";
    until(&setup, same, || log(&setup).contains(same)).await;
    assert!(!log(&setup).contains("another mapping"), "{}", log(&setup));

    // A configuration that cannot be used changes nothing.
    let before = read(&setup.folder.path().join("misp-ecs.yaml"));
    setup.set("outputs", "{out: {type: file, paht: out.ndjson}}");
    signal(&host, "HUP");
    let kept = "configuration cannot be used, the old one stays active";
    until(&setup, kept, || log(&setup).contains(kept)).await;

    // Another output: the same process delivers to it.
    std::fs::write(setup.folder.path().join("misp-ecs.yaml"), before).unwrap();
    let outputs = "{out: {type: file, path: out.ndjson, rotate_size: 0}, new: {type: file, path: new.ndjson}}";
    setup.set("outputs", outputs);
    signal(&host, "HUP");
    until(&setup, "delivered to the new output", || {
        has_all("new.ndjson")
    })
    .await;
    assert!(
        log(&setup).contains("starting again") && log(&setup).contains("outputs.new"),
        "{}",
        log(&setup)
    );
    assert!(host.try_wait().unwrap().is_none(), "{}", log(&setup));
    signal(&host, "TERM");
    let ended = tokio::task::spawn_blocking(move || host.wait().unwrap());
    assert_eq!(ended.await.unwrap().code(), Some(0), "{}", log(&setup));
}
