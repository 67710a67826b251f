//! Why nothing comes: `check` and an empty run name what leaves nothing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use common::{Setup, demo, output, text};
use misp_ecs_tests::FakeMisp;
use serde_json::{Value, json};

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

/// What `check` says, and whether a run would work.
async fn check(misp: &FakeMisp, extra: &str) -> (bool, String) {
    let setup = Setup::new(misp, extra);
    let checked = output(setup.command(&["check"])).await;
    (checked.status.success(), text(&checked.stdout))
}

fn days_from_now(days: i64) -> String {
    (pipeline::now_ms() / 1_000 + days * 86_400 + 60).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_a_key_that_may_read_for_ever_have_no_notes() {
    let misp = demo().await;
    misp.with_store(|store| store.set_now(pipeline::now_ms() / 1_000));
    let (works, said) = check(&misp, "").await;
    assert!(works, "{said}");
    assert!(said.contains("(0 notes)"), "{said}");
    assert!(said.contains("clock: in step with the server"), "{said}");
    assert!(
        said.contains("MISP can list its events and attributes"),
        "{said}"
    );
    let attributes = misp.with_store(|store| {
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let all = store.events().iter().flat_map(|event| {
            let objects = list(event, "Object");
            let inside = objects.iter().flat_map(|object| list(object, "Attribute"));
            list(event, "Attribute")
                .into_iter()
                .chain(inside)
                .collect::<Vec<_>>()
        });
        all.filter(|attribute| attribute["deleted"] != true).count()
    });
    let (thousands, rest) = (attributes / 1_000, attributes % 1_000);
    let count = format!("the key sees: {thousands},{rest:03} attributes");
    assert!(said.contains(&count), "{count}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_misp_says_of_the_user_and_the_key_is_told() {
    let misp = demo().await;
    misp.with_store(|store| store.set_now(pipeline::now_ms() / 1_000 - 7_205));
    misp.set_me(|me| {
        me["User"]["expiration"] = json!("2030-01-31 00:00:00");
        me["Role"]["perm_publish"] = json!(true);
        me["Role"]["perm_sync"] = json!("1");
        me["Role"]["memory_limit"] = json!("256M");
        me["Role"]["enforce_rate_limit"] = json!(true);
        me["Role"]["rate_limit_count"] = json!("40");
        me["UserSetting"] = json!({"default_restsearch_parameters": {"published": 1}});
    });
    misp.set_auth_key(|key| {
        key["read_only"] = json!(false);
        key["expiration"] = json!(days_from_now(30));
        key["allowed_ips"] = json!(["192.0.2.7", "2001:db8::/48"]);
    });
    let (works, said) = check(&misp, "").await;
    assert!(works, "{said}");
    for what in [
        "the account ends at 2030-01-31 00:00:00",
        "the role has perm_publish, perm_sync: reading needs none",
        "PHP may take 256M of memory",
        "40 searches in 15 minutes",
        r#"is merged under every search: {"published":1}"#,
        "it may change things in MISP",
        "it ends in 30 days",
        "from 192.0.2.7, 2001:db8::/48 only",
        " s behind this machine's",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_or_is_disabled_would_not_work() {
    let misp = demo().await;
    misp.set_auth_key(|key| key["expiration"] = json!(days_from_now(-3)));
    let (works, said) = check(&misp, "").await;
    assert!(
        !works && said.contains("FAIL  key: it ended 2 days ago"),
        "{said}"
    );
    let misp = demo().await;
    misp.set_me(|me| me["User"]["disabled"] = json!(true));
    let (works, said) = check(&misp, "").await;
    assert!(!works && said.contains("may not use the API"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_could_list_nothing() {
    let misp = demo().await;
    misp.habits(|habits| habits.refuses = Some("/events/index/minimal:1"));
    let (works, said) = check(&misp, "").await;
    assert!(
        !works && said.contains("FAIL  reconciliation: MISP cannot list"),
        "{said}"
    );
    let (works, said) = check(&misp, ", sweep: 0s").await;
    assert!(works && !said.contains("reconciliation"), "{said}");
}
