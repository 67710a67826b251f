//! Outputs whose target changes, and outputs that are taken out of the configuration and put
//! back: each target gets everything.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod world;

use std::collections::BTreeMap;

use pipeline::Options;
use tokio_util::sync::CancellationToken;
use world::World;

const OPTIONAL: &str = "optional";

/// One poll by a host that starts and ends with it.
async fn poll(world: &World, outputs: &[(&str, &str)]) {
    let store = world.open();
    let (pipeline, ledger) = world.pipeline(&store, "lab", outputs, Options::default());
    pipeline.run(CancellationToken::new()).await.unwrap();
    assert_eq!(ledger.counts().balance(), Ok(()));
}

fn lab() -> World {
    let world = World::new(&["lab"]);
    for event in ["one", "two", "three", "four", "five"] {
        world.server("lab").set(event, event, "old");
        world.server("lab").publish(event);
    }
    world
}

/// The values that an output has at a target, by id.
fn values(world: &World, name: &str, target: &str) -> BTreeMap<String, String> {
    let received = world.received(name, target);
    let received = received.lock().unwrap();
    received
        .documents
        .iter()
        .map(|(id, (body, _))| (id.clone(), body.clone()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_target_does_not_continue_where_the_old_one_was() {
    let world = lab();
    poll(&world, &[("out", "here")]).await;

    let wrong = [("out", "here"), (OPTIONAL, "wrong")];
    let received = world.received(OPTIONAL, "wrong");
    received.lock().unwrap().down_after = Some(1);
    poll(&world, &wrong).await;
    assert_eq!(
        received.lock().unwrap().puts,
        2,
        "a page of two of the five events"
    );

    poll(&world, &[("out", "here"), (OPTIONAL, "right")]).await;
    assert_eq!(
        values(&world, OPTIONAL, "right"),
        world.server("lab").published()
    );

    // The old target continues where it was left.
    {
        let mut received = received.lock().unwrap();
        received.down = false;
        received.down_after = None;
    }
    poll(&world, &wrong).await;
    assert_eq!(
        values(&world, OPTIONAL, "wrong"),
        world.server("lab").published()
    );
    assert_eq!(received.lock().unwrap().puts, 5, "nothing is sent twice");
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_put_back_gets_what_came_meanwhile() {
    let world = lab();
    let both = [("out", "here"), ("second", "here")];
    poll(&world, &both).await;
    {
        let mut server = world.server("lab");
        server.set("two", "two", "new");
        server.set("two", "more", "new");
        server.publish("two");
        server.remove("three", "three");
        server.set("three", "other", "new");
        server.publish("three");
    }
    poll(&world, &both[..1]).await;
    poll(&world, &both).await;
    let published = world.server("lab").published();
    assert_eq!(values(&world, "out", "here"), published);
    assert_eq!(values(&world, "second", "here"), published);
    assert_eq!(world.received("second", "here").lock().unwrap().puts, 8);
    assert_eq!(world.open().instances().unwrap().len(), 1);
}
