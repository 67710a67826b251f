//! What is delivered: MISP's filters, `only` and `except`, as a user sets them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;

use common::{Setup, balances, demo, output, published, text};
use misp_ecs_tests::FakeMisp;
use serde_json::Value;

/// The live attributes of published events that match.
fn matching(misp: &FakeMisp, matches: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let live = published(misp);
    let of = |holder: &Value| {
        let list = holder["Attribute"].as_array().cloned();
        list.unwrap_or_default()
    };
    misp.with_store(|store| {
        let all = store.events().iter().flat_map(|event| {
            let objects = event["Object"].as_array().cloned().unwrap_or_default();
            let inside = objects.iter().flat_map(of).collect::<Vec<_>>();
            of(event).into_iter().chain(inside)
        });
        all.filter(|attribute| matches(attribute))
            .map(|attribute| attribute["uuid"].as_str().unwrap().to_owned())
            .filter(|uuid| live.contains(uuid))
            .collect()
    })
}

async fn runs_once(setup: &Setup) -> String {
    let ran = output(setup.command(&["run", "--once"])).await;
    let said = text(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    balances(&said);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn only_selects_attributes_with_each_endpoint() {
    let misp = demo().await;
    let wanted = matching(&misp, |attribute| attribute["type"] == "ip-src");
    assert!(!wanted.is_empty() && wanted.len() < published(&misp).len());
    for endpoint in ["events", "attributes"] {
        let extra = format!(", endpoint: {endpoint}, only: {{types: [ip-src]}}");
        let setup = Setup::with_deletes(&misp, &extra);
        let said = runs_once(&setup).await;
        assert_eq!(setup.standing(), wanted, "{endpoint}");
        assert!(said.contains("excluded by `only` or `except`"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_of_the_endpoint_attributes_select_attributes() {
    let misp = demo().await;
    let wanted = matching(&misp, |attribute| attribute["type"] == "ip-src");
    let extra = ", endpoint: attributes, filters: {type: [ip-src]}";
    let setup = Setup::with_deletes(&misp, extra);
    runs_once(&setup).await;
    assert_eq!(setup.standing(), wanted);
    let audit = output(setup.command(&["audit"])).await;
    let said = text(&audit.stdout);
    assert!(
        audit.status.success() && said.contains("nothing differs"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_misp_would_ignore_is_refused_before_any_request() {
    let misp = demo().await;
    let before = misp.requests().len();
    for (filters, words) in [
        ("filters: {tagz: 'tlp:green'}", "did you mean `tags`?"),
        ("filters: {type: [ip-dest]}", "did you mean `ip-dst`?"),
        ("only: {types: [ip-dest]}", "did you mean `ip-dst`?"),
    ] {
        let setup = Setup::new(&misp, &format!(", {filters}"));
        for command in ["run", "check"] {
            let ran = output(setup.command(&[command])).await;
            assert_eq!(ran.status.code(), Some(2), "{command}");
            // The report of `check` is on stdout.
            let said = text(&ran.stdout) + &text(&ran.stderr);
            assert!(said.contains("lab: ") && said.contains(words), "{said}");
        }
    }
    assert_eq!(misp.requests().len(), before);
    let extra = ", filters: {tagz: x}, allow_unknown_filters: true";
    runs_once(&Setup::new(&misp, extra)).await;
}
