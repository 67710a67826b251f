//! The output elasticsearch against a real OpenSearch: see tests/services/README.md.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use misp_ecs_tests::services::{OpenSearch, OpenSearchNode};
use outputs::{ElasticMode, ElasticsearchOptions, ElasticsearchOutput, SetupAct, SetupMode};
use pipeline::{Class, Classify, Delivery, Document, MappingIdentity, Operation, Output, Verdict};
use reqwest::Method;
use serde_json::{Value, json};

const CATALOGUES: [(&str, &str); 2] = [
    (
        "ecs-9",
        include_str!("../../../../crates/mapping-ecs-9/generated/component-template.json"),
    ),
    (
        "ecs-1.12",
        include_str!("../../../../crates/mapping-ecs-1-12/generated/component-template.json"),
    ),
];
const REAL: SetupMode = SetupMode {
    dry_run: false,
    recreate: false,
};
const DRY: SetupMode = SetupMode {
    dry_run: true,
    recreate: false,
};
const RECREATE: SetupMode = SetupMode {
    dry_run: false,
    recreate: true,
};
const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// The node refuses larger bodies.
const LARGEST_BODY: usize = 256 << 10;

/// What the tests ask the node.
struct Node(OpenSearchNode);

impl Node {
    fn url(&self) -> &str {
        self.0.url()
    }

    /// The answer as JSON, whatever its status.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        self.0.ask(method, path, body).await.unwrap()
    }

    /// The ids that a query finds over a pattern, sorted.
    async fn found(&self, pattern: &str, query: &Value) -> Vec<String> {
        let found = self.0.documents(pattern, query).await.unwrap();
        found.into_keys().collect()
    }
}

fn identity(name: &str) -> Arc<MappingIdentity> {
    Arc::new(MappingIdentity {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        digest: "0".repeat(64),
        settings: String::new(),
    })
}

fn delivery(id: &str, version: u64, operation: Operation, body: &Value) -> Delivery {
    Delivery {
        event: Arc::from("11111111-2222-4333-8444-555555555555"),
        version,
        mapping: identity("ecs-9"),
        before: Vec::new(),
        revision: 1,
        document: Document {
            id: id.to_owned(),
            attribute: None,
            attribute_timestamp: None,
            operation,
            dataset: None,
            timestamp_ms: 0,
            modified_ms: 0,
            expires_ms: None,
            facts: Arc::default(),
            fingerprint: 0xab,
            body: body.to_string().into(),
            notes: Vec::new(),
        },
    }
}

/// A document as the mappings make them, of some days ago.
fn document(days: i64, indicator: &Value) -> Value {
    json!({
        "@timestamp": pipeline::now_ms() - days * DAY_MS,
        "data_stream": {"type": "logs", "dataset": "ti_misp_ecs.threat", "namespace": "default"},
        "event": {"module": "ti_misp_ecs", "dataset": "ti_misp_ecs.threat", "kind": "enrichment"},
        "threat": {"indicator": indicator},
    })
}

fn put(id: &str, version: u64, tag: &str) -> Delivery {
    let mut body = document(0, &json!({"type": "domain-name"}));
    body["tags"] = json!([tag]);
    delivery(id, version, Operation::Put, &body)
}

fn delete(id: &str, version: u64) -> Delivery {
    delivery(id, version, Operation::Delete, &json!({}))
}

fn output(node: &Node, namespace: &str, mode: ElasticMode) -> ElasticsearchOutput {
    let options = ElasticsearchOptions {
        namespace: namespace.to_owned(),
        mode,
        ..ElasticsearchOptions::new([node.url()])
    };
    ElasticsearchOutput::with_environment("out", &options, |_| None)
}

async fn write(output: &ElasticsearchOutput, batch: &[Delivery]) -> Vec<Verdict> {
    output.write(batch).await.unwrap()
}

/// An output whose templates are there, put twice.
async fn ready(node: &Node, namespace: &str, mode: ElasticMode) -> ElasticsearchOutput {
    let output = output(node, namespace, mode);
    let error = output.check().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(error.to_string().contains("misp-ecs setup"), "{error}");
    let catalogues = match mode {
        ElasticMode::Latest => &CATALOGUES[..],
        ElasticMode::Append => &CATALOGUES[..1],
    };
    for (_, catalogue) in catalogues {
        let catalogue: Value = serde_json::from_str(catalogue).unwrap();
        let dry = output.setup(&catalogue, DRY).await.unwrap();
        let first = output.setup(&catalogue, REAL).await.unwrap();
        assert_eq!(first.product, "OpenSearch");
        assert_eq!(dry.steps, first.steps);
        assert_eq!(first.steps[1].act, SetupAct::Create);
        let second = output.setup(&catalogue, REAL).await.unwrap();
        let kept = second.steps.iter().all(|step| step.act == SetupAct::Keep);
        assert!(kept, "{second}");
    }
    output.check().await.unwrap();
    output
}

#[tokio::test]
async fn opensearch_2_takes_what_the_output_sends() {
    takes_what_the_output_sends(OpenSearch::Two).await;
}

#[tokio::test]
async fn opensearch_3_takes_what_the_output_sends() {
    takes_what_the_output_sends(OpenSearch::Three).await;
}

async fn takes_what_the_output_sends(generation: OpenSearch) {
    let Some(java) = generation.java() else {
        return;
    };
    let limit = format!("http.max_content_length={LARGEST_BODY}b");
    let home = tempfile::tempdir().unwrap();
    let node = OpenSearchNode::start(generation, &java, home.path(), &[&limit]);
    let node = Node(node.unwrap());
    latest_keeps_the_newest(&node).await;
    another_mapping_has_another_index(&node).await;
    what_the_fields_do_not_take_is_refused(&node).await;
    what_is_too_large_is_halved(&node).await;
    append_keeps_every_change(&node).await;
    an_index_that_is_gone_is_another_one(&node).await;
    a_foreign_index_is_not_written(&node).await;
    urls_can_be_aggregated(&node).await;
    a_foreign_template_stays(&node).await;
    the_indicator_rules_find_what_they_should(&node).await;
}

async fn latest_keeps_the_newest(node: &Node) {
    let output = ready(node, "newest", ElasticMode::Latest).await;
    let alias = "logs-ti_misp_ecs.latest-newest";
    assert_eq!(
        write(&output, &[put("a", 5, "five")]).await,
        [Verdict::Stored]
    );
    assert_eq!(
        write(&output, &[put("a", 6, "six")]).await,
        [Verdict::Stored]
    );
    assert_eq!(
        write(&output, &[put("a", 6, "six")]).await,
        [Verdict::Stored]
    );
    assert_eq!(
        write(&output, &[put("a", 5, "five")]).await,
        [Verdict::Stale]
    );
    assert_eq!(write(&output, &[delete("a", 5)]).await, [Verdict::Stale]);
    let six = json!({"term": {"tags": "six"}});
    assert_eq!(node.found(alias, &six).await, ["a"]);
    let path = format!("{alias}-ecs-9/_doc/a");
    let found = node.ask(Method::GET, &path, None).await;
    assert_eq!(found["_version"], 6);
    assert!(found["_source"].get("data_stream").is_none());
    let envelope = json!({"id": "a", "version": 6});
    assert_eq!(found["_source"]["misp_ecs"], envelope);
    let batch = [delete("a", 7), delete("never", 7)];
    assert_eq!(write(&output, &batch).await, vec![Verdict::Stored; 2]);
    assert_eq!(write(&output, &[delete("a", 7)]).await, [Verdict::Stored]);
    assert_eq!(
        write(&output, &[put("a", 6, "six")]).await,
        [Verdict::Stale]
    );
    assert!(
        node.found(alias, &json!({"match_all": {}}))
            .await
            .is_empty()
    );
    let settings = node
        .ask(Method::GET, &format!("{alias}/_settings"), None)
        .await;
    let index = &settings[format!("{alias}-ecs-9-000001")]["settings"]["index"];
    assert_eq!(index["gc_deletes"], "2h");
    assert_eq!(index["codec"], "best_compression");
}

async fn another_mapping_has_another_index(node: &Node) {
    let output = ready(node, "swap", ElasticMode::Latest).await;
    let alias = "logs-ti_misp_ecs.latest-swap";
    write(&output, &[put("a", 5, "x"), put("b", 5, "x")]).await;
    let mut moved = put("a", 6, "x");
    moved.mapping = identity("ecs-1.12");
    moved.before = vec![identity("ecs-9")];
    assert_eq!(write(&output, &[moved.clone()]).await, [Verdict::Stored]);
    assert_eq!(write(&output, &[moved]).await, [Verdict::Stored]);
    let all = json!({"match_all": {}});
    assert_eq!(node.found(&format!("{alias}-ecs-9"), &all).await, ["b"]);
    assert_eq!(node.found(&format!("{alias}-ecs-1.12"), &all).await, ["a"]);
    assert_eq!(node.found(alias, &all).await, ["a", "b"]);
}

async fn what_the_fields_do_not_take_is_refused(node: &Node) {
    let output = ready(node, "refused", ElasticMode::Latest).await;
    let mut odd = put("b", 5, "x");
    let body = json!({"@timestamp": 1, "event": "no object"});
    odd.document.body = body.to_string().into();
    let mut broken = put("c", 5, "x");
    broken.document.body = "{broken}".into();
    let long = "i".repeat(600);
    let batch = [
        put("a", 5, "x"),
        odd,
        broken,
        put(&long, 5, "x"),
        put("d", 5, "x"),
    ];
    let verdicts = write(&output, &batch).await;
    assert_eq!(
        (&verdicts[0], &verdicts[4]),
        (&Verdict::Stored, &Verdict::Stored)
    );
    for (verdict, text) in verdicts[1..4]
        .iter()
        .zip(["[event]", "400", "Validation Failed"])
    {
        let Verdict::Rejected { text: said } = verdict else {
            panic!("{verdicts:?}");
        };
        assert!(said.contains(text), "{said}");
    }
}

async fn what_is_too_large_is_halved(node: &Node) {
    let output = ready(node, "large", ElasticMode::Latest).await;
    let batch: Vec<Delivery> = [10, 100 << 10, 100 << 10, 100 << 10, 300 << 10, 10]
        .iter()
        .enumerate()
        .map(|(id, size)| {
            let mut text = String::new();
            while text.len() < *size {
                text.push_str(&format!("{:x}", u64::MAX / (text.len() as u64 + 3)));
            }
            put(&id.to_string(), 5, &text)
        })
        .collect();
    for gzip in [true, false] {
        let mut options = ElasticsearchOptions::new([node.url()]);
        options.namespace = "large".to_owned();
        options.gzip = gzip;
        let plain = ElasticsearchOutput::with_environment("out", &options, |_| None);
        let verdicts = write(&plain, &batch).await;
        for (id, verdict) in verdicts.iter().enumerate() {
            match verdict {
                Verdict::Stored => assert!(gzip || id != 4),
                Verdict::Rejected { text } => {
                    assert_eq!(id, 4, "{text}");
                    assert!(text.starts_with("413"), "{text}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    // The index is there now: its fields can be put again, and more of them.
    let mut catalogue: Value = serde_json::from_str(CATALOGUES[0].1).unwrap();
    catalogue["template"]["mappings"]["properties"]["made_up"] = json!({"type": "keyword"});
    let report = output.setup(&catalogue, REAL).await.unwrap();
    let acts: Vec<SetupAct> = report.steps.iter().map(|step| step.act).collect();
    let expected = [SetupAct::Replace, SetupAct::Keep, SetupAct::Replace];
    assert_eq!(acts, expected, "{report}");
    let index = "logs-ti_misp_ecs.latest-large-ecs-9-000001";
    let path = format!("{index}/_mapping");
    let fields = node.ask(Method::GET, &path, None).await;
    let made_up = &fields[index]["mappings"]["properties"]["made_up"];
    assert_eq!(*made_up, json!({"type": "keyword"}));
}

async fn append_keeps_every_change(node: &Node) {
    let output = ready(node, "changes", ElasticMode::Append).await;
    let revised = |mut delivery: Delivery, revision| {
        delivery.revision = revision;
        delivery
    };
    let batch = [
        put("a", 5, "x"),
        revised(put("a", 6, "y"), 2),
        revised(delete("a", 7), 3),
    ];
    assert_eq!(write(&output, &batch).await, vec![Verdict::Stored; 3]);
    assert_eq!(write(&output, &batch).await, vec![Verdict::Duplicate; 3]);
    let stream = "logs-ti_misp_ecs.threat-changes";
    let all = node.found(stream, &json!({"match_all": {}})).await;
    assert_eq!(
        all,
        ["a-1-00000000000000ab", "a-2-00000000000000ab", "a-3-delete"]
    );
    let newest = json!({"bool": {"filter": [
        {"term": {"misp_ecs.id": "a"}}, {"term": {"misp_ecs.version": 6}},
        {"term": {"misp_ecs.operation": "put"}},
    ]}});
    assert_eq!(node.found(stream, &newest).await, ["a-2-00000000000000ab"]);
    let tombstone = json!({"term": {"misp_ecs.operation": "delete"}});
    assert_eq!(node.found(stream, &tombstone).await, ["a-3-delete"]);
    let streams = node
        .ask(Method::GET, &format!("_data_stream/{stream}"), None)
        .await;
    assert_eq!(streams["data_streams"][0]["name"], stream);
}

async fn indices(node: &Node, name: &str) -> Vec<String> {
    let path = format!("_cluster/state/metadata/{name}*?filter_path=metadata.indices.*.state");
    let state = node.ask(Method::GET, &path, None).await;
    let indices = state["metadata"]["indices"].as_object();
    indices
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

async fn an_index_that_is_gone_is_another_one(node: &Node) {
    for (namespace, mode) in [("gone", ElasticMode::Latest), ("lost", ElasticMode::Append)] {
        let output = ready(node, namespace, mode).await;
        let first = output.prepare("ecs-9").await.unwrap().unwrap();
        assert_eq!(write(&output, &[put("a", 5, "x")]).await, [Verdict::Stored]);
        assert_eq!(output.prepare("ecs-9").await.unwrap(), Some(first.clone()));
        let path = match mode {
            ElasticMode::Latest => format!("logs-ti_misp_ecs.latest-{namespace}-ecs-9-000001"),
            ElasticMode::Append => format!("_data_stream/logs-ti_misp_ecs.threat-{namespace}"),
        };
        let gone = node.ask(Method::DELETE, &path, None).await;
        assert_eq!(gone["acknowledged"], true, "{gone:#}");
        let second = output.prepare("ecs-9").await.unwrap().unwrap();
        assert_eq!(second.cluster, first.cluster);
        assert_ne!(second.index, first.index);
        output.check().await.unwrap();
        if mode == ElasticMode::Latest {
            // Without the template as well: nothing may make the index.
            let alias = format!("logs-ti_misp_ecs.latest-{namespace}-ecs-9");
            let template = format!("_index_template/{alias}");
            node.ask(Method::DELETE, &path, None).await;
            node.ask(Method::DELETE, &template, None).await;
            let error = output.write(&[put("b", 6, "x")]).await.unwrap_err();
            assert!(error.to_string().contains("misp-ecs setup"), "{error}");
            assert_eq!(write(&output, &[delete("a", 7)]).await, [Verdict::Stored]);
            assert_eq!(indices(node, &alias).await, Vec::<String>::new());
        }
    }
}

async fn a_foreign_index_is_not_written(node: &Node) {
    let output = ready(node, "made", ElasticMode::Latest).await;
    let alias = "logs-ti_misp_ecs.latest-made-ecs-9";
    let index = format!("{alias}-000001");
    let catalogue: Value = serde_json::from_str(CATALOGUES[0].1).unwrap();
    let templates = format!("_index_template/{alias}");
    // The index under the alias's own name, and one in its place, both without the template.
    for (name, aliases) in [
        (alias, json!({})),
        (
            &index,
            json!({alias: {}, "logs-ti_misp_ecs.latest-made": {}}),
        ),
    ] {
        node.ask(Method::DELETE, &index, None).await;
        node.ask(Method::DELETE, &templates, None).await;
        let body = json!({"aliases": aliases, "mappings": {"properties": {
            "threat": {"properties": {"indicator": {"properties": {"ip": {"type": "text"}}}}}}}});
        let made = node.ask(Method::PUT, name, Some(&body)).await;
        assert_eq!(made["acknowledged"], true, "{made:#}");
        let error = output.setup(&catalogue, REAL).await.unwrap_err();
        assert!(error.to_string().contains("--recreate"), "{error}");
        let report = output.setup(&catalogue, RECREATE).await.unwrap();
        assert!(
            report.to_string().contains(&format!("deleted {name}")),
            "{report}"
        );
        output.check().await.unwrap();
        assert_eq!(write(&output, &[put("a", 5, "x")]).await, [Verdict::Stored]);
    }
    // An index that lacks its aliases gets them.
    let remove = json!({"actions": [{"remove": {"index": index, "alias": "*"}}]});
    node.ask(Method::POST, "_aliases", Some(&remove)).await;
    let error = output.check().await.unwrap_err();
    assert!(error.to_string().contains("lacks the alias"), "{error}");
    output.setup(&catalogue, REAL).await.unwrap();
    output.check().await.unwrap();
}

async fn urls_can_be_aggregated(node: &Node) {
    let output = ready(node, "urls", ElasticMode::Latest).await;
    let url = json!({"type": "url", "url": {"full": "https://example.net/a"}});
    let mut batch = [delivery("u", 5, Operation::Put, &document(0, &url))];
    batch[0].mapping = identity("ecs-9");
    assert_eq!(write(&output, &batch).await, [Verdict::Stored]);
    let alias = "logs-ti_misp_ecs.latest-urls";
    assert_eq!(node.found(alias, &json!({"match_all": {}})).await, ["u"]);
    // Without the hint OpenSearch 2.19 counts nothing in a segment of which the query matches
    // every document: it counts terms of the index, which are parts of the value here.
    let field = "threat.indicator.url.full";
    let terms = json!({"size": 0, "aggs": {"urls": {"terms":
        {"field": field, "execution_hint": "map"}}}});
    let path = format!("{alias}/_search");
    let answer = node.ask(Method::POST, &path, Some(&terms)).await;
    let bucket = &answer["aggregations"]["urls"]["buckets"][0];
    assert_eq!(bucket["key"], "https://example.net/a", "{answer:#}");
    let sorted = json!({"sort": [{field: "asc"}]});
    let answer = node.ask(Method::POST, &path, Some(&sorted)).await;
    let sort = &answer["hits"]["hits"][0]["sort"];
    assert_eq!(*sort, json!(["https://example.net/a"]), "{answer:#}");
}

async fn a_foreign_template_stays(node: &Node) {
    let name = "logs-ti_misp_ecs.latest-foreign-ecs-9";
    let foreign = json!({"index_patterns": [name], "priority": 1});
    let path = format!("_index_template/{name}");
    node.ask(Method::PUT, &path, Some(&foreign)).await;
    let catalogue: Value = serde_json::from_str(CATALOGUES[0].1).unwrap();
    let output = output(node, "foreign", ElasticMode::Latest);
    let error = output.setup(&catalogue, REAL).await.unwrap_err();
    assert!(error.to_string().contains("did not make"), "{error}");
    let held = node.ask(Method::GET, &path, None).await;
    assert_eq!(held["index_templates"][0]["index_template"]["priority"], 1);
}

/// The query of Elastic's prebuilt rules "Threat Intel IP Address Indicator Match", as Kibana
/// writes `@timestamp >= "now-30d/d" and event.module:(threatintel or ti_*) and
/// threat.indicator.ip:*` for the server.
async fn the_indicator_rules_find_what_they_should(node: &Node) {
    let latest = ready(node, "rules", ElasticMode::Latest).await;
    let append = ready(node, "rules", ElasticMode::Append).await;
    let ip = json!({"type": "ipv4-addr", "ip": ["192.0.2.7"]});
    let of = |id: &str, days, indicator: &Value| {
        delivery(id, 5, Operation::Put, &document(days, indicator))
    };
    let batch = [
        of("fresh", 0, &ip),
        of("of-29-days", 29, &ip),
        of("of-40-days", 40, &ip),
        of("gone", 0, &ip),
        of("no-ip", 0, &json!({"type": "domain-name"})),
        of(
            "odd-ip",
            0,
            &json!({"type": "ipv4-addr", "ip": ["no address"]}),
        ),
    ];
    assert_eq!(write(&latest, &batch).await, vec![Verdict::Stored; 6]);
    let mut moved = of("moved", 0, &ip);
    write(&latest, &[moved.clone()]).await;
    moved.version = 6;
    moved.before = vec![identity("ecs-9")];
    moved.mapping = identity("ecs-1.12");
    write(&latest, &[moved, delete("gone", 6)]).await;
    write(&append, &[of("change", 0, &ip), delete("change", 6)]).await;
    let rule = json!({"bool": {"filter": [
        {"range": {"@timestamp": {"gte": "now-30d/d"}}},
        {"bool": {"minimum_should_match": 1, "should": [
            {"match": {"event.module": "threatintel"}},
            {"query_string": {"fields": ["event.module"], "query": "ti_*"}},
        ]}},
        {"exists": {"field": "threat.indicator.ip"}},
    ]}});
    assert_eq!(
        node.found("logs-ti_*", &rule).await,
        ["change-1-00000000000000ab", "fresh", "moved", "of-29-days"]
    );
    let advice = latest.advice().await.unwrap();
    assert!(advice[0].starts_with("1 of "), "{advice:?}");
}
