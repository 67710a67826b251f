//! What went out against what MISP has: audit and sweep, as a user runs them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;

use common::{Setup, demo, exits, output, published, text};

async fn once(setup: &Setup) {
    let ran = output(setup.command(&["run", "--once"])).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
}

fn lines(setup: &Setup) -> usize {
    let text = std::fs::read_to_string(setup.folder.path().join("out.ndjson")).unwrap();
    text.lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_each_endpoint_the_audit_finds_nothing_and_a_second_run_sends_nothing() {
    let misp = demo().await;
    for extra in [
        ", endpoint: events",
        ", endpoint: attributes, attributes_page: 100",
    ] {
        let setup = Setup::with_deletes(&misp, extra);
        once(&setup).await;
        assert_eq!(setup.standing(), published(&misp), "{extra}");
        let before = lines(&setup);
        once(&setup).await;
        assert_eq!(lines(&setup), before, "{extra}");
        let audit = output(setup.command(&["audit"])).await;
        let said = text(&audit.stdout);
        assert!(audit.status.success(), "{said} {}", text(&audit.stderr));
        assert!(said.contains("nothing differs"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_shows_what_a_sweep_mends() {
    let misp = demo().await;
    let setup = Setup::with_deletes(&misp, "");
    once(&setup).await;
    // Gone without a word, and come behind the cursor.
    let gone = misp.with_store(|store| {
        let events = store.events();
        let sizes = events.iter().filter(|event| event["published"] == true);
        let small = sizes
            .filter(|event| {
                event["Attribute"]
                    .as_array()
                    .is_some_and(|all| all.len() == 1)
            })
            .filter_map(|event| event["uuid"].as_str().map(str::to_owned));
        let gone: Vec<String> = small.take(2).collect();
        store.delete(&gone[0]);
        gone
    });
    let late = misp_ecs_tests::events::event(4_242, "late")
        .published_at(misp_ecs_tests::events::BASE_TIME - 1_000)
        .attribute(misp_ecs_tests::events::attr("domain", "late.example.org"))
        .build();
    misp.add(late);
    once(&setup).await;
    assert_ne!(setup.standing(), published(&misp));
    let before = lines(&setup);
    let audit = output(setup.command(&["audit", "--instance", "lab"])).await;
    let said = text(&audit.stdout);
    assert_eq!(audit.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("{}: 0 missing, 0 stale, ", gone[0])),
        "{said}"
    );
    assert!(said.contains("1  missing"), "{said}");
    assert_eq!(lines(&setup), before, "an audit changes nothing");
    let swept = output(setup.command(&["sweep"])).await;
    assert!(swept.status.success(), "{}", text(&swept.stderr));
    assert!(
        text(&swept.stderr).contains("swept"),
        "{}",
        text(&swept.stderr)
    );
    assert_eq!(setup.standing(), published(&misp));
    assert!(output(setup.command(&["audit"])).await.status.success());
    let wrong = exits(&setup, &["audit", "--instance", "lap"], 2).await;
    assert!(wrong.contains("did you mean `lab`"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_everything_empties_nothing_until_told_to() {
    let misp = demo().await;
    let setup = Setup::with_deletes(&misp, "");
    once(&setup).await;
    let all = setup.standing();
    misp.with_store(|store| {
        let uuids: Vec<String> = store
            .events()
            .iter()
            .filter_map(|event| event["uuid"].as_str().map(str::to_owned))
            .collect();
        uuids.iter().for_each(|uuid| store.delete(uuid));
    });
    let swept = exits(&setup, &["sweep"], 3).await;
    assert!(swept.contains("HELD BACK"), "{swept}");
    assert_eq!(setup.standing(), all);
    let swept = output(setup.command(&["sweep", "--confirm"])).await;
    assert!(swept.status.success(), "{}", text(&swept.stderr));
    assert_eq!(setup.standing(), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_goes_elsewhere_gets_everything_and_the_other_nothing_twice() {
    let misp = demo().await;
    let setup = Setup::with_deletes(&misp, "");
    once(&setup).await;
    let before = lines(&setup);
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    let yaml = yaml.replace(
        "outputs: {",
        "outputs: {new: {type: file, path: new.ndjson}, ",
    );
    std::fs::write(&config, yaml).unwrap();
    once(&setup).await;
    assert_eq!(lines(&setup), before);
    let new = std::fs::read_to_string(setup.folder.path().join("new.ndjson")).unwrap();
    let came: BTreeSet<String> = common::attributes(&new).into_keys().collect();
    assert_eq!(came, published(&misp));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_or_enters_the_filters_is_deleted_or_fetched() {
    use misp_ecs_tests::events::{BASE_TIME, attr, event, uuid};

    let misp = misp_ecs_tests::FakeMisp::start().await;
    for (seed, tag) in [(1, "tlp:green"), (2, "tlp:green"), (3, "tlp:clear")] {
        let value = format!("n{seed}.example.org");
        let built = event(seed, "x")
            .published_at(BASE_TIME)
            .tag(tag)
            .attribute(attr("domain", &value));
        misp.add(built.build());
    }
    let setup = Setup::with_deletes(&misp, ", sweep: 0s, filters: {tags: ['tlp:green']}");
    once(&setup).await;
    assert_eq!(setup.standing().len(), 2);
    // It is shared more narrowly from now on, and published again.
    misp.with_store(|store| {
        store.untag(&uuid(1, 0), "tlp:green");
        store.tag(&uuid(1, 0), "tlp:red");
        store.publish(&uuid(1, 0));
        store.advance(60);
    });
    let before = setup.standing();
    once(&setup).await;
    let after = setup.standing();
    assert_eq!(after.len(), 1);
    assert!(after.is_subset(&before));
    // Another filter: nothing else is known of it than that it is another one.
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    let yaml = yaml.replace("tags: ['tlp:green']", "tags: ['tlp:clear']");
    std::fs::write(&config, yaml).unwrap();
    let ran = output(setup.command(&["run", "--once"])).await;
    let said = text(&ran.stderr);
    assert!(said.contains("FILTERS"), "{said}");
    let now = setup.standing();
    assert_eq!(now.len(), 1);
    assert!(now.is_disjoint(&before));
    let ran = output(setup.command(&["run", "--once"])).await;
    assert!(!text(&ran.stderr).contains("FILTERS"));
}
