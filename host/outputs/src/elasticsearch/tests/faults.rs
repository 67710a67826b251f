use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use misp_ecs_tests::{ElasticFault, FakeElastic};
use pipeline::{Class, Classify, Operation, Output, OutputError, Verdict};
use tokio::sync::Notify;

use super::{FIRST, INDEX, elastic, options, output, puts, write};
use crate::Address;
use crate::contract::fixtures::{delete, delivery, put};
use crate::elasticsearch::ElasticsearchOptions;

fn stored(elastic: &FakeElastic) -> usize {
    elastic.with_store(|store| store.documents(INDEX).len())
}

async fn failure(elastic: &FakeElastic, options: &ElasticsearchOptions) -> OutputError {
    let error = output(options).write(&puts(4, 5)).await.unwrap_err();
    // Whatever it was: the same again settles it.
    assert_eq!(
        write(&output(options), &puts(4, 5)).await,
        vec![Verdict::Stored; 4],
        "{error}"
    );
    assert_eq!(stored(elastic), 4);
    error
}

#[tokio::test]
async fn only_what_was_turned_away_is_sent_again() {
    let elastic = elastic().await;
    elastic.habits(|habits| {
        habits.numbers.insert("n".to_owned());
    });
    let output = output(&options(&elastic));
    write(&output, &[put("4", 9)]).await;
    let mut batch = puts(6, 5);
    batch[2] = delivery("2", 5, Operation::Put, r#"{"n":"x"}"#.to_owned());
    batch[5] = delete("5", 5);
    elastic.next(ElasticFault::Items(vec![(1, 429), (3, 503)]));
    elastic.next(ElasticFault::Items(vec![(1, 502)]));
    let verdicts = write(&output, &batch).await;
    let Verdict::Rejected { text } = &verdicts[2] else {
        panic!("{verdicts:?}");
    };
    assert!(text.starts_with("400 document_parsing_exception"), "{text}");
    let others: Vec<&Verdict> = [0, 1, 3, 4, 5].iter().map(|at| &verdicts[*at]).collect();
    assert_eq!(
        others,
        [
            &Verdict::Stored,
            &Verdict::Stored,
            &Verdict::Stored,
            &Verdict::Stale,
            &Verdict::Stored
        ]
    );
    let sent: Vec<Vec<String>> = elastic.bulks()[1..].iter().map(|bulk| bulk.ids()).collect();
    assert_eq!(
        sent,
        [
            vec!["0", "1", "2", "3", "4", "5"],
            vec!["1", "3"],
            vec!["3"]
        ]
    );
}

#[tokio::test]
async fn items_that_are_turned_away_for_ever_are_an_error_in_the_end() {
    let elastic = elastic().await;
    for _ in 0..5 {
        elastic.next(ElasticFault::Items(vec![(0, 429)]));
    }
    let error = failure(&elastic, &options(&elastic)).await;
    assert_eq!(error.class(), Class::Transient { after: None });
    assert_eq!(elastic.bulks().len(), 6);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_its_wait_is_handed_on() {
    let elastic = elastic().await;
    for status in [429, 500, 502, 503] {
        elastic.next(ElasticFault::Status(status));
    }
    let verdicts = write(&output(&options(&elastic)), &puts(4, 5)).await;
    assert_eq!(verdicts, vec![Verdict::Stored; 4]);
    assert_eq!(elastic.bulks().len(), 5);
    elastic.next(ElasticFault::RetryAfter(429, "17".to_owned()));
    let error = failure(&elastic, &options(&elastic)).await;
    let after = Some(Duration::from_secs(17));
    assert_eq!(error.class(), Class::Transient { after });
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_a_failure() {
    for fault in [
        ElasticFault::Html(200),
        ElasticFault::Body(String::new()),
        ElasticFault::Body("{}".to_owned()),
        ElasticFault::Body(r#"{"errors":false,"items":[]}"#.to_owned()),
        ElasticFault::Truncated(60),
        ElasticFault::OneItemLess,
        ElasticFault::OtherOrder,
        ElasticFault::NoStatus,
        ElasticFault::Huge(65),
    ] {
        let elastic = elastic().await;
        for _ in 0..5 {
            elastic.next(fault.clone());
        }
        let error = failure(&elastic, &options(&elastic)).await;
        assert_eq!(error.class(), Class::Transient { after: None }, "{fault:?}");
        let text = error.to_string();
        assert!(text.contains("the answer cannot be read"), "{text}");
        assert!(text.len() < 1_000, "{text}");
    }
}

#[tokio::test]
async fn an_answer_with_spaces_is_read_as_well() {
    let elastic = elastic().await;
    elastic.habits(|habits| habits.pretty = true);
    elastic.next(ElasticFault::Items(vec![(0, 429)]));
    let verdicts = write(&output(&options(&elastic)), &puts(4, 5)).await;
    assert_eq!(verdicts, vec![Verdict::Stored; 4]);
    assert_eq!(elastic.bulks()[1].ids(), ["0"]);
}

#[tokio::test]
async fn what_is_too_large_is_halved_and_one_alone_is_refused() {
    let elastic = elastic().await;
    elastic.habits(|habits| habits.max_bytes = 1_000);
    let mut batch = puts(16, 5);
    let large = format!(r#"{{"n":"{}"}}"#, "x".repeat(1_000));
    batch[7] = delivery("7", 5, Operation::Put, large);
    let verdicts = write(&output(&options(&elastic)), &batch).await;
    for (at, verdict) in verdicts.iter().enumerate() {
        match verdict {
            Verdict::Stored => assert_ne!(at, 7),
            Verdict::Rejected { text } => {
                assert_eq!(at, 7);
                assert!(text.starts_with("413"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stored(&elastic), 15);
}

#[tokio::test]
async fn an_action_that_spoils_the_bulk_is_found() {
    let elastic = elastic().await;
    let mut batch = puts(8, 5);
    batch[5] = put(&"i".repeat(600), 5);
    let verdicts = write(&output(&options(&elastic)), &batch).await;
    let refused = verdicts
        .iter()
        .enumerate()
        .filter(|(_, one)| **one != Verdict::Stored);
    let refused: BTreeMap<usize, &Verdict> = refused.collect();
    let (Some(Verdict::Rejected { text }), 1) = (refused.get(&5), refused.len()) else {
        panic!("{refused:?}");
    };
    assert!(text.contains("512 bytes"), "{text}");
}

#[tokio::test]
async fn what_is_no_document_is_refused_and_not_sent() {
    let elastic = elastic().await;
    let batch = [
        delivery("a", 5, Operation::Put, "no object".to_owned()),
        delivery("b", 5, Operation::Put, "{\"a\":\n1}".to_owned()),
        put("c", 5),
    ];
    let verdicts = write(&output(&options(&elastic)), &batch).await;
    assert!(matches!(&verdicts[0], Verdict::Rejected { text } if text.contains("JSON object")));
    assert!(matches!(&verdicts[1], Verdict::Rejected { text } if text.contains("newline")));
    assert_eq!(verdicts[2], Verdict::Stored);
    assert_eq!(elastic.bulks()[0].ids(), ["c"]);
}

#[tokio::test]
async fn credentials_that_are_refused_stop_the_start_and_are_waited_for_later() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    for (forbid, version) in [(false, 5), (true, 7)] {
        write(&output, &puts(1, version)).await;
        elastic.habits(|habits| {
            habits.refuse_key = !forbid;
            habits.forbid = forbid;
        });
        let error = output.write(&puts(4, version + 1)).await.unwrap_err();
        assert!(
            matches!(error.class(), Class::Transient { after: Some(wait) } if !wait.is_zero()),
            "{error}"
        );
        assert_eq!(output.check().await.unwrap_err().class(), Class::Fatal);
        elastic.habits(|habits| (habits.refuse_key, habits.forbid) = (false, false));
        let stored = write(&output, &puts(4, version + 1)).await;
        assert_eq!(stored, vec![Verdict::Stored; 4]);
        output.check().await.unwrap();
    }
}

#[tokio::test]
async fn an_item_that_is_forbidden_is_not_the_documents_fault() {
    let elastic = elastic().await;
    elastic.next(ElasticFault::Items(vec![(2, 403)]));
    let error = failure(&elastic, &options(&elastic)).await;
    assert!(error.to_string().contains("403"), "{error}");
    elastic.habits(|habits| habits.auto_create = false);
    elastic.with_store(|store| (store.indices.clear(), store.index_templates.clear()));
    let output = output(&options(&elastic));
    let error = output.write(&puts(4, 5)).await.unwrap_err();
    assert!(error.to_string().contains(INDEX), "{error}");
    assert_eq!(write(&output, &[delete("a", 5)]).await, [Verdict::Stored]);
}

#[tokio::test]
async fn too_many_refusals_are_an_error_and_no_dead_letters() {
    let elastic = elastic().await;
    elastic.habits(|habits| {
        habits.numbers.insert("n".to_owned());
    });
    let batch = |bad: usize, total: usize| -> Vec<_> {
        let mut batch = puts(total, 5);
        for (id, one) in batch.iter_mut().take(bad).enumerate() {
            *one = delivery(
                &id.to_string(),
                5,
                Operation::Put,
                r#"{"n":"x"}"#.to_owned(),
            );
        }
        batch
    };
    let mut options = options(&elastic);
    let stopped = output(&options);
    let error = stopped.write(&batch(51, 100)).await.unwrap_err();
    assert!(matches!(error.class(), Class::Transient { after: Some(_) }));
    // Somebody has fixed it meanwhile: nothing has to be restarted.
    write(&stopped, &batch(0, 100)).await;
    let text = error.to_string();
    assert!(
        text.contains("51 of 100") && text.contains("field [n]"),
        "{text}"
    );
    for (bad, total) in [(50, 100), (99, 99)] {
        let verdicts = write(&output(&options), &batch(bad, total)).await;
        let rejected = verdicts
            .iter()
            .filter(|one| matches!(one, Verdict::Rejected { .. }));
        assert_eq!(rejected.count(), bad);
    }
    options.breaker_percent = 100;
    assert_eq!(write(&output(&options), &batch(100, 100)).await.len(), 100);
}

#[tokio::test]
async fn the_next_node_is_used_when_one_is_gone() {
    let gone = FakeElastic::start().await.url();
    let (first, second) = (elastic().await, elastic().await);
    let mut options = options(&first);
    options.urls = [gone.clone(), first.url(), second.url()]
        .map(Address)
        .into();
    let output = output(&options);
    // Another node of the same cluster.
    second.with_store(|store| store.make(FIRST, &[INDEX]));
    assert_eq!(write(&output, &puts(4, 5)).await, vec![Verdict::Stored; 4]);
    assert_eq!(first.bulks().len(), 1);
    first.next(ElasticFault::Html(502));
    assert_eq!(write(&output, &puts(4, 6)).await, vec![Verdict::Stored; 4]);
    assert_eq!((first.bulks().len(), second.bulks().len()), (2, 1));
    options.urls = vec![Address(gone)];
    let error = super::output(&options)
        .write(&puts(1, 5))
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Transient { after: None });
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_node_without_a_trusted_connection_costs_only_itself() {
    let elastic = elastic().await;
    // It answers in plain text: the handshake fails.
    let plain = FakeElastic::start().await;
    let untrusted = plain.url().replace("http:", "https:");
    let mut options = options(&elastic);
    options.urls = [untrusted.clone(), elastic.url()].map(Address).into();
    let output = output(&options);
    assert_eq!(write(&output, &puts(4, 5)).await, vec![Verdict::Stored; 4]);
    options.urls = vec![Address(untrusted)];
    let error = super::output(&options)
        .write(&puts(1, 5))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no trusted TLS"), "{error}");
    assert!(matches!(error.class(), Class::Transient { .. }), "{error}");
}

#[tokio::test]
async fn a_second_batch_waits_for_the_first() {
    let elastic = elastic().await;
    let output = Arc::new(output(&options(&elastic)));
    let release = Arc::new(Notify::new());
    elastic.next(ElasticFault::Hold(Arc::clone(&release)));
    let write = |version| {
        let output = Arc::clone(&output);
        tokio::spawn(async move { output.write(&puts(4, version)).await.unwrap() })
    };
    let first = write(5);
    elastic.bulks_arrived(1).await;
    let second = write(6);
    release.notify_one();
    assert_eq!(first.await.unwrap(), vec![Verdict::Stored; 4]);
    assert_eq!(second.await.unwrap(), vec![Verdict::Stored; 4]);
    assert_eq!(elastic.overlaps(), Vec::<String>::new());
}
