//! What the filters of an instance match no longer, or match from now on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod world;

use pipeline::Options;
use world::{World, has, sweeping, told};

fn selecting(selection: &str) -> Options {
    Options {
        sweep: None,
        selection: Some(selection.to_owned()),
        ..Options::default()
    }
}

/// Events `e` and `f` with an attribute each, and `n` without one.
fn three() -> World {
    let world = World::new(&["lab"]);
    for (event, attribute) in [("e", "a"), ("f", "b"), ("n", "gone")] {
        world.server("lab").set(event, attribute, "x");
    }
    world.server("lab").remove("n", "gone");
    world.server("lab").publish_all();
    world
}

const ALL: [(&str, &str); 3] = [("a", "x"), ("b", "x"), ("n", "")];

#[tokio::test]
async fn a_changed_filter_polls_from_the_beginning_and_reconciles() {
    let world = three();
    let counts = world.poll_with("lab", selecting("all")).await.counts();
    assert!(!counts.selection_changed);
    assert_eq!(world.values("out"), has(&ALL));
    let counts = world.poll_with("lab", selecting("all")).await.counts();
    assert!(!counts.selection_changed);
    assert_eq!((counts.items, counts.sweep), (0, None));

    world.server("lab").hidden = ["f".to_owned(), "n".to_owned()].into();
    let counts = world.poll_with("lab", selecting("some")).await.counts();
    assert!(counts.selection_changed);
    assert_eq!(world.values("out"), has(&ALL[..1]));

    world.server("lab").hidden.clear();
    let counts = world.poll_with("lab", selecting("all")).await.counts();
    assert!(counts.selection_changed);
    assert_eq!(world.values("out"), has(&ALL));
    assert_eq!(told(&world), (5, 2), "what did not change was not sent");
}

#[tokio::test]
async fn an_event_that_leaves_the_filter_is_deleted_with_the_next_poll() {
    let world = three();
    let never = Options {
        sweep: None,
        ..Options::default()
    };
    world.poll_with("lab", never.clone()).await;
    world.server("lab").set("f", "b", "y");
    world.server("lab").publish("f");
    world.server("lab").hidden.insert("f".to_owned());
    world.poll_with("lab", never.clone()).await;
    assert_eq!(world.values("out"), has(&[("a", "x"), ("n", "")]));
    assert_eq!(world.open().wanted_count("lab").unwrap(), 0);
    world.server("lab").publish("f");
    world.server("lab").hidden.clear();
    world.poll_with("lab", never).await;
    assert_eq!(
        world.values("out"),
        has(&[("a", "x"), ("b", "y"), ("n", "")])
    );
}

#[tokio::test]
async fn a_sweep_deletes_no_event_that_is_published_again_while_it_is_listed() {
    let world = three();
    world.poll("lab").await;
    world.server("lab").published_while_listed = Some("f".to_owned());
    world.poll_with("lab", sweeping()).await;
    assert_eq!(
        world.values("out"),
        has(&[("a", "x"), ("b", "later"), ("n", "")])
    );
    assert_eq!(told(&world), (4, 0));
}

#[tokio::test]
async fn a_sweep_covers_events_without_attributes() {
    let world = three();
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&ALL));
    // One that is there stays; one that is filtered out, unpublished or gone does not.
    world.poll_with("lab", sweeping()).await;
    assert_eq!(told(&world), (3, 0));
    world.server("lab").hidden.insert("n".to_owned());
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), has(&ALL[..2]));
    world.server("lab").hidden.clear();
    world.server("lab").publish("n");
    world.poll("lab").await;
    assert_eq!(world.values("out"), has(&ALL));
    world.server("lab").unpublish("n");
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), has(&ALL[..2]));
    world.server("lab").publish("n");
    world.poll("lab").await;
    world.server("lab").delete("n");
    world.poll_with("lab", sweeping()).await;
    assert_eq!(world.values("out"), has(&ALL[..2]));
}
