//! What fails while a service runs ends nothing that somebody can put right, and hides nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::fakes::{Act, LATER, World};
use super::{run, service};
use crate::{Class, Failure, Health, Ledger, Options, RunError};

/// Runs a service for an hour; its account in the middle and in the end.
async fn for_an_hour(world: &Arc<World>) -> (Arc<Ledger>, Health) {
    let (pipeline, ledger) = world.pipeline(service());
    let stop = CancellationToken::new();
    let running = tokio::spawn(pipeline.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let at_first = ledger.health();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    (ledger, at_first)
}

fn failing(health: &Health) -> Vec<&Failure> {
    match health {
        Health::Degraded { failing, .. } => failing.iter().collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_waits_for_a_key_and_a_secret_from_its_first_contact_on() {
    let world = World::new(&[&["a"], &["b"]], &["out"]);
    world.source.then([Act::Fail(Class::Fatal); 7]);
    world.outputs["out"].then([Act::Fail(Class::Fatal); 7]);
    let (ledger, at_first) = for_an_hour(&world).await;
    let stages = failing(&at_first);
    assert_eq!(stages.len(), 1, "{at_first:?}");
    assert_eq!(
        (stages[0].stage.as_str(), stages[0].attempts),
        ("source", 1)
    );
    assert!(stages[0].again_ms.is_some());
    assert_eq!(world.stored("out"), ["a", "b"]);
    assert_eq!(ledger.health(), Health::Running);
    let last = ledger.last_failure().unwrap();
    assert_eq!((last.stage.as_str(), last.attempts), ("output out", 7));
    assert!(last.ended_ms.is_some() && last.again_ms.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_put_right_is_not_asked_for_all_the_time() {
    let world = World::new(&[&["a"]], &["out"]);
    world
        .source
        .then(std::iter::repeat_n(Act::Fail(Class::Fatal), 9_999));
    for_an_hour(&world).await;
    let asked = *world.asked.lock().unwrap();
    assert!((50..=130).contains(&asked), "{asked} in an hour");
}

#[tokio::test(start_paused = true)]
async fn one_pass_ends_at_once_with_what_a_person_must_put_right() {
    let world = World::new(&[&["a"]], &["out"]);
    world.source.then([Act::Work, Act::Fail(Class::Fatal)]);
    let (result, _) = run(&world, Options::default()).await;
    assert!(matches!(result, Err(RunError::Source(_))));
    assert_eq!(*world.asked.lock().unwrap(), 2);

    let world = World::new(&[&["a"]], &["out"]);
    world.outputs["out"].then([Act::Fail(Class::Fatal)]);
    let (result, _) = run(&world, Options::default()).await;
    assert!(matches!(result, Err(RunError::Output { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_works_hides_no_output_that_fails() {
    let world = World::new(&[&["a"], &["b"]], &["out"]);
    world.outputs["out"].then([Act::Fail(LATER); 9]);
    let (_, at_first) = for_an_hour(&world).await;
    // The second page was fetched while the first one could not be written.
    assert!(*world.asked.lock().unwrap() >= 2);
    assert_eq!(failing(&at_first)[0].stage, "output out", "{at_first:?}");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_state_ends_the_instance() {
    let world = World::new(&[&["a"]], &["out"]);
    world.store.then([Act::Fail(Class::Fatal)]);
    let (result, ledger) = run(&world, service()).await;
    assert!(matches!(result, Err(RunError::State(_))), "{result:?}");
    assert!(matches!(ledger.health(), Health::Failed { .. }));
}
