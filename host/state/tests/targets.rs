//! An index that is deleted, or a cluster that is replaced, behind the host's back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod world;

use std::time::Duration;

use pipeline::{Counts, Options};
use tokio_util::sync::CancellationToken;
use world::{World, told};

async fn poll(world: &World, instance: &'static str, options: Options) -> Counts {
    let store = world.open();
    let (pipeline, ledger) = world.pipeline(&store, instance, &[("out", "here")], options);
    pipeline.run(CancellationToken::new()).await.unwrap();
    let counts = ledger.counts();
    assert_eq!(counts.balance(), Ok(()));
    counts
}

fn replace(world: &World, cluster: &'static str, index: &'static str) {
    let received = world.received("out", "here");
    received.lock().unwrap().replace(cluster, index);
}

/// Two instances with an event each, polled once.
async fn polled() -> World {
    let world = World::new(&["lab", "other"]);
    replace(&world, "c", "i");
    for (instance, event) in [("lab", "one"), ("other", "two")] {
        world.server(instance).set(event, event, "old");
        world.server(instance).publish(event);
    }
    for attribute in ["three", "four"] {
        world.server("lab").set("three", attribute, "old");
    }
    world.server("lab").publish("three");
    for instance in ["lab", "other"] {
        let counts = poll(&world, instance, Options::default()).await;
        assert!(counts.refilled.is_empty());
    }
    assert_eq!(told(&world), (4, 0));
    world
}

#[tokio::test(start_paused = true)]
async fn everything_is_sent_again_to_another_index_and_only_once() {
    for (cluster, index) in [("c", "another"), ("another", "i")] {
        let world = polled().await;
        let before = world.values("out");
        replace(&world, cluster, index);
        let counts = poll(&world, "lab", Options::default()).await;
        assert!(counts.refilled.contains_key("out"), "{counts:?}");
        assert!(counts.behind.is_empty());
        let counts = poll(&world, "other", Options::default()).await;
        assert!(counts.behind.is_empty());
        assert_eq!(world.values("out"), before);
        for instance in ["lab", "other"] {
            poll(&world, instance, Options::default()).await;
        }
        assert_eq!(told(&world), (4, 0), "only what is not there is sent");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconciliation_is_not_content_with_an_empty_index() {
    let world = polled().await;
    let before = world.values("out");
    replace(&world, "c", "another");
    let sweep = Options {
        sweep: Some(Duration::ZERO),
        ..Options::default()
    };
    for instance in ["other", "lab"] {
        poll(&world, instance, sweep.clone()).await;
    }
    assert_eq!(world.values("out"), before);
}

#[tokio::test(start_paused = true)]
async fn what_left_misp_meanwhile_does_not_come_back() {
    let world = polled().await;
    replace(&world, "c", "another");
    world.server("lab").remove("three", "three");
    world.server("lab").publish("three");
    poll(&world, "lab", Options::default()).await;
    poll(&world, "other", Options::default()).await;
    let mut expected = world.server("lab").published();
    expected.extend(world.server("other").published());
    assert_eq!(world.values("out"), expected);
}
