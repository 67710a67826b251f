use std::sync::Arc;

use misp_ecs_tests::FakeElastic;
use pipeline::{Class, Classify, Delivery, MappingIdentity, Operation, Output, Verdict};
use serde_json::json;

use super::{ALIAS, FIRST, INDEX, OTHER, elastic, options, output, puts, write};
use crate::contract::fixtures::{delete, delivery, put};
use crate::elasticsearch::ElasticsearchOptions;

fn mapped(mut delivery: Delivery, mapping: &str, before: Option<&str>) -> Delivery {
    let identity = |name: &str| {
        let old = delivery.mapping.as_ref().clone();
        Arc::new(MappingIdentity {
            name: name.to_owned(),
            ..old
        })
    };
    let (mapping, before) = (identity(mapping), before.map(identity));
    delivery.mapping = mapping;
    delivery.before = before.into_iter().collect();
    delivery
}

fn ids(elastic: &FakeElastic, index: &str) -> Vec<String> {
    elastic.with_store(|store| store.documents(index).into_keys().collect())
}

#[tokio::test]
async fn the_newest_version_wins_whatever_the_order() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    assert_eq!(write(&output, &[put("a", 5)]).await, [Verdict::Stored]);
    assert_eq!(write(&output, &[put("a", 5)]).await, [Verdict::Stored]);
    assert_eq!(write(&output, &[put("a", 4)]).await, [Verdict::Stale]);
    assert_eq!(write(&output, &[delete("a", 4)]).await, [Verdict::Stale]);
    assert_eq!(write(&output, &[put("a", 6)]).await, [Verdict::Stored]);
    let found = elastic.with_store(|store| store.documents(INDEX)["a"].clone());
    let envelope = json!({"id": "a", "version": 6});
    assert_eq!(found, json!({"id": "a", "n": 6, "misp_ecs": envelope}));
    let aliases = elastic.with_store(|store| store.indices[FIRST].aliases.clone());
    assert_eq!(aliases, [ALIAS, INDEX]);
}

#[tokio::test]
async fn a_delete_is_done_even_where_there_is_nothing() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    let batch = [put("a", 5), delete("b", 5)];
    assert_eq!(write(&output, &batch).await, vec![Verdict::Stored; 2]);
    assert_eq!(write(&output, &[delete("a", 6)]).await, [Verdict::Stored]);
    assert_eq!(write(&output, &[put("a", 5)]).await, [Verdict::Stale]);
    assert_eq!(ids(&elastic, INDEX), Vec::<String>::new());
}

#[tokio::test]
async fn a_delete_goes_where_the_output_has_the_document() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    write(&output, &[mapped(put("a", 5), "ecs-9", None)]).await;
    let delete = mapped(delete("a", 6), "ecs-9", None);
    assert_eq!(write(&output, &[delete]).await, [Verdict::Stored]);
    assert_eq!(ids(&elastic, OTHER), Vec::<String>::new());
}

#[tokio::test]
async fn another_mapping_takes_its_document_out_of_the_old_index() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    write(&output, &[put("a", 5), put("b", 5)]).await;
    let batch = [
        mapped(put("a", 6), "ecs-9", Some("ecs-1.12")),
        mapped(put("b", 6), "ecs-1.12", Some("ecs-1.12")),
    ];
    assert_eq!(write(&output, &batch).await, vec![Verdict::Stored; 2]);
    assert_eq!(ids(&elastic, INDEX), ["b"]);
    assert_eq!(ids(&elastic, OTHER), ["a"]);
    // The same again, as after a crash.
    assert_eq!(write(&output, &batch).await, vec![Verdict::Stored; 2]);
    assert_eq!(ids(&elastic, INDEX), ["b"]);
}

#[tokio::test]
async fn an_old_index_that_somebody_deleted_is_not_made_again() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    let batch = [mapped(put("a", 6), "ecs-9", Some("ecs-1.12"))];
    assert_eq!(write(&output, &batch).await, [Verdict::Stored]);
    let made = elastic.with_store(|store| store.indices.keys().cloned().collect::<Vec<_>>());
    assert_eq!(made, [format!("{OTHER}-000001")]);
}

#[tokio::test]
async fn what_the_new_index_refuses_stays_in_the_old_one() {
    let elastic = elastic().await;
    elastic.habits(|habits| {
        habits.numbers.insert("n".to_owned());
    });
    let output = output(&options(&elastic));
    write(&output, &[put("a", 5)]).await;
    let bad = delivery("a", 6, Operation::Put, r#"{"n":"six"}"#.to_owned());
    let verdicts = write(&output, &[mapped(bad, "ecs-9", Some("ecs-1.12"))]).await;
    let [Verdict::Rejected { text }] = verdicts.as_slice() else {
        panic!("{verdicts:?}");
    };
    assert!(text.contains("failed to parse field [n]"), "{text}");
    assert_eq!(ids(&elastic, INDEX), ["a"]);
}

#[tokio::test]
async fn one_document_never_has_two_writes_under_way() {
    let elastic = elastic().await;
    let options = ElasticsearchOptions {
        max_bulk_count: 3,
        in_flight: 4,
        ..options(&elastic)
    };
    let output = output(&options);
    let mut batch = puts(12, 5);
    batch.extend(puts(12, 6));
    batch.push(delete("3", 7));
    let verdicts = write(&output, &batch).await;
    assert_eq!(verdicts, vec![Verdict::Stored; 25]);
    assert_eq!(elastic.overlaps(), Vec::<String>::new());
    assert!(elastic.most_in_flight() > 1);
    assert!(elastic.most_in_flight() <= 4);
    assert_eq!(ids(&elastic, INDEX).len(), 11);
    let newest = elastic.with_store(|store| store.documents(INDEX)["4"]["n"].clone());
    assert_eq!(newest, 6);
}

#[tokio::test]
async fn bodies_go_out_without_the_fields_of_a_data_stream() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    let body = r#"{"data_stream":{"type":"logs"},"n":1.50,"data_stream.dataset":"x"}"#;
    write(
        &output,
        &[delivery("a", 5, Operation::Put, body.to_owned())],
    )
    .await;
    let lines = elastic.bulks()[0].body.clone();
    let text = String::from_utf8(lines.to_vec()).unwrap();
    let header = format!(
        r#"{{"index":{{"_index":"{INDEX}","_id":"a","version":5,"version_type":"external_gte"}}}}"#
    );
    let envelope = r#""misp_ecs":{"id":"a","version":5}"#;
    assert_eq!(text, format!("{header}\n{{\"n\":1.50,{envelope}}}\n"));
}

#[tokio::test]
async fn bulks_are_cut_by_count_and_by_bytes_and_packed() {
    let elastic = elastic().await;
    let mut options = ElasticsearchOptions {
        max_bulk_count: 4,
        in_flight: 1,
        ..options(&elastic)
    };
    write(&output(&options), &puts(10, 5)).await;
    let counts: Vec<usize> = elastic
        .bulks()
        .iter()
        .map(|bulk| bulk.ids().len())
        .collect();
    assert_eq!(counts, [4, 4, 2]);
    let bulks = elastic.bulks();
    assert_eq!(bulks[0].header("content-encoding"), Some("gzip"));
    assert_eq!(
        bulks[0].header("content-type"),
        Some("application/x-ndjson")
    );
    assert_eq!(
        bulks[0].query,
        "filter_path=errors,items.*._id,items.*.status,items.*.error&require_alias=true"
    );
    options.max_bulk_count = 1_000;
    options.gzip = false;
    options.max_bulk_bytes = units::ByteSize::kib(1);
    write(&output(&options), &puts(20, 6)).await;
    let cut = &elastic.bulks()[3..];
    assert!(cut.len() > 1);
    assert!(cut.iter().all(|bulk| bulk.body.len() <= 1_024));
    assert!(
        cut.iter()
            .all(|bulk| bulk.header("content-encoding").is_none())
    );
    let sent: usize = cut.iter().map(|bulk| bulk.ids().len()).sum();
    assert_eq!(sent, 20);
}

#[tokio::test]
async fn nothing_is_written_before_the_templates_are_there() {
    let elastic = FakeElastic::start().await;
    let output = output(&options(&elastic));
    let error = output.write(&[put("a", 5)]).await.unwrap_err();
    assert!(error.to_string().contains("misp-ecs setup"), "{error}");
    assert!(matches!(error.class(), Class::Transient { after: Some(_) }));
    assert!(elastic.bulks().is_empty());
    super::add_templates(&elastic);
    assert_eq!(write(&output, &[put("a", 5)]).await, [Verdict::Stored]);
    let gets = || {
        let requests = elastic.requests();
        requests.iter().filter(|one| one.method == "GET").count()
    };
    let before = gets();
    write(&output, &[put("a", 6)]).await;
    assert_eq!(gets(), before, "not with every batch");
}

#[tokio::test]
async fn credentials_that_may_only_write_are_enough() {
    let elastic = elastic().await;
    elastic.with_store(|store| {
        store.make(FIRST, &[INDEX]);
        store.make(&format!("{OTHER}-000001"), &[OTHER]);
    });
    elastic.habits(|habits| habits.write_only = true);
    let output = output(&options(&elastic));
    output.check().await.unwrap();
    assert_eq!(write(&output, &[put("a", 5)]).await, [Verdict::Stored]);
    let moved = mapped(put("a", 6), "ecs-9", Some("ecs-1.12"));
    assert_eq!(write(&output, &[moved]).await, [Verdict::Stored]);
    assert_eq!(ids(&elastic, INDEX), Vec::<String>::new());
}
