//! Attributes that the instance's `only` and `except` exclude: not delivered, and deleted where
//! they were.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod world;

use std::sync::Arc;

use pipeline::{Criteria, Options, Selection};
use world::{World, sweeping, told};

fn types(types: &[&str]) -> Option<Criteria> {
    Some(Criteria {
        types: Some(types.iter().map(|one| (*one).to_owned()).collect()),
        ..Criteria::default()
    })
}

fn only(allowed: &[&str]) -> Options {
    Options {
        attributes: Arc::new(Selection {
            only: types(allowed),
            except: None,
        }),
        ..Options::default()
    }
}

fn except(dropped: &[&str]) -> Options {
    Options {
        attributes: Arc::new(Selection {
            only: None,
            except: types(dropped),
        }),
        ..Options::default()
    }
}

#[tokio::test]
async fn what_no_longer_passes_is_deleted_and_what_passes_again_comes_back() {
    let world = World::new(&["lab"]);
    world.server("lab").set("e", "a", "ip-src");
    world.server("lab").set("e", "b", "url");
    world.server("lab").publish("e");
    let counts = world.poll_with("lab", only(&["ip-src"])).await.counts();
    assert_eq!(told(&world), (1, 0));
    assert_eq!((counts.documents, counts.filtered), (2, 1));
    assert_eq!(counts.deletes, 0, "filtered is not deleted in MISP");
    assert!(world.values("out").keys().eq(["a"]));

    // A reconciliation knows what it holds back.
    let reconciling = Options {
        sweep: sweeping().sweep,
        ..only(&["ip-src"])
    };
    let found = world.poll_with("lab", reconciling).await.counts();
    assert_eq!(found.sweep.unwrap().missing, 0);
    assert_eq!(told(&world), (1, 0));

    // The attribute changes, so that it no longer passes.
    world.server("lab").set("e", "a", "url");
    world.server("lab").publish("e");
    let counts = world.poll_with("lab", only(&["ip-src"])).await.counts();
    assert_eq!(told(&world), (1, 1));
    assert_eq!(counts.filtered, 2);
    assert!(world.values("out").is_empty());

    // Another filter lets both through.
    world.server("lab").publish("e");
    let counts = world.poll_with("lab", except(&["ip-src"])).await.counts();
    assert_eq!(counts.filtered, 0);
    assert!(world.values("out").keys().eq(["a", "b"]));

    // And one that drops them deletes both.
    world.server("lab").publish("e");
    let counts = world.poll_with("lab", except(&["url"])).await.counts();
    assert_eq!(counts.filtered, 2);
    assert!(world.values("out").is_empty());
}
