//! A sweep that cannot list what is there, beside a walk that goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::fakes::{Act, LATER, World};
use super::service;
use crate::{Class, Health, Options, RunError};

const HOUR: Duration = Duration::from_secs(3_600);

/// An instance that has walked before, and whose sweep is due; the listing does this.
fn due(acts: impl IntoIterator<Item = Act>) -> Arc<World> {
    let mut world = World::new(&[], &["out"]);
    let changed = Arc::get_mut(&mut world).unwrap();
    changed.listing = Some(super::fakes::Plan::default());
    changed.cursor = std::sync::Mutex::new(Some(crate::Cursor("0".to_owned())));
    world.done.lock().unwrap().insert("full walk".to_owned(), 1);
    world.listing.as_ref().unwrap().then(acts);
    world
}

/// Runs a service that polls every ten minutes for so long; how it is in the end.
async fn for_so_long(world: &Arc<World>, time: Duration) -> Health {
    let (pipeline, ledger) = world.pipeline(service());
    let stop = CancellationToken::new();
    let running = tokio::spawn(pipeline.run(stop.clone()));
    tokio::time::sleep(time).await;
    let health = ledger.health();
    stop.cancel();
    running.await.unwrap().unwrap();
    health
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_listed_holds_up_no_poll() {
    for class in [LATER, Class::Fatal] {
        let world = due(std::iter::repeat_n(Act::Fail(class), 9_999));
        let health = for_so_long(&world, 3 * HOUR).await;
        assert!(*world.asked.lock().unwrap() >= 17, "{class:?}");
        let listed = *world.listed.lock().unwrap();
        assert!((3..=20).contains(&listed), "{class:?}: {listed}");
        assert!(
            matches!(&health, Health::Degraded { stage, .. } if stage == "sweep"),
            "{class:?}: {health:?}"
        );
        assert_eq!(world.done.lock().unwrap().get("sweep"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_swept_when_it_can_be_listed_again() {
    let world = due([Act::Fail(Class::Fatal), Act::Fail(LATER), Act::Fail(LATER)]);
    let health = for_so_long(&world, 2 * HOUR).await;
    assert_eq!(health, Health::Running);
    assert!(world.done.lock().unwrap().contains_key("sweep"));
    assert_eq!(*world.listed.lock().unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn one_pass_says_that_it_was_not_swept() {
    let world = due([Act::Fail(Class::Fatal)]);
    let (result, _) = super::run(&world, Options::default()).await;
    assert!(matches!(result, Err(RunError::Source(_))), "{result:?}");
}
