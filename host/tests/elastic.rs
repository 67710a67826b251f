//! Documents in an Elasticsearch by the real binary: set up, kept as MISP has them, moved by a swap.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;

use common::{Setup, demo, output, published, started, text};
use misp_ecs_tests::fake_elastic::{self, ELASTIC_KEY, ElasticFault, FakeElastic};

const ALIAS: &str = "logs-ti_misp_ecs.latest-default";

async fn runs(setup: &Setup, words: &[&str]) -> String {
    let said = common::runs(setup, words).await;
    assert!(!said.contains(ELASTIC_KEY));
    said
}

/// The attributes that an index has.
fn has(elastic: &FakeElastic, mapping: &str) -> BTreeSet<String> {
    let index = format!("{ALIAS}-{mapping}");
    let documents =
        elastic.with_store(|store: &mut fake_elastic::ElasticStore| store.documents(&index));
    let documents = documents.into_values();
    documents
        .filter_map(|document| Some(document["misp"]["attribute"]["uuid"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_elasticsearch_has_is_what_misp_has_under_the_mapping_of_now() {
    let misp = demo().await;
    let elastic = FakeElastic::start().await;
    let setup = Setup::with_elastic(&misp, "", &elastic, "");
    let dry = runs(&setup, &["setup", "elasticsearch", "--dry-run"]).await;
    assert!(dry.contains("would create"), "{dry}");
    // Without templates nothing is written: a wrong field type cannot be taken back.
    let early = output(setup.command(&["check"])).await;
    assert!(
        text(&early.stdout).contains("misp-ecs setup elasticsearch"),
        "{}",
        text(&early.stdout)
    );
    runs(&setup, &["setup", "elasticsearch"]).await;
    runs(&setup, &["check"]).await;
    runs(&setup, &["run", "--once"]).await;
    assert_eq!(has(&elastic, "ecs-9"), published(&misp));
    // The events of the demonstration are old, and the rules would not see them.
    let checked = runs(&setup, &["check"]).await;
    assert!(checked.contains("30 days ago"), "{checked}");

    let bulks = elastic.bulks().len();
    runs(&setup, &["run", "--once"]).await;
    assert_eq!(
        elastic.bulks().len(),
        bulks,
        "nothing changed: nothing is sent"
    );

    // One attribute goes; another mapping takes over and everything moves to its index.
    misp.with_store(|store| {
        let event = store.events()[0].clone();
        let uuid = event["uuid"].as_str().unwrap();
        let attribute = event["Attribute"][0]["uuid"].as_str().unwrap();
        store.hard_delete(uuid, attribute);
        store.publish(uuid);
    });
    runs(&setup, &["run", "--once"]).await;
    assert_eq!(has(&elastic, "ecs-9"), published(&misp));
    runs(&setup, &["mapping", "use", "ecs-1.12"]).await;
    let made = runs(&setup, &["setup", "elasticsearch"]).await;
    assert!(
        made.contains("created") && made.contains("ecs-1.12"),
        "{made}"
    );
    runs(&setup, &["reprocess"]).await;
    assert_eq!(has(&elastic, "ecs-1.12"), published(&misp));
    assert_eq!(has(&elastic, "ecs-9"), BTreeSet::new());

    // What goes then is deleted where it is.
    misp.with_store(|store| {
        let event = store.events()[1].clone();
        store.delete(event["uuid"].as_str().unwrap());
    });
    runs(&setup, &["sweep"]).await;
    assert_eq!(has(&elastic, "ecs-1.12"), published(&misp));
    let audit = runs(&setup, &["audit"]).await;
    assert!(audit.contains("nothing differs"), "{audit}");
}

/// A document that is gone, one nobody here wrote, one that is older than it was, and a copy that
/// another mapping left.
fn meddle(elastic: &FakeElastic) {
    elastic.with_store(|store| {
        let ours = format!("{ALIAS}-ecs-9");
        let index = store.indices.get_mut(&ours).unwrap();
        let ids: Vec<String> = index.entries.keys().cloned().collect();
        index.entries.remove(&ids[0]);
        index.entries.get_mut(&ids[1]).unwrap().version = 1;
        let copy = index.entries[&ids[2]].clone();
        index.entries.insert("foreign".to_owned(), copy.clone());
        let mut other = index.clone();
        other.entries = [(ids[2].clone(), copy)].into();
        store.indices.insert(format!("{ALIAS}-ecs-1.12"), other);
    });
}

async fn audit(setup: &Setup, more: &[&str]) -> (bool, String) {
    let words: Vec<&str> = ["audit", "--output", "siem"]
        .iter()
        .chain(more)
        .copied()
        .collect();
    let ran = output(setup.command(&words)).await;
    (ran.status.success(), text(&ran.stdout) + &text(&ran.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_sees_what_an_index_really_has_and_mends_it() {
    let misp = demo().await;
    let elastic = FakeElastic::start().await;
    let setup = Setup::with_elastic(&misp, "", &elastic, "");
    let both = ["--mapping", "ecs-9", "--mapping", "ecs-1.12"];
    runs(&setup, &[&["setup", "elasticsearch"][..], &both].concat()).await;
    let (same, said) = audit(&setup, &[]).await;
    assert!(
        !same && said.contains("missing"),
        "nothing was ever polled: {said}"
    );
    runs(&setup, &["run", "--once"]).await;
    let (same, said) = audit(&setup, &[]).await;
    assert!(same, "{said}");

    meddle(&elastic);
    let (same, said) = audit(&setup, &[]).await;
    assert!(!same, "{said}");
    for line in [
        "         1  missing: acknowledged and not there",
        "         1  older than what was acknowledged",
        "         1  orphaned: there, and not by what is remembered here",
        "         1  orphaned: left under another mapping",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let (mended, said) = audit(&setup, &["--repair"]).await;
    assert!(mended && said.contains("         2  deleted"), "{said}");
    assert_eq!(has(&elastic, "ecs-9"), published(&misp));
    assert!(has(&elastic, "ecs-1.12").is_empty());
    let (same, said) = audit(&setup, &[]).await;
    assert!(same, "{said}");

    // In the running host.
    meddle(&elastic);
    let mut host = started(&mut setup.command(&["run"]));
    let minute = std::time::Duration::from_secs(60);
    let socket = setup.folder.path().join("state/control.sock");
    let repaired = async {
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            tokio::task::yield_now().await;
        }
        let (_, said) = audit(&setup, &["--repair"]).await;
        assert!(said.contains("         2  deleted"), "{said}");
        while has(&elastic, "ecs-9") != published(&misp) {
            tokio::task::yield_now().await;
        }
        let (same, said) = audit(&setup, &[]).await;
        assert!(same, "{said}");
    };
    tokio::time::timeout(minute, repaired).await.unwrap();
    common::signal(&host, "TERM");
    assert!(host.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_somebody_else_is_not_emptied() {
    let misp = demo().await;
    let elastic = FakeElastic::start().await;
    let mine = Setup::with_elastic(&misp, "", &elastic, "");
    runs(&mine, &["setup", "elasticsearch"]).await;
    runs(&mine, &["run", "--once"]).await;
    // Another state knows nothing of it.
    let other = Setup::with_elastic(&misp, "", &elastic, "");
    let (_, said) = audit(&other, &["--repair"]).await;
    assert!(said.contains("HELD BACK"), "{said}");
    assert_eq!(has(&elastic, "ecs-9"), published(&misp));
    let wrong = output(other.command(&["audit", "--output", "sime"])).await;
    assert!(
        text(&wrong.stderr).contains("siem"),
        "{}",
        text(&wrong.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_is_lost_is_a_duplicate_in_the_account() {
    let misp = demo().await;
    let elastic = FakeElastic::start().await;
    let setup = Setup::with_elastic(&misp, "", &elastic, ", mode: append, retry_wait: 10ms");
    runs(&setup, &["setup", "elasticsearch"]).await;
    // The first is written and nobody hears of it; of the second nothing is written.
    elastic.next(ElasticFault::Lost(0));
    elastic.next(ElasticFault::Cut);
    let said = runs(&setup, &["run", "--once"]).await;
    let bulks = elastic.bulks();
    assert_eq!(bulks[0].ids(), bulks[1].ids());
    assert_eq!(bulks[0].ids(), bulks[2].ids());
    let twice = bulks[0].ids().len();
    assert!(said.contains(&format!(", {twice} already there")), "{said}");
    let stream = "logs-ti_misp_ecs.threat-default";
    let documents = elastic.with_store(|store| store.documents(stream));
    let attributes: Vec<&str> = documents
        .values()
        .filter_map(|document| document["misp"]["attribute"]["uuid"].as_str())
        .collect();
    assert_eq!(attributes.len(), published(&misp).len());
}
