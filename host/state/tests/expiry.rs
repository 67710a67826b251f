//! What stops being valid: withdrawn when its time has come, whether or not it is read again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod world;

use std::time::Duration;

use pipeline::{Backoff, Counts, Fate, Options, OutputKey, RunError, State};
use tokio_util::sync::CancellationToken;
use world::{World, has, service, sweeping, told};

#[tokio::test]
async fn what_expires_is_withdrawn_and_comes_back_when_it_is_valid_again() {
    let world = World::new(&["lab"]);
    let soon = pipeline::now_ms() + 3_600_000;
    world.mapping.lock().unwrap().expires_ms = Some(soon);
    world.server("lab").set("e", "a", "x");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (1, 0));
    {
        let store = world.open();
        let key = OutputKey {
            name: "out".to_owned(),
            target: "here".to_owned(),
        };
        let due = |now| store.due("lab", &key, now, 10).unwrap();
        assert_eq!(due(soon - 1), []);
        assert_eq!(due(soon)[0].id, "a");
        assert_eq!(due(soon)[0].fate, Fate::Delivered);
    }
    // A shorter validity, long past: the next poll of the event withdraws it.
    world.mapping.lock().unwrap().expires_ms = Some(1);
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (1, 1));
    let ledger = world.poll_with("lab", sweeping()).await;
    assert_eq!(ledger.counts().sweep.unwrap().missing, 0, "it is known");
    assert_eq!(told(&world), (1, 1));
    world.mapping.lock().unwrap().expires_ms = None;
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (2, 1));
}

/// Polls until a time has passed; the last poll begins after it.
async fn poll_until(world: &World, instance: &'static str, time_ms: i64) -> Counts {
    loop {
        let last = pipeline::now_ms() > time_ms;
        let counts = world.poll(instance).await.counts();
        if last {
            return counts;
        }
    }
}

#[tokio::test]
async fn what_has_expired_is_withdrawn_without_a_word_from_the_server() {
    let world = World::new(&["lab"]);
    for (event, expires_ms) in [
        ("late", Some(pipeline::now_ms() + 2_000)),
        ("later", Some(pipeline::now_ms() + 3_600_000)),
        ("never", None),
    ] {
        world.mapping.lock().unwrap().expires_ms = expires_ms;
        world.server("lab").set(event, event, "x");
        world.server("lab").publish(event);
        world.poll("lab").await;
    }
    assert_eq!(told(&world), (3, 0));
    let counts = poll_until(&world, "lab", pipeline::now_ms() + 2_000).await;
    assert_eq!(told(&world), (3, 1));
    assert_eq!(world.values("out"), has(&[("later", "x"), ("never", "x")]));
    assert_eq!(counts.received, 0, "nothing was read again");
    // It is still listed, and known: nobody asks for it.
    let sweep = world.poll_with("lab", sweeping()).await.counts().sweep;
    let sweep = sweep.unwrap();
    assert_eq!((sweep.listed, sweep.held, sweep.delivered), (3, 3, 2));
    assert_eq!((sweep.missing, sweep.stale, sweep.orphaned), (0, 0, 0));
    assert_eq!(told(&world), (3, 1));
}

#[tokio::test]
async fn what_expires_for_one_instance_stays_for_the_other() {
    let world = World::new(&["lab", "partner"]);
    for instance in ["lab", "partner"] {
        world.server(instance).set("e", "a", instance);
        world.server(instance).publish("e");
    }
    world.poll("partner").await;
    let soon = pipeline::now_ms() + 2_000;
    world.mapping.lock().unwrap().expires_ms = Some(soon);
    world.poll("lab").await;
    assert_eq!(told(&world), (2, 0));
    assert_eq!(world.values("out"), has(&[("a", "lab")]));
    world.mapping.lock().unwrap().expires_ms = None;
    poll_until(&world, "lab", soon).await;
    assert_eq!(told(&world), (2, 0), "the other still wants it");
    world.poll("partner").await;
    assert_eq!(world.values("out"), has(&[("a", "partner")]));
    world.poll("lab").await;
    assert_eq!(told(&world), (3, 0));
    // The last one lets go.
    world.server("partner").delete("e");
    world.poll_with("partner", sweeping()).await;
    assert_eq!(told(&world), (3, 1));
    assert_eq!(world.values("out"), has(&[]));
}

/// A world whose server does not answer any more, and with a document that expires soon.
async fn unanswering() -> World {
    let world = World::new(&["lab"]);
    world.mapping.lock().unwrap().expires_ms = Some(pipeline::now_ms() + 2_000);
    world.server("lab").set("e", "a", "x");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (1, 0));
    world.server("lab").down = true;
    world
}

/// Waits by the paused clock, which passes as fast as everything else has nothing to do.
async fn until_told(world: &World, what: (u64, u64)) {
    while told(world) != what {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_expires_while_the_source_does_not_answer() {
    let world = unanswering().await;
    let store = world.open();
    let (pipeline, ledger) = world.pipeline(&store, "lab", &[("out", "here")], service());
    let stop = CancellationToken::new();
    let (ended, ()) = tokio::join!(pipeline.run(stop.clone()), async {
        until_told(&world, (1, 1)).await;
        stop.cancel();
    });
    ended.unwrap();
    assert_eq!(ledger.counts().walks, 0, "no poll came to its end");
    assert_eq!(ledger.counts().outputs["out"].withdrawn, 1);
}

#[tokio::test(start_paused = true)]
async fn a_single_pass_deletes_what_has_expired_although_the_source_does_not_answer() {
    let world = unanswering().await;
    let store = world.open();
    while told(&world) == (1, 0) {
        let options = Options {
            backoff: Backoff::ONE_PASS,
            ..Options::default()
        };
        let (pipeline, _) = world.pipeline(&store, "lab", &[("out", "here")], options);
        let ended = pipeline.run(CancellationToken::new()).await;
        assert!(matches!(ended, Err(RunError::Source(_))), "{ended:?}");
    }
    assert_eq!(told(&world), (1, 1));
}
