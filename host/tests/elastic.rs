//! Documents in an Elasticsearch by the real binary: set up, kept as MISP has them, moved by a swap.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Setup, demo, output, published, started, text};
use misp_ecs_tests::fake_elastic::{self, ELASTIC_KEY, ElasticFault, FakeElastic};
use serde_json::Value;

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
    // Without its templates the other mapping would stop the flow.
    let refused = output(setup.command(&["mapping", "use", "ecs-1.12"])).await;
    let command = ["setup", "elasticsearch", "--mapping", "ecs-1.12"];
    let said = text(&refused.stderr);
    assert!(!refused.status.success());
    assert!(
        said.contains(&format!("`misp-ecs {}`", command.join(" "))),
        "{said}"
    );
    let made = runs(&setup, &command).await;
    assert!(
        made.contains("created") && made.contains("ecs-1.12"),
        "{made}"
    );
    runs(&setup, &["mapping", "use", "ecs-1.12"]).await;
    let said = runs(&setup, &["reprocess"]).await;
    // Nothing is lost, and nothing says so.
    assert!(said.contains("of the former mapping deleted"), "{said}");
    assert!(
        !said.contains("no longer there") && !said.contains("withdrawn"),
        "{said}"
    );
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
        let ours = format!("{ALIAS}-ecs-9-000001");
        let index = store.indices.get_mut(&ours).unwrap();
        let ids: Vec<String> = index.entries.keys().cloned().collect();
        index.entries.remove(&ids[0]);
        index.entries.get_mut(&ids[1]).unwrap().version = 1;
        let copy = index.entries[&ids[2]].clone();
        index.entries.insert("foreign".to_owned(), copy.clone());
        let other = format!("{ALIAS}-ecs-1.12-000001");
        let other = store.indices.get_mut(&other).unwrap();
        other.entries = [(ids[2].clone(), copy)].into();
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
async fn a_document_that_was_altered_is_found_and_written_again() {
    let misp = demo().await;
    let elastic = FakeElastic::start().await;
    let setup = Setup::with_elastic(&misp, "", &elastic, "");
    runs(&setup, &["setup", "elasticsearch"]).await;
    runs(&setup, &["run", "--once"]).await;
    let (same, said) = audit(&setup, &[]).await;
    assert!(same, "{said}");
    let index = format!("{ALIAS}-ecs-9-000001");
    let before = elastic.with_store(|store| store.documents(&index));
    let ids: Vec<String> = elastic.with_store(|store| {
        let entries = &mut store.indices.get_mut(&index).unwrap().entries;
        let altered = entries.iter_mut().take(2).enumerate();
        altered
            .map(|(at, (id, entry))| {
                entry.source.as_mut().unwrap()["message"] = "altered".into();
                // An update counts the version up; a write with the same version does not.
                entry.version += at as u64;
                id.clone()
            })
            .collect()
    });
    let (same, said) = audit(&setup, &[]).await;
    assert!(!same && said.contains("         2  altered"), "{said}");
    assert!(ids.iter().all(|id| said.contains(id)), "{said}");
    runs(&setup, &["run", "--once"]).await;
    let (same, _) = audit(&setup, &[]).await;
    assert!(!same, "a poll alone changes nothing");
    let (same, said) = audit(&setup, &["--repair"]).await;
    assert!(same, "{said}");
    let after = elastic.with_store(|store| store.documents(&index));
    assert_eq!(without_envelope(after), without_envelope(before));
    let (same, said) = audit(&setup, &[]).await;
    assert!(same, "{said}");
}

/// Documents without what differs with each write.
fn without_envelope(documents: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut documents = documents;
    for document in documents.values_mut() {
        for field in ["misp_ecs", "agent"] {
            document.as_object_mut().unwrap().remove(field);
        }
        for field in ["created", "ingested"] {
            document["event"].as_object_mut().unwrap().remove(field);
        }
    }
    documents
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

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_deleted_is_filled_again() {
    let misp = demo().await;
    let elastic = FakeElastic::start().await;
    elastic.habits(|habits| habits.open_search = true);
    let setup = Setup::with_elastic(&misp, "", &elastic, "");
    runs(&setup, &["setup", "elasticsearch"]).await;
    let said = runs(&setup, &["run", "--once"]).await;
    assert!(!said.contains("REFILLED"), "{said}");
    for words in [["run", "--once"].as_slice(), &["sweep"]] {
        elastic.with_store(|store| store.indices.clear());
        let said = runs(&setup, words).await;
        assert!(said.contains("REFILLED  siem"), "{said}");
        assert_eq!(has(&elastic, "ecs-9"), published(&misp));
    }
    let bulks = elastic.bulks().len();
    let said = runs(&setup, &["run", "--once"]).await;
    assert!(!said.contains("REFILLED"), "{said}");
    assert_eq!(elastic.bulks().len(), bulks, "it is filled once");

    // A new cluster at the same address, without templates: nothing is written by guesswork.
    elastic.with_store(|store| {
        store.cluster += 1;
        store.indices.clear();
        store.index_templates.clear();
        store.component_templates.clear();
    });
    let began = std::time::Instant::now();
    let refused = output(setup.command(&["run", "--once"])).await;
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(said.contains("`misp-ecs setup elasticsearch"), "{said}");
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    assert!(elastic.with_store(|store| store.indices.is_empty()));
    runs(&setup, &["setup", "elasticsearch"]).await;
    runs(&setup, &["run", "--once"]).await;
    assert_eq!(has(&elastic, "ecs-9"), published(&misp));
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_goes_on_past_an_output_that_cannot_be_reached() {
    let misp = demo().await;
    let elastic = FakeElastic::start().await;
    let gone = FakeElastic::start().await;
    let gone_url = gone.url();
    drop(gone);
    let setup = Setup::with_elastic(&misp, "", &elastic, "");
    let url = elastic.url();
    let more = "type: elasticsearch, api_key_file: elastic-key, proxy: none";
    let outputs =
        format!("{{away: {{{more}, urls: ['{gone_url}']}}, siem: {{{more}, urls: ['{url}']}}}}");
    setup.set("outputs", &outputs);
    let dry = runs(&setup, &["setup", "elasticsearch", "--dry-run"]).await;
    assert!(
        dry.contains("output away") && dry.contains("output siem"),
        "{dry}"
    );
    let ran = output(setup.command(&["setup", "elasticsearch"])).await;
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        text(&ran.stderr).contains("output away"),
        "{}",
        text(&ran.stderr)
    );
    assert!(
        text(&ran.stdout).contains("created"),
        "{}",
        text(&ran.stdout)
    );
    let again = runs(&setup, &["setup", "elasticsearch", "--output", "siem"]).await;
    assert!(
        again.contains("unchanged") && !again.contains("created"),
        "{again}"
    );
    let wrong = output(setup.command(&["setup", "elasticsearch", "--output", "seim"])).await;
    assert!(
        text(&wrong.stderr).contains("siem"),
        "{}",
        text(&wrong.stderr)
    );
}
