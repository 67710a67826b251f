//! What stops being valid: withdrawn when its time has come, whether or not it is read again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod world;

use std::time::Duration;

use pipeline::{
    Backoff, Changes, Counts, Fate, LetGo, Options, OutputKey, RunError, State, now_ms,
};
use tokio_util::sync::CancellationToken;
use world::{World, has, service, sweeping, told};

#[tokio::test]
async fn what_expires_is_withdrawn_and_comes_back_when_it_is_valid_again() {
    let world = World::new(&["lab"]);
    let soon = now_ms() + 3_600_000;
    world.mapping.lock().unwrap().expires_ms = Some(soon);
    world.server("lab").set("e", "a", "x");
    world.server("lab").publish("e");
    world.poll("lab").await;
    assert_eq!(told(&world), (1, 0));
    {
        let store = world.open();
        let key = out();
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

fn out() -> OutputKey {
    OutputKey {
        name: "out".to_owned(),
        target: "here".to_owned(),
    }
}

/// Polls until a time has passed; the last poll begins after it.
async fn poll_until(world: &World, instance: &'static str, time_ms: i64) -> Counts {
    loop {
        let last = now_ms() > time_ms;
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
        ("late", Some(now_ms() + 2_000)),
        ("later", Some(now_ms() + 3_600_000)),
        ("never", None),
    ] {
        world.mapping.lock().unwrap().expires_ms = expires_ms;
        world.server("lab").set(event, event, "x");
        world.server("lab").publish(event);
        world.poll("lab").await;
    }
    assert_eq!(told(&world), (3, 0));
    let counts = poll_until(&world, "lab", now_ms() + 2_000).await;
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
    let soon = now_ms() + 2_000;
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
    world.mapping.lock().unwrap().expires_ms = Some(now_ms() + 2_000);
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

const YEAR_S: i64 = 365 * 86_400;

#[tokio::test]
async fn an_unchanged_document_that_expires_later_stays() {
    let world = World::new(&["lab"]);
    let soon = now_ms() + 1_500;
    world.mapping.lock().unwrap().expires_ms = Some(soon);
    world.server("lab").set("e", "a", "x");
    world.server("lab").publish("e");
    world.poll("lab").await;
    world.mapping.lock().unwrap().expires_ms = None;
    world.server("lab").publish("e");
    world.poll("lab").await;
    poll_until(&world, "lab", soon).await;
    assert_eq!(told(&world), (1, 0), "not sent again, and not deleted");
}

#[tokio::test]
async fn so_many_that_expire_at_once_are_held_back_until_somebody_confirms() {
    let world = World::new(&["lab"]);
    let soon = now_ms() + 1_500;
    for (event, expires_ms) in [("soon", Some(soon)), ("never", None)] {
        world.mapping.lock().unwrap().expires_ms = expires_ms;
        for place in 0..11 {
            let attribute = format!("{event}{place}");
            world.server("lab").set(event, &attribute, "x");
        }
        world.server("lab").publish(event);
        world.poll("lab").await;
    }
    let counts = poll_until(&world, "lab", soon).await;
    assert_eq!(counts.expiry_held_back, 11);
    assert_eq!(told(&world), (22, 0));
    let confirmed = Options {
        sweep_confirmed: true,
        ..Options::default()
    };
    let counts = world.poll_with("lab", confirmed).await.counts();
    assert_eq!(counts.expiry_held_back, 0);
    assert_eq!(told(&world), (22, 11));
}

#[tokio::test]
async fn no_document_expires_while_the_clocks_differ() {
    let world = World::new(&["lab"]);
    world.mapping.lock().unwrap().expires_ms = Some(1);
    for off in [YEAR_S, -YEAR_S] {
        let server = now_ms() / 1_000 - off;
        world.server("lab").clock.set(server);
        world.server("lab").set("e", "a", "x");
        world.server("lab").publish("e");
        let counts = world.poll("lab").await.counts();
        let apart = counts.clocks_apart_s.unwrap();
        assert!((apart - off).abs() < 60, "{apart}");
        assert_eq!(world.values("out"), has(&[("a", "x")]));
    }
    assert_eq!(told(&world), (1, 0));
    world.server("lab").clock.set(now_ms() / 1_000);
    let counts = world.poll("lab").await.counts();
    assert_eq!(counts.clocks_apart_s, None);
    assert_eq!(told(&world), (1, 1));
}

/// A world with a document that expires in an hour, and that a wrong clock has already deleted.
async fn expired_too_early() -> World {
    let world = World::new(&["lab"]);
    world.mapping.lock().unwrap().expires_ms = Some(now_ms() + 3_600_000);
    world.server("lab").set("e", "a", "x");
    world.server("lab").publish("e");
    world.poll("lab").await;
    let store = world.open();
    let version = store.next_version(0).unwrap();
    let key = out();
    let changes = Changes {
        instance: "lab",
        output: &key,
        version,
        documents: Vec::new(),
        without: Vec::new(),
        let_go: vec![LetGo {
            id: "a",
            event: "e",
            attribute: Some("a"),
            sent: Some(Fate::Expired),
            still_listed: true,
        }],
    };
    State::record(&*store, &[changes]).unwrap();
    world
}

#[tokio::test]
async fn what_a_wrong_clock_deleted_comes_back_with_a_sweep() {
    let world = expired_too_early().await;
    world.poll("lab").await;
    assert_eq!(told(&world), (1, 0));
    let ledger = world.poll_with("lab", sweeping()).await;
    assert_eq!(ledger.counts().sweep.unwrap().stale, 1);
    assert_eq!(told(&world), (2, 0));
    let ledger = world.poll_with("lab", sweeping()).await;
    assert_eq!(ledger.counts().sweep.unwrap().stale, 0);
}

#[tokio::test]
async fn what_a_wrong_clock_deleted_comes_back_at_once_when_the_clock_is_set_back() {
    let world = expired_too_early().await;
    let ahead = now_ms() + YEAR_S * 1_000;
    world.open().set_done("lab", "expiry", ahead).unwrap();
    world.poll("lab").await;
    assert_eq!(told(&world), (2, 0));
    world.poll("lab").await;
    assert_eq!(told(&world), (2, 0));
}

#[tokio::test]
async fn a_document_of_several_attributes_and_events_expires_once() {
    let world = World::new(&["lab"]);
    let soon = now_ms() + 1_500;
    {
        let mut mapping = world.mapping.lock().unwrap();
        mapping.by_value = true;
        mapping.expires_ms = Some(soon);
    }
    for (event, attribute) in [("e", "a"), ("e", "b"), ("f", "c")] {
        world.server("lab").set(event, attribute, "x");
    }
    world.server("lab").publish_all();
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&[("x", "x")]));
    let polls = async {
        poll_until(&world, "lab", soon).await;
        // Those who want it have been asked for their copies: all of them have expired, also by
        // the server's clock.
        world.mapping.lock().unwrap().expires_ms = Some(1);
        world.poll("lab").await;
    };
    let within = Duration::from_secs(60);
    tokio::time::timeout(within, polls).await.unwrap();
    assert_eq!(world.values("out"), has(&[]));
}
