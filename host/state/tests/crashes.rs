//! Any history of a server, any failures and crashes: at the end the output has what the
//! server has, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod world;

use std::time::Duration;

use pipeline::Options;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use world::{ONE_BY_ONE, World, sweeping};

/// What happens on the server, or to the host.
#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8, u8),
    Remove(u8, u8),
    Publish(u8),
    Delete(u8),
    /// An event appears behind the cursor, as no clock would show it.
    Smuggle(u8, u8),
    Poll,
    Sweep,
    /// Until the end, answers hold an event twice: first as it is now.
    Twice(u8),
    /// A poll during which the output fails once, after so many batches.
    PollWithFailure(u32),
    /// A poll that is killed when the output has taken so many batches: before the next is
    /// taken, or when it is and nobody has heard of it.
    Crash(u32, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_u8, 0..3_u8, 0..3_u8).prop_map(|(e, a, v)| Step::Set(e, a, v)),
        3 => (0..2_u8, 0..3_u8).prop_map(|(e, a)| Step::Remove(e, a)),
        6 => (0..2_u8).prop_map(Step::Publish),
        1 => (0..2_u8).prop_map(Step::Delete),
        1 => (0..2_u8, 0..3_u8).prop_map(|(e, a)| Step::Smuggle(e, a)),
        1 => (0..2_u8).prop_map(Step::Twice),
        4 => Just(Step::Poll),
        1 => Just(Step::Sweep),
        2 => (0..3_u32).prop_map(Step::PollWithFailure),
        4 => (0..3_u32, any::<bool>()).prop_map(|(batches, late)| Step::Crash(batches, late)),
    ]
}

/// Attributes belong to their event: their uuids are made of both.
fn names(event: u8, attribute: u8) -> (String, String) {
    (format!("e{event}"), format!("e{event}-{attribute}"))
}

async fn take(world: &World, step: &Step) {
    let confirmed = Options {
        sweep_confirmed: true,
        ..sweeping()
    };
    match *step {
        Step::Set(event, attribute, value) => {
            let (event, attribute) = names(event, attribute);
            world
                .server("lab")
                .set(&event, &attribute, &value.to_string());
        }
        Step::Remove(event, attribute) => {
            let (event, attribute) = names(event, attribute);
            world.server("lab").remove(&event, &attribute);
        }
        Step::Publish(event) => world.server("lab").publish(&names(event, 0).0),
        Step::Delete(event) => world.server("lab").delete(&names(event, 0).0),
        Step::Smuggle(event, attribute) => {
            let (event, attribute) = names(event, attribute);
            let mut server = world.server("lab");
            server.set(&event, &attribute, "smuggled");
            if let Some(event) = server.events.get_mut(&event) {
                (event.published, event.publish_timestamp) = (true, 1);
            }
        }
        Step::Twice(event) => {
            let (event, _) = names(event, 0);
            let mut server = world.server("lab");
            if let Some(now) = server.events.get(&event).cloned() {
                server.earlier.insert(event, now);
            }
        }
        Step::Poll => drop(world.poll("lab").await),
        Step::Sweep => drop(world.poll_with("lab", confirmed).await),
        Step::PollWithFailure(batches) => {
            world.received("out", "here").lock().unwrap().fails_after = Some(batches);
            world.poll("lab").await;
            world.received("out", "here").lock().unwrap().fails_after = None;
        }
        Step::Crash(batches, late) => {
            let received = world.received("out", "here");
            {
                let mut received = received.lock().unwrap();
                (received.hangs_after, received.hangs_late) = (Some(batches), late);
            }
            let store = world.open();
            let (pipeline, ledger) = world.pipeline(&store, "lab", &[("out", "here")], sweeping());
            let run = pipeline.run(CancellationToken::new());
            // The clock is paused: this ends it where it hangs, if it does.
            let _ = tokio::time::timeout(Duration::from_secs(3_600), run).await;
            assert_eq!(ledger.counts().balance(), Ok(()));
            received.lock().unwrap().hangs_after = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_happens_the_output_ends_where_the_server_is(
        steps in prop::collection::vec(step(), 1..40),
        one_by_one in any::<bool>(),
    ) {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        executor.block_on(async {
            let mut world = World::new(&["lab"]);
            if one_by_one {
                world.batch = ONE_BY_ONE;
            }
            for step in &steps {
                // In one batch, the runtime lets no two documents have an id.
                if one_by_one || !matches!(step, Step::Twice(_)) {
                    take(&world, step).await;
                }
            }
            world.server("lab").earlier.clear();
            world.server("lab").publish_all();
            take(&world, &Step::Poll).await;
            take(&world, &Step::Sweep).await;
            let mut values = world.values("out");
            // The documents of events without attributes are no part of this.
            values.retain(|id, _| id.contains('-'));
            prop_assert_eq!(&values, &world.server("lab").published());
            let puts = world.received("out", "here").lock().unwrap().puts;
            take(&world, &Step::Poll).await;
            take(&world, &Step::Sweep).await;
            let again = world.received("out", "here").lock().unwrap().puts;
            prop_assert_eq!(puts, again, "an unchanged server sends nothing");
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_walk_that_was_killed_is_swept_when_another_ends_it() {
    let world = World::new(&["lab"]);
    for event in 0..4 {
        let (event, attribute) = names(event, 0);
        world.server("lab").set(&event, &attribute, "x");
        world.server("lab").publish(&event);
    }
    // The first page is there, the rest is not; meanwhile its event goes, and one comes behind
    // the cursor.
    take(&world, &Step::Crash(1, false)).await;
    assert!(!world.values("out").is_empty());
    take(&world, &Step::Delete(0)).await;
    take(&world, &Step::Smuggle(5, 0)).await;
    take(&world, &Step::Sweep).await;
    assert_eq!(world.values("out"), world.server("lab").published());
}

/// Changes the attribute of the one event, publishes, and polls; or is killed when the output has
/// taken what was sent and nobody has heard of it.
async fn becomes(world: &World, value: Option<u8>, killed: bool) {
    let step = value.map_or(Step::Remove(0, 0), |value| Step::Set(0, 0, value));
    take(world, &step).await;
    take(world, &Step::Publish(0)).await;
    let poll = if killed {
        Step::Crash(0, true)
    } else {
        Step::Poll
    };
    take(world, &poll).await;
}

async fn with_two_attributes() -> World {
    let world = World::new(&["lab"]);
    world.server("lab").set("e0", "e0-1", "stays");
    becomes(&world, Some(1), false).await;
    world
}

#[tokio::test(start_paused = true)]
async fn what_changed_back_after_a_kill_is_sent_again() {
    let world = with_two_attributes().await;
    becomes(&world, Some(2), true).await;
    assert_eq!(world.values("out")["e0-0"], "2");
    becomes(&world, Some(1), false).await;
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test(start_paused = true)]
async fn what_came_back_after_a_kill_while_it_was_withdrawn_is_sent_again() {
    let world = with_two_attributes().await;
    becomes(&world, None, true).await;
    assert!(!world.values("out").contains_key("e0-0"));
    becomes(&world, Some(1), false).await;
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test(start_paused = true)]
async fn what_changed_between_two_kills_is_another_revision() {
    let world = with_two_attributes().await;
    becomes(&world, Some(2), true).await;
    becomes(&world, None, true).await;
    becomes(&world, Some(0), true).await;
    // As it was when the first was killed.
    becomes(&world, Some(2), false).await;
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test(start_paused = true)]
async fn what_two_kills_left_under_two_mappings_is_under_one() {
    let world = with_two_attributes().await;
    for (value, name) in [(2, "a"), (0, "b"), (1, "a"), (2, "c")] {
        name.clone_into(&mut world.mapping.lock().unwrap().name);
        becomes(&world, Some(value), true).await;
    }
    becomes(&world, None, false).await;
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test(start_paused = true)]
async fn what_a_kill_left_by_the_ids_of_two_mappings_is_withdrawn_with_its_event() {
    let world = with_two_attributes().await;
    "'".clone_into(&mut world.mapping.lock().unwrap().ids);
    becomes(&world, Some(2), true).await;
    assert_eq!(world.values("out").len(), 4, "by both");
    take(&world, &Step::Delete(0)).await;
    take(&world, &Step::Sweep).await;
    assert_eq!(world.values("out"), world.server("lab").published());
}

#[tokio::test(start_paused = true)]
async fn what_came_back_behind_the_cursor_after_a_kill_in_a_sweep_is_found_by_the_next() {
    let world = with_two_attributes().await;
    let before = world.server("lab").events["e0"].clone();
    take(&world, &Step::Delete(0)).await;
    take(&world, &Step::Crash(0, true)).await;
    assert!(world.values("out").is_empty());
    world.server("lab").events.insert("e0".to_owned(), before);
    take(&world, &Step::Sweep).await;
    assert_eq!(world.values("out"), world.server("lab").published());
}
