//! Why nothing comes: `check` and an empty run name what leaves nothing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use common::{Setup, demo, output, text};
use misp_ecs_tests::FakeMisp;

/// What `check` says, and what a first run says; `check` says it all the same while nothing
/// would come, since the configuration works.
async fn both(misp: &FakeMisp, extra: &str) -> (String, String) {
    let setup = Setup::new(misp, extra);
    let checked = output(setup.command(&["check"])).await;
    assert!(checked.status.success(), "{}", text(&checked.stdout));
    let ran = output(setup.command(&["run", "--once"])).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(setup.attributes().len(), 0);
    (text(&checked.stdout), text(&ran.stderr))
}

/// Both must say it.
async fn says(misp: &FakeMisp, extra: &str, what: &str) {
    let (checked, ran) = both(misp, extra).await;
    assert!(checked.contains(what), "{checked}");
    assert!(ran.contains(what), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_does_not_exist() {
    let misp = demo().await;
    let extra = ", filters: {tags: [no-such-tag]}";
    says(&misp, extra, "the tag `no-such-tag` does not exist").await;
    says(&misp, extra, "without `tags` they would find").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_filter_of_two() {
    let misp = demo().await;
    let extra = ", filters: {eventinfo: nobody wrote this, published: 1}";
    says(&misp, extra, "without `eventinfo` they would find").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_misp_does_not_understand() {
    let misp = demo().await;
    let extra = ", filters: {timestamp: 2w}";
    says(&misp, extra, "`timestamp: \"2w\"` finds nothing: give").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_published() {
    let misp = demo().await;
    misp.with_store(|store| {
        let events = store.events().to_vec();
        for event in events {
            store.unpublish(event["uuid"].as_str().unwrap());
        }
    });
    says(
        &misp,
        "",
        "0 of them published: only published events are polled",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_sees_nothing() {
    let misp = FakeMisp::start().await;
    says(
        &misp,
        "",
        "no event at all: the organisation of its user is given none",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_older_than_the_lookback() {
    let misp = demo().await;
    says(&misp, ", lookback: 1s", "older events: set a longer one").await;
}
