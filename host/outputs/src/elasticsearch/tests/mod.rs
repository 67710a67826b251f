//! The output against [`FakeElastic`].

mod append;
mod faults;
mod latest;
mod secrets;
mod setup;
mod target;
mod unsure;

use std::sync::Arc;

use misp_ecs_tests::{ELASTIC_KEY, FakeElastic};
use pipeline::{Delivery, Output, Verdict};
use serde_json::json;
use units::Duration;

use super::{ElasticMode, ElasticsearchOptions, ElasticsearchOutput};
use crate::contract::{self, Subject, fixtures};
use crate::lines::Common;

/// The alias through which documents of the fixtures' mapping are written.
const INDEX: &str = "logs-ti_misp_ecs.latest-default-ecs-1.12";
const OTHER: &str = "logs-ti_misp_ecs.latest-default-ecs-9";
const ALIAS: &str = "logs-ti_misp_ecs.latest-default";
/// The index behind it.
const FIRST: &str = "logs-ti_misp_ecs.latest-default-ecs-1.12-000001";
const STREAM: &str = "logs-ti_misp_ecs.threat-default";

fn options(elastic: &FakeElastic) -> ElasticsearchOptions {
    ElasticsearchOptions {
        retry_wait: Duration::from_millis(1),
        ..ElasticsearchOptions::new([elastic.url()])
    }
}

fn output(options: &ElasticsearchOptions) -> ElasticsearchOutput {
    ElasticsearchOutput::with_environment("out", options, |name| {
        (name == "MISP_ECS_ELASTICSEARCH_API_KEY").then(|| ELASTIC_KEY.to_owned())
    })
}

/// One with the templates that `setup` makes.
async fn elastic() -> FakeElastic {
    let elastic = FakeElastic::start().await;
    add_templates(&elastic);
    elastic
}

fn add_templates(elastic: &FakeElastic) {
    elastic.with_store(|store| {
        for index in [INDEX, OTHER] {
            let aliases = json!({"aliases": {ALIAS: {}}});
            let pattern = format!("{index}-0*");
            let template =
                json!({"index_patterns": [pattern], "priority": 500, "template": aliases});
            store.index_templates.insert(index.to_owned(), template);
        }
        let template = json!({"index_patterns": [STREAM], "priority": 500, "data_stream": {}});
        store.index_templates.insert(STREAM.to_owned(), template);
    });
}

async fn write(output: &ElasticsearchOutput, batch: &[Delivery]) -> Vec<Verdict> {
    output.write(batch).await.unwrap()
}

/// So many puts of the ids `0`, `1`..
fn puts(count: usize, version: u64) -> Vec<Delivery> {
    (0..count)
        .map(|id| fixtures::put(&id.to_string(), version))
        .collect()
}

struct Fake(FakeElastic);

impl Subject for Fake {
    fn output(&self, _common: Common) -> Arc<dyn Output> {
        Arc::new(output(&options(&self.0)))
    }

    fn arrived(&self) -> String {
        self.0.with_store(|store| {
            let applied = store.applied.iter().map(|write| {
                let mut source = write.source.clone();
                // What the output adds to each.
                source.as_object_mut().unwrap().remove("misp_ecs").unwrap();
                format!("{source}\n")
            });
            applied.collect()
        })
    }

    fn clear(&self) {
        self.0.with_store(|store| {
            store.indices.clear();
            store.applied.clear();
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    let fake = Fake(elastic().await);
    contract::holds_for_any(&fake).await;
    assert_eq!(fake.0.overlaps(), Vec::<String>::new());
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let options: ElasticsearchOptions =
        serde_json::from_value(json!({"urls": ["http://127.0.0.1:9200"]})).unwrap();
    assert_eq!(
        options,
        ElasticsearchOptions::new(["http://127.0.0.1:9200"])
    );
    assert_eq!(options.mode, ElasticMode::Latest);
    assert_eq!(options.max_bulk_bytes, units::ByteSize::mib(5));
    assert_eq!((options.max_bulk_count, options.in_flight), (1_000, 2));
    let unknown = json!({"url": "http://127.0.0.1:9200"});
    let error = serde_json::from_value::<ElasticsearchOptions>(unknown).unwrap_err();
    assert!(error.to_string().contains("urls"), "{error}");
}
