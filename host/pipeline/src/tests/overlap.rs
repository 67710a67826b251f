//! A batch is prepared while the one before it is sent, and whatever comes of that, nothing is lost
//! and nothing overtakes anything.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::fakes::{Act, LATER, World};
use crate::{Backoff, BatchLimits, Class, Ledger, Options, RunError};

/// Batches of two documents.
fn in_pairs() -> Options {
    Options {
        batch: BatchLimits {
            attributes: 2,
            ..BatchLimits::default()
        },
        ..Options::default()
    }
}

/// The same, and whatever fails has failed.
fn one_try() -> Options {
    let attempts = Some(1);
    Options {
        backoff: Backoff {
            attempts,
            ..Backoff::ONE_PASS
        },
        ..in_pairs()
    }
}

/// One pass.
async fn run(world: &Arc<World>, options: Options) -> (Result<(), RunError>, Arc<Ledger>) {
    in_time(world, super::run(world, options)).await
}

/// Fails where something waits for what does not come.
async fn in_time<T>(world: &World, waiting: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(Duration::from_secs(3_600), waiting).await;
    ended.unwrap_or_else(|_| panic!("it waits: {:#?}", world.steps()))
}

/// Asserts that these steps were made, in this order, whatever was between them.
fn in_order(world: &World, wanted: &[&str]) {
    let steps = world.steps();
    let mut rest = steps.iter();
    for step in wanted {
        assert!(rest.any(|made| made == step), "{step}: {steps:#?}");
    }
}

/// Asserts that no step begins so.
fn never(world: &World, start: &str) {
    let steps = world.steps();
    let found = steps.iter().find(|step| step.starts_with(start));
    assert_eq!(found, None, "{steps:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_prepared_while_the_one_before_is_sent() {
    let world = World::new(&[&["a", "b", "c", "d", "e"]], &["out"]);
    world.outputs["out"].then([Act::After("note out c d"), Act::After("note out e")]);
    let (result, ledger) = run(&world, in_pairs()).await;
    result.unwrap();
    assert_eq!(
        world.steps(),
        [
            "look up out a b",
            "note out a b",
            "to out a b",
            "look up out c d",
            "note out c d",
            "out has a b",
            "remember out a b",
            "to out c d",
            "look up out e",
            "note out e",
            "out has c d",
            "remember out c d",
            "to out e",
            "out has e",
            "remember out e",
            "commit 1",
        ]
    );
    assert_eq!(ledger.counts().balance(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_it_is_noted() {
    let world = World::new(&[&["a", "b", "c", "d"]], &["out"]);
    let later = Act::Fail(LATER);
    world
        .noting
        .then([later, later, Act::Work, later, later, later]);
    let (result, _) = run(&world, in_pairs()).await;
    result.unwrap();
    for ids in ["a b", "c d"] {
        let (note, send) = (format!("note out {ids}"), format!("to out {ids}"));
        in_order(&world, &[&format!("cannot {note}"), &note, &send]);
        let steps = world.steps();
        assert_eq!(steps.iter().filter(|step| **step == send).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_until_the_output_has_the_one_before() {
    let world = World::new(&[&["a", "b", "c", "d"]], &["other", "out"]);
    world.outputs["out"].then([
        Act::FailAfter("note out c d", LATER),
        Act::Fail(LATER),
        Act::After("other has a b"),
    ]);
    let (result, _) = run(&world, in_pairs()).await;
    result.unwrap();
    let steps = world.steps();
    let sent = steps
        .iter()
        .filter(|step| step.starts_with("to out") || step.starts_with("out has"));
    assert_eq!(
        sent.collect::<Vec<_>>(),
        [
            "to out a b",
            "to out a b",
            "to out a b",
            "out has a b",
            "to out c d",
            "out has c d"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_document_that_comes_again_is_looked_up_when_the_first_is_remembered() {
    let world = World::new(&[&["a", "b", "b", "c", "d", "e"]], &["out"]);
    world.remembering.then([Act::Fail(LATER), Act::Fail(LATER)]);
    // What shares nothing goes on as ever.
    world.outputs["out"].then([Act::Work, Act::After("note out d e")]);
    let (result, _) = run(&world, in_pairs()).await;
    result.unwrap();
    in_order(
        &world,
        &[
            "out has a b",
            "cannot remember out a b",
            "remember out a b",
            "look up out b c",
            "note out b c",
            "to out b c",
            "look up out d e",
            "out has b c",
        ],
    );
    assert_eq!(world.stored("out"), ["a", "b", "b", "c", "d", "e"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_ends_between_its_last_batch_and_the_next_page() {
    let world = World::new(&[&["a", "b", "c"], &["d"]], &["out"]);
    let later = Act::Fail(LATER);
    world.remembering.then([Act::Work, later, later]);
    world.store.then([later, later]);
    let (result, _) = run(&world, in_pairs()).await;
    result.unwrap();
    in_order(
        &world,
        &[
            "cannot remember out c",
            "remember out c",
            "commit 1",
            "look up out d",
            "note out d",
            "to out d",
            "remember out d",
            "commit 2",
        ],
    );
    let steps = world.steps();
    let lookups = steps.iter().filter(|step| *step == "look up out d");
    assert_eq!(lookups.count(), 1, "{steps:#?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_left_behind_gets_nothing_of_what_was_prepared() {
    let mut world = World::new(&[&["a", "b", "c", "d", "e"]], &["fast", "slow"]);
    let ten = Duration::from_secs(10);
    let changed = Arc::get_mut(&mut world).unwrap();
    changed.optional.insert("slow", ten);
    world.outputs["slow"].then([Act::FailAfter("note slow c d", LATER); 5]);
    let (result, ledger) = run(&world, in_pairs()).await;
    result.unwrap();
    in_order(
        &world,
        &[
            "note slow c d",
            "remember fast a b",
            "to fast c d",
            "remember fast c d",
            "fast has e",
            "commit 1",
        ],
    );
    never(&world, "to slow c d");
    never(&world, "remember slow");
    never(&world, "look up slow e");
    assert_eq!(world.stored("fast"), ["a", "b", "c", "d", "e"]);
    let counts = ledger.counts();
    assert_eq!(counts.balance(), Ok(()));
    assert_eq!(counts.outputs["slow"].missed, 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_is_finished_when_the_next_cannot_be_prepared() {
    for (does, failed) in [
        ("look up", "cannot look up out c d"),
        ("note", "cannot note out c d"),
    ] {
        let world = World::new(&[&["a", "reject-1", "c", "d"]], &["out"]);
        let plan = if does == "note" {
            &world.noting
        } else {
            &world.looking_up
        };
        plan.then([Act::Work, Act::Fail(LATER)]);
        world.outputs["out"].then([Act::After(failed)]);
        let (result, ledger) = run(&world, one_try()).await;
        assert!(matches!(result, Err(RunError::State(_))), "{result:?}");
        in_order(
            &world,
            &[
                failed,
                "out has a reject-1",
                "1 letters",
                "remember out a reject-1",
            ],
        );
        never(&world, "to out c d");
        never(&world, "commit");
        let counts = ledger.counts();
        assert_eq!((counts.documents, counts.in_flight), (2, 2));
        assert_eq!(counts.balance(), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_sent_when_a_batch_fails() {
    let world = World::new(&[&["a", "b", "c", "d"]], &["out"]);
    world.outputs["out"].then([Act::FailAfter("note out c d", Class::Permanent)]);
    let (result, _) = run(&world, in_pairs()).await;
    assert!(matches!(result, Err(RunError::Output { .. })), "{result:?}");
    never(&world, "out has");
    never(&world, "to out c d");
    never(&world, "remember");
    never(&world, "commit");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_does_not_wait_for_another_to_come() {
    let world = World::new(&[&["a", "b", "c", "d"]], &["out"]);
    world.mapping.then([Act::Work, Act::Hang]);
    world.outputs["out"].then([Act::Fail(Class::Permanent)]);
    let (result, _) = run(&world, in_pairs()).await;
    assert!(matches!(result, Err(RunError::Output { .. })), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_down_after_the_end() {
    let world = World::new(&[&["a", "b", "c", "d"]], &["out"]);
    world.noting.then([Act::Work, Act::Hang]);
    let (open, gate) = std::sync::mpsc::channel();
    *world.gate.lock().unwrap() = Some(gate);
    world.outputs["out"].then([Act::FailAfter("begin to note out c d", Class::Permanent)]);
    let running = Arc::clone(&world);
    let running = tokio::spawn(async move { super::run(&running, in_pairs()).await.0 });
    in_time(&world, world.until("begin to note out c d")).await;
    // Much more often than what is given up needs to end.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished());
    open.send(()).unwrap();
    let result = running.await.unwrap();
    assert!(matches!(result, Err(RunError::Output { .. })), "{result:?}");
    in_order(&world, &["begin to note out c d", "note out c d"]);
}

#[tokio::test(start_paused = true)]
async fn letters_are_kept_before_their_documents_are_remembered() {
    let world = World::new(&[&["a", "reject-1", "c", "d"]], &["out"]);
    world.letters.then([Act::Fail(LATER), Act::Fail(LATER)]);
    let (result, _) = run(&world, in_pairs()).await;
    result.unwrap();
    in_order(
        &world,
        &[
            "out has a reject-1",
            "1 letters",
            "remember out a reject-1",
            "to out c d",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_next_batch_is_prepared() {
    let page: Vec<String> = (10..40).map(|number| number.to_string()).collect();
    let page: Vec<&str> = page.iter().map(String::as_str).collect();
    let world = World::new(&[&page], &["out"]);
    world.outputs["out"].then([Act::Hang]);
    let (pipeline, ledger) = world.pipeline(in_pairs());
    let hour = Duration::from_secs(3_600);
    let ran = tokio::time::timeout(hour, pipeline.run(CancellationToken::new())).await;
    assert!(ran.is_err());
    let steps = world.steps();
    let lookups = steps.iter().filter(|step| step.starts_with("look up"));
    assert_eq!(lookups.count(), 2, "{steps:#?}");
    // One that is sent, one that is prepared, one between the loops, one that is mapped.
    assert_eq!(ledger.counts().in_flight, 8);
}

#[tokio::test(start_paused = true)]
async fn a_stop_delivers_what_is_prepared() {
    let world = World::new(&[&["a", "b", "c", "d", "e"]], &["out"]);
    world.outputs["out"].then([Act::After("note out c d")]);
    let (pipeline, ledger) = world.pipeline(in_pairs());
    let stop = CancellationToken::new();
    let running = tokio::spawn(pipeline.run(stop.clone()));
    in_time(&world, world.until("to out a b")).await;
    stop.cancel();
    in_time(&world, running).await.unwrap().unwrap();
    assert_eq!(world.stored("out"), ["a", "b", "c", "d", "e"]);
    in_order(&world, &["remember out e", "commit 1"]);
    assert_eq!(ledger.counts().in_flight, 0);
}
