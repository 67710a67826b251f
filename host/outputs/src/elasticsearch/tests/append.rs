use pipeline::{Delivery, Verdict};
use serde_json::{Value, json};

use super::{STREAM, elastic, options, output, write};
use crate::contract::fixtures::{delete, delivery};
use crate::elasticsearch::{ElasticMode, ElasticsearchOptions};

fn revised(revision: u64, fingerprint: u64, mut delivery: Delivery) -> Delivery {
    delivery.revision = revision;
    delivery.document.fingerprint = fingerprint;
    delivery
}

fn put(version: u64, n: u64) -> Delivery {
    let body = json!({"@timestamp": 1, "n": n, "data_stream": {"dataset": "other"}});
    delivery("a", version, pipeline::Operation::Put, body.to_string())
}

#[tokio::test]
async fn every_change_is_a_document_and_the_same_again_is_none() {
    let elastic = elastic().await;
    let options = ElasticsearchOptions {
        mode: ElasticMode::Append,
        ..options(&elastic)
    };
    let output = output(&options);
    let batch = [revised(1, 0xab, put(5, 1))];
    assert_eq!(write(&output, &batch).await, [Verdict::Stored]);
    assert_eq!(write(&output, &batch).await, [Verdict::Duplicate]);
    let batch = [
        revised(2, 0xcd, put(6, 2)),
        // Back to what it was, which is a change too.
        revised(3, 0xab, put(7, 1)),
        revised(4, 0xab, delete("a", 8)),
    ];
    assert_eq!(write(&output, &batch).await, vec![Verdict::Stored; 3]);
    assert_eq!(write(&output, &batch).await, vec![Verdict::Duplicate; 3]);
    let documents = elastic.with_store(|store| store.documents(STREAM));
    let ids: Vec<&str> = documents.keys().map(String::as_str).collect();
    assert_eq!(
        ids,
        [
            "a-1-00000000000000ab",
            "a-2-00000000000000cd",
            "a-3-00000000000000ab",
            "a-4-delete"
        ]
    );
    let stream = json!({"type": "logs", "dataset": "ti_misp_ecs.threat", "namespace": "default"});
    assert_eq!(
        documents["a-4-delete"],
        json!({
            "@timestamp": 8,
            "data_stream": stream,
            "misp_ecs": {"id": "a", "operation": "delete", "version": 8},
        })
    );
    let first: &Value = &documents["a-1-00000000000000ab"];
    assert_eq!(first["data_stream"], stream);
    let envelope = json!({"id": "a", "operation": "put", "version": 5});
    assert_eq!(first["misp_ecs"], envelope);
    let bulk = &elastic.bulks()[0].lines()[0];
    assert_eq!(
        *bulk,
        json!({"create": {"_index": STREAM, "_id": "a-1-00000000000000ab"}})
    );
}
