//! Events that are read by name, of which the source cannot give some.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::fakes::World;
use super::service;
use crate::{Options, RunError};

#[tokio::test(start_paused = true)]
async fn an_event_that_never_comes_holds_up_neither_the_others_nor_the_walk() {
    let world = World::new(&[&["a"], &["b"]], &["out"]);
    let wanted = ["broken-1", "broken-2", "good"];
    *world.wanted.lock().unwrap() = wanted.map(str::to_owned).to_vec();
    let (pipeline, _) = world.pipeline(service());
    let stop = CancellationToken::new();
    let running = tokio::spawn(pipeline.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(world.stored("out"), ["a", "b"]);
    let named = world.named.lock().unwrap().clone();
    for event in wanted {
        assert!(named.iter().any(|one| one == event), "{event}: {named:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_pass_says_that_an_event_did_not_come() {
    let world = World::new(&[&["a"]], &["out"]);
    *world.wanted.lock().unwrap() = vec!["broken".to_owned()];
    let (result, _) = super::run(&world, Options::default()).await;
    assert!(matches!(result, Err(RunError::Source(_))), "{result:?}");
}
