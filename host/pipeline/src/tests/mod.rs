//! The pipeline against scripted sides, with a paused clock.

mod at_work;
mod crash;
mod fake_state;
mod fakes;
mod named;
mod overlap;
mod swap;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use fakes::{Act, LATER, World};
use tokio_util::sync::CancellationToken;

use crate::{Backoff, Class, Health, Ledger, Options, RunError};

async fn run(world: &Arc<World>, options: Options) -> (Result<(), RunError>, Arc<Ledger>) {
    let (pipeline, ledger) = world.pipeline(options);
    let result = pipeline.run(CancellationToken::new()).await;
    (result, ledger)
}

fn service() -> Options {
    Options {
        interval: Some(Duration::from_secs(600)),
        backoff: Backoff::SERVICE,
        ..Options::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_committed_after_every_document_of_it_and_before_the_next() {
    let world = World::new(&[&["a", "b", "c"], &["d"]], &["out"]);
    let (result, ledger) = run(&world, Options::default()).await;
    result.unwrap();
    assert_eq!(
        world.log(),
        ["out a", "out b", "out c", "commit 1", "out d", "commit 2"]
    );
    let counts = ledger.counts();
    assert_eq!(
        (counts.received, counts.documents, counts.in_flight),
        (4, 4, 0)
    );
    assert_eq!(counts.balance(), Ok(()));
    assert_eq!(ledger.health(), Health::Running);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_fails_for_a_while_loses_nothing() {
    let world = World::new(&[&["a"], &["b"]], &["out"]);
    world.outputs["out"].then([Act::Fail(LATER); 4]);
    let (result, ledger) = run(&world, Options::default()).await;
    result.unwrap();
    assert_eq!(world.log(), ["out a", "commit 1", "out b", "commit 2"]);
    assert_eq!(ledger.counts().balance(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn one_pass_gives_up_and_commits_nothing_of_what_failed() {
    let world = World::new(&[&["a"]], &["out"]);
    world.outputs["out"].then([Act::Fail(LATER); 9]);
    let (result, ledger) = run(&world, Options::default()).await;
    assert!(matches!(result, Err(RunError::Output { name, .. }) if name == "out"));
    assert_eq!(world.log(), Vec::<String>::new());
    assert!(matches!(ledger.health(), Health::Failed { .. }));
    assert_eq!(ledger.counts().in_flight, 1);
    assert_eq!(ledger.counts().balance(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_kept_before_the_page_counts_as_done() {
    let world = World::new(&[&["a", "refuse-1", "reject-1"]], &["out"]);
    world.letters.then([Act::Fail(LATER), Act::Fail(LATER)]);
    let (result, ledger) = run(&world, Options::default()).await;
    result.unwrap();
    assert_eq!(world.log(), ["out a", "2 letters", "commit 1"]);
    let kept = world.kept.lock().unwrap();
    let mut by: Vec<_> = kept
        .iter()
        .map(|letter| (letter.attribute.clone().unwrap(), letter.output.clone()))
        .collect();
    by.sort();
    assert_eq!(
        by,
        [
            ("refuse-1".to_owned(), None),
            ("reject-1".to_owned(), Some("out".to_owned()))
        ]
    );
    assert_eq!((ledger.counts().refused, ledger.counts().documents), (2, 2));
    assert_eq!(ledger.counts().balance(), Ok(()));
}

/// One that nests too deeply to be read: the others of its event go out, the page counts as done,
/// and the letter names the event.
#[tokio::test(start_paused = true)]
async fn an_attribute_that_cannot_be_read_costs_itself() {
    let world = World::new(&[&["a", "deep-1", "c"], &["deep-2"], &["d"]], &["out"]);
    let (result, ledger) = run(&world, Options::default()).await;
    result.unwrap();
    let log = world.log();
    let documents = log.iter().filter(|line| line.starts_with("out "));
    assert_eq!(documents.collect::<Vec<_>>(), ["out a", "out c", "out d"]);
    assert_eq!(log.last().map(String::as_str), Some("commit 3"));
    let kept = world.kept.lock().unwrap();
    let events: Vec<_> = kept.iter().map(|letter| letter.event.as_deref()).collect();
    assert_eq!(events, [Some("e1"), Some("e2")]);
    assert!(kept.iter().all(|letter| letter.input.contains("deep-")));
    assert_eq!((ledger.counts().refused, ledger.counts().documents), (2, 3));
    assert_eq!(ledger.counts().balance(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn letters_that_cannot_be_kept_stop_the_page() {
    let world = World::new(&[&["refuse-1"]], &["out"]);
    world.letters.then([Act::Fail(LATER); 9]);
    let (result, _) = run(&world, Options::default()).await;
    assert!(matches!(result, Err(RunError::DeadLetters(_))));
    assert_eq!(world.log(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_broken_mapping_or_output_commits_nothing() {
    let world = World::new(&[&["a"]], &["out"]);
    world.mapping.then([Act::Fail(Class::Fatal)]);
    let (result, _) = run(&world, service()).await;
    assert!(matches!(result, Err(RunError::Transform(_))));
    world.mapping.then([Act::Short]);
    let (result, _) = run(&world, service()).await;
    assert!(matches!(result, Err(RunError::Count { .. })));
    world.outputs["out"].then([Act::Short]);
    let (result, _) = run(&world, service()).await;
    assert!(matches!(result, Err(RunError::Count { .. })));
    world.outputs["out"].then([Act::Fail(Class::Permanent)]);
    let (result, _) = run(&world, service()).await;
    assert!(matches!(result, Err(RunError::Output { .. })));
    assert_eq!(*world.cursor.lock().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_fails_for_a_while_is_tried_again() {
    let world = World::new(&[&["a"]], &["out"]);
    world.store.then([Act::Fail(LATER), Act::Fail(LATER)]);
    let (result, _) = run(&world, Options::default()).await;
    result.unwrap();
    assert_eq!(world.log(), ["out a", "commit 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_waits_for_the_slowest_output() {
    let world = World::new(&[&["a"], &["b"]], &["fast", "slow"]);
    world.outputs["slow"].then([Act::Fail(LATER); 3]);
    let (result, ledger) = run(&world, Options::default()).await;
    result.unwrap();
    // Which of two outputs that both take a page at once is first, nobody promises.
    let mut log = world.log();
    log[3..5].sort();
    assert_eq!(
        log,
        [
            "fast a", "slow a", "commit 1", "fast b", "slow b", "commit 2"
        ]
    );
    assert_eq!(ledger.counts().balance(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_output_stops_the_polling() {
    let pages: Vec<&[&str]> = vec![&["x"]; 50];
    let world = World::new(&pages, &["out"]);
    world.outputs["out"].then([Act::Hang]);
    let (pipeline, ledger) = world.pipeline(service());
    let hour = Duration::from_secs(3_600);
    let ran = tokio::time::timeout(hour, pipeline.run(CancellationToken::new())).await;
    assert!(ran.is_err());
    let asked = *world.asked.lock().unwrap();
    assert!(asked <= 6, "{asked} pages were asked for");
    assert!(ledger.counts().in_flight <= 4);
}

#[tokio::test(start_paused = true)]
async fn the_next_walk_starts_an_interval_after_the_last_one_started() {
    let world = World::new(&[&["a"]], &["out"]);
    let (pipeline, ledger) = world.pipeline(service());
    let run = pipeline.run(CancellationToken::new());
    let ran = tokio::time::timeout(Duration::from_secs(3 * 600 - 1), run).await;
    assert!(ran.is_err());
    assert_eq!(ledger.counts().walks, 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_delivers_what_is_on_its_way() {
    let world = World::new(&[&["a"]], &["out"]);
    let (pipeline, _) = world.pipeline(service());
    let stop = CancellationToken::new();
    let later = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        later.cancel();
    });
    pipeline.run(stop).await.unwrap();
    assert_eq!(world.log(), ["out a", "commit 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_an_output_that_is_down() {
    let world = World::new(&[&["a"]], &["out"]);
    world.outputs["out"].then([Act::Fail(LATER); 99]);
    let (pipeline, ledger) = world.pipeline(service());
    let stop = CancellationToken::new();
    let later = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        later.cancel();
    });
    let result = pipeline.run(stop).await;
    assert!(matches!(result, Err(RunError::Stopped { .. })));
    assert_eq!(*world.cursor.lock().unwrap(), None);
    assert_eq!(ledger.counts().balance(), Ok(()));
}
