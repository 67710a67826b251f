use misp_ecs_tests::FakeElastic;
use pipeline::{Class, Classify, Output, TargetIdentity, Verdict};

use super::{ALIAS, FIRST, INDEX, STREAM, elastic, options, output, write};
use crate::contract::fixtures::{delete, put};
use crate::elasticsearch::{ElasticMode, ElasticsearchOptions, ElasticsearchOutput};

async fn prepared(output: &ElasticsearchOutput) -> TargetIdentity {
    output.prepare("ecs-1.12").await.unwrap().unwrap()
}

fn append(elastic: &FakeElastic) -> ElasticsearchOptions {
    ElasticsearchOptions {
        mode: ElasticMode::Append,
        ..options(elastic)
    }
}

#[tokio::test]
async fn another_index_and_another_cluster_are_seen_with_one_request() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    let first = prepared(&output).await;
    elastic.forget_requests();
    assert_eq!(prepared(&output).await, first);
    assert_eq!(elastic.requests().len(), 1);
    elastic.with_store(|store| store.indices.clear());
    let second = prepared(&output).await;
    assert_eq!(second.cluster, first.cluster);
    assert_ne!(second.index, first.index);
    elastic.with_store(|store| store.cluster += 1);
    assert_ne!(prepared(&output).await.cluster, first.cluster);
    // A rollover is none of these.
    elastic.with_store(|store| store.make(&format!("{INDEX}-000002"), &[INDEX]));
    assert_eq!(prepared(&output).await.earlier, [second.index]);
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_another_one() {
    let elastic = elastic().await;
    let output = output(&append(&elastic));
    let first = prepared(&output).await;
    elastic.with_store(|store| store.indices.clear());
    assert_ne!(prepared(&output).await.index, first.index);
    let made = elastic.with_store(|store| store.indices[STREAM].data_stream);
    assert!(made);
}

#[tokio::test]
async fn without_templates_nothing_is_made_and_nothing_written() {
    let elastic = elastic().await;
    elastic.habits(|habits| habits.open_search = true);
    let output = output(&options(&elastic));
    write(&output, &[put("a", 5)]).await;
    // A new cluster at the same address.
    elastic.with_store(|store| {
        store.indices.clear();
        store.index_templates.clear();
    });
    for error in [
        output.write(&[put("b", 6)]).await.unwrap_err(),
        output.prepare("ecs-1.12").await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("misp-ecs setup"), "{error}");
        assert_ne!(error.class(), Class::Permanent);
    }
    assert_eq!(write(&output, &[delete("a", 7)]).await, [Verdict::Stored]);
    assert!(elastic.with_store(|store| store.indices.is_empty()));
}

#[tokio::test]
async fn an_index_that_is_deleted_between_two_batches_is_made_from_its_template() {
    let elastic = elastic().await;
    elastic.habits(|habits| habits.open_search = true);
    let output = output(&options(&elastic));
    write(&output, &[put("a", 5)]).await;
    elastic.with_store(|store| store.indices.clear());
    output.write(&[put("b", 6)]).await.unwrap_err();
    assert_eq!(write(&output, &[put("b", 6)]).await, [Verdict::Stored]);
    let aliases = elastic.with_store(|store| store.indices[FIRST].aliases.clone());
    assert_eq!(aliases, [ALIAS, INDEX]);
}
