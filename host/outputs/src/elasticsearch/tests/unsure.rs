//! When nobody knows whether a bulk was written, or the cluster takes no more for now.

use std::sync::Arc;

use misp_ecs_tests::{ElasticFault, FakeElastic};
use pipeline::Verdict;
use tokio::sync::Notify;
use units::Duration;

use super::{INDEX, elastic, options, output, puts, write};
use crate::contract::fixtures::{delete, put};

fn stored(elastic: &FakeElastic) -> usize {
    elastic.with_store(|store| store.documents(INDEX).len())
}

#[tokio::test]
async fn what_nobody_heard_of_is_sent_again_and_is_there_once() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    for (version, fault) in (5..).zip([
        ElasticFault::Cut,
        ElasticFault::Lost(0),
        ElasticFault::Lost(30),
        ElasticFault::ItemsDone(vec![(0, 503), (2, 500)]),
    ]) {
        let bulks = elastic.bulk_count();
        elastic.next(fault);
        let verdicts = write(&output, &puts(4, version)).await;
        assert_eq!(verdicts, vec![Verdict::Stored; 4]);
        assert_eq!((stored(&elastic), elastic.bulk_count()), (4, bulks + 2));
    }
}

#[tokio::test]
async fn a_bulk_that_is_written_late_changes_nothing_any_more() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    elastic.next(ElasticFault::Late(3));
    write(&output, &[put("a", 5), put("b", 5)]).await;
    write(&output, &[delete("a", 6), put("b", 6)]).await;
    let before = elastic.with_store(|store| store.documents(INDEX));
    assert_eq!(before.len(), 1);
    elastic.end_of_late();
    assert_eq!(elastic.with_store(|store| store.documents(INDEX)), before);
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    let elastic = elastic().await;
    elastic.habits(|habits| habits.queue = Some(1));
    let mut options = options(&elastic);
    options.max_bulk_count = 1;
    options.in_flight = 4;
    // Five tries must outlast the one that is held.
    options.retry_wait = Duration::from_millis(50);
    let release = Arc::new(Notify::new());
    elastic.next(ElasticFault::Hold(Arc::clone(&release)));
    let output = output(&options);
    let batch = puts(4, 5);
    let (verdicts, ()) = tokio::join!(write(&output, &batch), async {
        // The one that is held, and three that were turned away.
        elastic.bulks_arrived(4).await;
        assert_eq!(stored(&elastic), 0);
        release.notify_one();
    });
    assert_eq!(verdicts, vec![Verdict::Stored; 4]);
    assert_eq!(stored(&elastic), 4);
    assert!(elastic.bulk_count() > 4);
}
