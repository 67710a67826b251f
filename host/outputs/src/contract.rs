//! What every output must do, run against each.

use std::fmt::Debug;
use std::sync::Arc;

use pipeline::{Class, Classify as _, Delivery, Output, OutputError, Verdict};
use serde_json::{Value, json};

use crate::lines::Common;

pub(crate) mod fixtures {
    use std::sync::Arc;

    use pipeline::{Delivery, Document, MappingIdentity, Operation};

    /// A put of `{"id":..,"n":..}`, where `n` is the version.
    pub(crate) fn put(id: &str, version: u64) -> Delivery {
        let body = serde_json::json!({ "id": id, "n": version }).to_string();
        delivery(id, version, Operation::Put, body)
    }

    /// So many of different ids.
    pub(crate) fn puts(count: usize) -> Vec<Delivery> {
        (0..count).map(|i| put(&format!("id-{i}"), 1)).collect()
    }

    pub(crate) fn delete(id: &str, version: u64) -> Delivery {
        delivery(id, version, Operation::Delete, "{}".to_owned())
    }

    pub(crate) fn delivery(id: &str, version: u64, operation: Operation, body: String) -> Delivery {
        Delivery {
            event: Arc::from("11111111-2222-4333-8444-555555555555"),
            version,
            mapping: Arc::new(MappingIdentity {
                name: "ecs-1.12".to_owned(),
                version: "1.0.0".to_owned(),
                digest: "0".repeat(64),
                settings: String::new(),
            }),
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
                fingerprint: 0,
                body: body.into(),
                notes: Vec::new(),
            },
        }
    }
}

use fixtures::{delete, delivery, put};

/// An output of a kind, and a look at what has arrived.
pub(crate) trait Subject: Sync {
    /// A new output that writes to the same place.
    fn output(&self, common: Common) -> Arc<dyn Output>;

    /// Everything that has arrived and survives the process, in order.
    fn arrived(&self) -> String;

    /// Starts again with nothing arrived.
    fn clear(&self);
}

/// What a [`Subject`], which is not asynchronous, has to wait for.
#[cfg(any(feature = "nats", feature = "kafka"))]
pub(crate) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

/// Settings that can make no connection fail for good at every turn, and show no secret.
pub(crate) async fn settings_are_fatal(
    opened: OutputError,
    output: &dyn Output,
    options: &impl Debug,
    text: &str,
) {
    for error in [
        opened,
        output.check().await.unwrap_err(),
        output.write(&[put("a", 1)]).await.unwrap_err(),
    ] {
        assert_eq!(error.class(), Class::Fatal, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert!(
            !format!("{error} {error:?} {options:?}").contains("canary"),
            "{error:?}"
        );
    }
}

/// Runs every rule of the contract.
pub(crate) async fn holds(subject: &dyn Subject) {
    holds_for_any(subject).await;
    one_verdict_a_delivery_in_order(subject).await;
    any_text_and_any_size(subject).await;
    deletes_and_envelopes(subject).await;
}

/// Runs the rules that hold for outputs without lines too: `arrived` is one document a line.
pub(crate) async fn holds_for_any(subject: &dyn Subject) {
    check_writes_nothing(subject).await;
    acknowledged_means_arrived(subject).await;
    writes_at_once_keep_lines_whole(subject).await;
    the_same_again_is_taken(subject).await;
}

fn lines(subject: &dyn Subject) -> Vec<Value> {
    let text = subject.arrived();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line is not whole"
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const PLAIN: Common = Common {
    deletes: false,
    envelope_field: false,
};

async fn check_writes_nothing(subject: &dyn Subject) {
    subject.clear();
    let output = subject.output(PLAIN);
    output.check().await.unwrap();
    assert_eq!(output.write(&[]).await.unwrap(), Vec::new());
    assert_eq!(subject.arrived(), "");
}

async fn one_verdict_a_delivery_in_order(subject: &dyn Subject) {
    subject.clear();
    let output = subject.output(PLAIN);
    let bad = delivery("bad", 1, pipeline::Operation::Put, "no object".to_owned());
    let batch = [put("a", 1), bad, delete("b", 1), put("c", 1)];
    let verdicts = output.write(&batch).await.unwrap();
    let [
        Verdict::Stored,
        Verdict::Rejected { text },
        Verdict::Skipped,
        Verdict::Stored,
    ] = verdicts.as_slice()
    else {
        panic!("{verdicts:?}");
    };
    assert!(text.contains("JSON object"), "{text}");
    assert_eq!(
        lines(subject),
        [json!({"id": "a", "n": 1}), json!({"id": "c", "n": 1})]
    );
}

async fn acknowledged_means_arrived(subject: &dyn Subject) {
    subject.clear();
    let output = subject.output(PLAIN);
    for version in 1..=20 {
        let verdicts = output.write(&[put("a", version)]).await.unwrap();
        assert_eq!(verdicts, [Verdict::Stored]);
        assert_eq!(
            lines(subject).last(),
            Some(&json!({"id": "a", "n": version}))
        );
    }
    assert_eq!(lines(subject).len(), 20);
}

async fn any_text_and_any_size(subject: &dyn Subject) {
    subject.clear();
    let output = subject.output(Common {
        deletes: true,
        envelope_field: true,
    });
    let text = "\u{0}\u{1F600}\u{2028}e\u{301}\"\\\u{7f}";
    let huge = format!("{{\"huge\":\"{}\"}}", "x".repeat(8 << 20));
    let batch = [
        put(text, 1),
        delivery("h", 1, pipeline::Operation::Put, huge),
        delete(text, 2),
    ];
    assert_eq!(
        output.write(&batch).await.unwrap(),
        vec![Verdict::Stored; 3]
    );
    let arrived = lines(subject);
    assert_eq!(arrived.len(), 3);
    assert_eq!(arrived[0]["id"], text);
    assert_eq!(arrived[0]["misp_ecs"]["id"], text);
    assert_eq!(arrived[1]["huge"].as_str().map(str::len), Some(8 << 20));
    assert_eq!(arrived[2]["misp_ecs"]["id"], text);
}

async fn writes_at_once_keep_lines_whole(subject: &dyn Subject) {
    subject.clear();
    let output = subject.output(PLAIN);
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let output = Arc::clone(&output);
        tasks.spawn(async move {
            for version in 1..=10 {
                let batch: Vec<Delivery> = (0..20)
                    .map(|i| put(&format!("{writer}-{i}"), version))
                    .collect();
                output.write(&batch).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let arrived = lines(subject);
    let mut ids: Vec<String> = arrived.iter().map(Value::to_string).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((arrived.len(), ids.len()), (1600, 1600));
    for writer in 0..8 {
        let id = format!("{writer}-0");
        let versions: Vec<u64> = arrived
            .iter()
            .filter(|line| line["id"] == id.as_str())
            .filter_map(|line| line["n"].as_u64())
            .collect();
        assert!(
            versions.is_sorted(),
            "one writer's batches keep their order: {versions:?}"
        );
    }
}

async fn deletes_and_envelopes(subject: &dyn Subject) {
    let tombstone = json!({"misp_ecs": {"id": "a", "operation": "delete", "version": 2}});
    let digest = put("a", 1).mapping.digest.clone();
    let field = json!({"id": "a", "operation": "put", "version": 1, "mapping": "ecs-1.12@1.0.0",
        "digest": digest});
    let plain = json!({"id": "a", "n": 1});
    let with_field = json!({"id": "a", "n": 1, "misp_ecs": field});
    for (deletes, envelope_field) in [(false, false), (true, false), (false, true), (true, true)] {
        subject.clear();
        let output = subject.output(Common {
            deletes,
            envelope_field,
        });
        let verdicts = output.write(&[put("a", 1), delete("a", 2)]).await.unwrap();
        let mut expected = vec![if envelope_field {
            with_field.clone()
        } else {
            plain.clone()
        }];
        let mut expected_verdicts = vec![Verdict::Stored, Verdict::Skipped];
        if deletes {
            expected.push(tombstone.clone());
            expected_verdicts[1] = Verdict::Stored;
        }
        assert_eq!(
            lines(subject),
            expected,
            "deletes {deletes}, envelope_field {envelope_field}"
        );
        assert_eq!(verdicts, expected_verdicts);
    }
}

async fn the_same_again_is_taken(subject: &dyn Subject) {
    subject.clear();
    let batch = [put("a", 1), put("b", 1)];
    subject.output(PLAIN).write(&batch).await.unwrap();
    let verdicts = subject.output(PLAIN).write(&batch).await.unwrap();
    let done = |verdict: &Verdict| matches!(verdict, Verdict::Stored | Verdict::Duplicate);
    assert!(verdicts.iter().all(done), "{verdicts:?}");
    let arrived = lines(subject);
    assert!(arrived.len() >= 2);
}
