//! The real binary into a real OpenSearch, which is killed in the middle, has a queue that is too
//! short, and an index that does not take everything.
//!
//! An ordinary test run has 3,000 attributes; `MISP_ECS_ATTRIBUTES=33000` asks for more.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;

use common::{Setup, balances, output, runs, text};
use misp_ecs_tests::FakeMisp;
use misp_ecs_tests::events::{attr, event, hex};
use misp_ecs_tests::services::{OpenSearch, OpenSearchNode};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::Notify;

const ALIAS: &str = "logs-ti_misp_ecs.latest";
const IN_AN_EVENT: u64 = 250;

/// One thread and room for one more: whoever sends more at once is told 429.
const SHORT_QUEUE: [&str; 2] = ["thread_pool.write.size=1", "thread_pool.write.queue_size=1"];

fn attributes() -> u64 {
    let asked = std::env::var("MISP_ECS_ATTRIBUTES");
    asked.map_or(3_000, |number| number.parse().unwrap())
}

/// The made-up events and many more.
async fn misp() -> FakeMisp {
    let misp = FakeMisp::start().await;
    misp.add_demo_events();
    for nth in 0..attributes().div_ceil(IN_AN_EVENT) {
        let seed = 1_000 + nth;
        let named = event(seed, "Many of them").tag("tlp:green");
        let filled = (0..IN_AN_EVENT).fold(named, |event, part| {
            let unique = hex(seed * IN_AN_EVENT + part, 64);
            event.attribute(match part % 4 {
                0 => attr("ip-dst", &format!("192.0.2.{part}")),
                1 => attr("domain", &format!("{}.example.org", &unique[..20])),
                2 => attr("url", &format!("https://example.net/{unique}")),
                _ => attr("sha256", &unique),
            })
        });
        misp.add(filled.build());
        misp.with_store(|store| {
            let uuid = store.events().last().unwrap()["uuid"]
                .as_str()
                .unwrap()
                .to_owned();
            store.publish(&uuid);
        });
    }
    misp
}

fn setup(misp: &FakeMisp, node: &OpenSearchNode, namespace: &str) -> Setup {
    let setup = Setup::new(misp, ", interval: 1s");
    setup.set("outputs", &outputs(node, namespace, ""));
    setup
}

fn outputs(node: &OpenSearchNode, namespace: &str, more: &str) -> String {
    format!(
        "{{siem: {{type: elasticsearch, urls: ['{}'], proxy: none, namespace: {namespace}, \
         max_bulk_count: 50, in_flight: 6, retry_wait: 50ms{more}}}}}",
        node.url()
    )
}

/// What a fresh walk into a file makes of the same MISP, by id.
async fn expected(misp: &FakeMisp) -> BTreeMap<String, Value> {
    let reference = Setup::with_deletes(misp, "");
    runs(&reference, &["run", "--once"]).await;
    let lines = std::fs::read_to_string(reference.folder.path().join("out.ndjson")).unwrap();
    let mut found = BTreeMap::new();
    for line in lines.lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        if document["misp_ecs"]["operation"] == "put" {
            let id = document["misp_ecs"]["id"].as_str().unwrap().to_owned();
            found.insert(id, comparable(document));
        }
    }
    found
}

/// Without what belongs to the host or the output, and without the event's own clocks and counters,
/// for which nothing is sent again.
fn comparable(mut document: Value) -> Value {
    for field in ["agent", "data_stream", "misp_ecs"] {
        document.as_object_mut().unwrap().remove(field);
    }
    let clocks = [
        "attribute_count",
        "publish_timestamp",
        "published",
        "timestamp",
    ];
    for field in clocks {
        document["misp"]["event"]
            .as_object_mut()
            .unwrap()
            .remove(field);
    }
    document
}

async fn held(node: &OpenSearchNode, namespace: &str) -> BTreeMap<String, Value> {
    let all = json!({"match_all": {}});
    let alias = format!("{ALIAS}-{namespace}");
    let found = node.documents(&alias, &all).await.unwrap().into_iter();
    found
        .map(|(id, document)| (id, comparable(document)))
        .collect()
}

fn same(held: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>) {
    let missing = expected.keys().filter(|id| !held.contains_key(*id)).count();
    let orphans = held.keys().filter(|id| !expected.contains_key(*id)).count();
    assert_eq!((missing, orphans), (0, 0), "missing, orphans");
    for (id, document) in expected {
        assert_eq!(&held[id], document, "{id}");
    }
}

/// A service that loses its node in the middle of its first walk, and gets it back.
async fn through_a_restart(setup: &Setup, misp: &FakeMisp, node: &mut OpenSearchNode) {
    let third = Arc::new(Notify::new());
    let noticed = Arc::clone(&third);
    misp.before_search(2, move |_| noticed.notify_one());
    let mut child = tokio::process::Command::from(setup.command(&["run"]))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    third.notified().await;
    node.kill().unwrap();
    let mut said = Vec::new();
    let mut down = true;
    loop {
        let line = lines.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("it ended: {said:#?}"));
        if down && line.contains("failed, retrying until it works") && line.contains("output siem")
        {
            node.resume().unwrap();
            down = false;
        }
        if line.contains("walk finished") {
            assert!(!down, "the node was never missed: {said:#?}");
            break;
        }
        said.push(line);
    }
    let read_on = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let pid = child.id().unwrap();
    signal(pid, "TERM");
    assert!(child.wait().await.unwrap().success());
    read_on.await.unwrap();
}

fn edit(misp: &FakeMisp) {
    misp.with_store(|store| {
        store.advance(60);
        let events: Vec<Value> = store.events().to_vec();
        let large = |event: &&Value| {
            event["Attribute"]
                .as_array()
                .is_some_and(|all| all.len() > 2)
        };
        let published = events.iter().filter(|event| event["published"] == true);
        for (nth, event) in published.filter(large).enumerate() {
            let uuid = event["uuid"].as_str().unwrap();
            let attribute = |place: usize| event["Attribute"][place]["uuid"].as_str().unwrap_or("");
            match nth % 4 {
                0 => store.edit_attribute(uuid, attribute(0), |found| {
                    found["comment"] = "edited".into()
                }),
                1 => store.soft_delete(uuid, attribute(1)),
                2 => store.hard_delete(uuid, attribute(2)),
                _ => store.tag(uuid, "tlp:amber"),
            }
            store.publish(uuid);
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_opensearch_ends_with_what_misp_has() {
    let Some(java) = OpenSearch::Two.java() else {
        return;
    };
    let misp = misp().await;
    let home = tempfile::tempdir().unwrap();
    let mut node =
        OpenSearchNode::start(OpenSearch::Two, &java, home.path(), &SHORT_QUEUE).unwrap();

    let main = setup(&misp, &node, "main");
    runs(&main, &["setup", "elasticsearch"]).await;
    through_a_restart(&main, &misp, &mut node).await;
    let all = expected(&misp).await;
    assert!(all.len() as u64 > attributes());
    same(&held(&node, "main").await, &all);

    edit(&misp);
    runs(&main, &["run", "--once"]).await;
    let edited = expected(&misp).await;
    assert_ne!(edited, all);
    same(&held(&node, "main").await, &edited);
    let stats = node
        .ask(Method::GET, "_nodes/stats/thread_pool", None)
        .await
        .unwrap();
    let nodes = stats["nodes"].as_object().unwrap();
    let told = nodes
        .values()
        .map(|node| node["thread_pool"]["write"]["rejected"].as_u64());
    assert!(
        told.flatten().sum::<u64>() > 0,
        "the queue was never full: {stats:#}"
    );
    let said = runs(&main, &["run", "--once"]).await;
    balances(&said);
    assert!(said.contains("written   0 to siem"), "{said}");

    what_somebody_did_to_the_index(&main, &node, &edited).await;
    an_index_that_was_deleted(&main, &node, &edited).await;
    what_an_index_does_not_take(&misp, &node, &edited).await;
}

/// The whole index is deleted.
async fn an_index_that_was_deleted(
    main: &Setup,
    node: &OpenSearchNode,
    expected: &BTreeMap<String, Value>,
) {
    let index = format!("{ALIAS}-main-ecs-9-000001");
    let deleted = node.ask(Method::DELETE, &index, None).await.unwrap();
    assert_eq!(deleted["acknowledged"], true, "{deleted:#}");
    let said = runs(main, &["run", "--once"]).await;
    assert!(said.contains("REFILLED  siem"), "{said}");
    same(&held(node, "main").await, expected);
}

/// A document is deleted behind the host's back, another one appears.
async fn what_somebody_did_to_the_index(
    main: &Setup,
    node: &OpenSearchNode,
    expected: &BTreeMap<String, Value>,
) {
    let index = format!("{ALIAS}-main-ecs-9-000001");
    let (gone, document) = expected.iter().next().unwrap();
    let path = format!("{index}/_doc/{gone}");
    let deleted = node.ask(Method::DELETE, &path, None).await.unwrap();
    assert_eq!(deleted["result"], "deleted", "{deleted:#}");
    // Somebody updates a document, which has a newer version then.
    let altered = expected.keys().nth(1).unwrap();
    let path = format!("{index}/_update/{altered}");
    let update = json!({"doc": {"message": "altered"}});
    let updated = node.ask(Method::POST, &path, Some(&update)).await.unwrap();
    assert_eq!(updated["result"], "updated", "{updated:#}");
    let path = format!("{index}/_doc/foreign");
    let made = node.ask(Method::PUT, &path, Some(document)).await.unwrap();
    assert_eq!(made["result"], "created", "{made:#}");
    let audit = output(main.command(&["audit", "--output", "siem"])).await;
    let said = text(&audit.stdout);
    assert_eq!(audit.status.code(), Some(1), "{said}");
    assert!(said.contains("         1  missing: acknowledged"), "{said}");
    assert!(said.contains("         1  altered: there"), "{said}");
    assert!(
        said.contains("         1  orphaned: there, and not"),
        "{said}"
    );
    runs(main, &["audit", "--output", "siem", "--repair"]).await;
    same(&held(node, "main").await, expected);
    runs(main, &["audit", "--output", "siem"]).await;
}

/// An index that somebody made by hand, in which an address is a number.
async fn what_an_index_does_not_take(
    misp: &FakeMisp,
    node: &OpenSearchNode,
    expected: &BTreeMap<String, Value>,
) {
    let conflict = setup(misp, node, "conflict");
    runs(&conflict, &["setup", "elasticsearch"]).await;
    let number = json!({"type": "long", "ignore_malformed": false});
    let fields = json!({"threat": {"properties": {"indicator": {"properties": {"ip": number}}}}});
    let alias = format!("{ALIAS}-conflict-ecs-9");
    let index = format!("{alias}-000001");
    node.ask(Method::DELETE, &index, None).await.unwrap();
    let made = json!({"mappings": {"properties": fields}, "aliases": {alias: {}}});
    let made = node.ask(Method::PUT, &index, Some(&made)).await.unwrap();
    assert_eq!(made["acknowledged"], true, "{made:#}");
    let refused = output(conflict.command(&["run", "--once"])).await;
    let said = text(&refused.stderr);
    assert!(!refused.status.success());
    assert!(
        said.contains("`misp-ecs setup elasticsearch --recreate`"),
        "{said}"
    );
    // Who makes the index says so.
    conflict.set(
        "outputs",
        &outputs(node, "conflict", ", require_templates: false"),
    );
    // On a slow machine a queue of one can be full for longer than a run tries.
    let mut said = String::new();
    for _ in 0..10 {
        let ran = output(conflict.command(&["run", "--once"])).await;
        said = text(&ran.stdout) + &text(&ran.stderr);
        if ran.status.success() {
            break;
        }
    }
    balances(&said);
    let (refused, taken): (Vec<_>, Vec<_>) = expected
        .iter()
        .partition(|(_, document)| !document["threat"]["indicator"]["ip"].is_null());
    let held = held(node, "conflict").await;
    assert_eq!(
        held.keys().collect::<Vec<_>>(),
        taken.iter().map(|(id, _)| *id).collect::<Vec<_>>()
    );
    let letters = conflict.folder.path().join("state/dead-letters.ndjson");
    let letters = std::fs::read_to_string(letters).unwrap();
    let ids: BTreeSet<String> = letters
        .lines()
        .map(|letter| serde_json::from_str::<Value>(letter).unwrap())
        .map(|letter| format!("{} {}", letter["event"], letter["attribute"]))
        .collect();
    assert_eq!(ids.len(), refused.len(), "{said}");
    assert!(
        letters.contains("threat.indicator.ip"),
        "the reason names the field"
    );
}

fn signal(process: u32, name: &str) {
    let process = process.to_string();
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &process])
        .status();
    assert!(sent.unwrap().success());
}
