//! What may go wrong between two requests of one walk, and on servers with habits of their own:
//! nothing unreviewed comes, nothing is lost, and nothing is called whole that is not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use common::came::{BOTH, Came, Endpoint, listed, published, small, source, walk};
use common::map;
use misp_client::{CursorKind, WalkOptions};
use misp_ecs_tests::FakeMisp;
use misp_ecs_tests::events::{self, BASE_TIME, attr, event};
use misp_ecs_tests::fake_misp::{Fault, Store};
use serde_json::{Value, json};

/// A published event of so many attributes, and then so many that are marked as deleted.
fn sized_event(seed: u64, live: u64, deleted: u64) -> Value {
    let mut built = event(seed, "x").published_at(BASE_TIME + 5);
    for number in 0..live + deleted {
        let one = attr("text", &format!("{seed}-{number}"));
        built = built.attribute(if number < live {
            one
        } else {
            one.with("deleted", true)
        });
    }
    // As MISP counts: live ones.
    built.with("attribute_count", live.to_string()).build()
}

fn first_attribute(store: &Store, nth: usize) -> String {
    let first = &store.events()[nth]["Attribute"][0]["uuid"];
    first.as_str().unwrap_or_default().to_owned()
}

/// The place among all searches of the first of `attributes/restSearch`.
async fn first_of_attributes(misp: &FakeMisp, options: WalkOptions) -> usize {
    let mut came = Came::default();
    let mut probe = source(misp, Endpoint::Attributes, options, None);
    walk(probe.as_mut(), &mut came).await;
    let searches = misp.searches();
    searches
        .iter()
        .position(|request| request.path == "/attributes/restSearch")
        .unwrap()
}

#[tokio::test]
async fn what_is_edited_before_it_is_read_waits_for_its_publication() {
    let misp = FakeMisp::start().await;
    misp.add_all([sized_event(1, 3, 0), sized_event(2, 3, 0)]);
    let nth = first_of_attributes(&misp, small()).await;
    let (edited, other) = (events::uuid(1, 0), events::uuid(2, 0));
    let gone = misp.with_store(|store| first_attribute(store, 0));
    let target = (edited.clone(), gone.clone());
    misp.before_search(nth, move |store| {
        store.advance(100);
        store.edit(&target.0, |event| {
            event["Attribute"][1]["value"] = "not reviewed".into();
        });
        store.hard_delete(&target.0, &target.1);
    });
    let mut came = Came::default();
    let mut walked = source(&misp, Endpoint::Attributes, small(), None);
    walk(walked.as_mut(), &mut came).await;
    assert!(
        came.attributes
            .values()
            .all(|value| value != "not reviewed"),
        "an unpublished edit came"
    );
    assert!(!came.whole.contains(&edited), "it would be withdrawn");
    assert!(came.whole.contains(&other));
    misp.with_store(|store| {
        store.publish(&edited);
        store.advance(10);
    });
    walk(walked.as_mut(), &mut came).await;
    assert!(
        came.attributes
            .values()
            .any(|value| value == "not reviewed")
    );
    assert!(came.whole.contains(&edited));
}

#[tokio::test]
async fn an_event_that_vanishes_between_pages_takes_nothing_with_it() {
    for live in [8, 20, 30] {
        let misp = FakeMisp::start().await;
        // More than a page, since those marked as deleted come but are not counted.
        misp.add_all([sized_event(1, live, 6), sized_event(2, live, 6)]);
        let options = || small();
        let nth = first_of_attributes(&misp, options()).await;
        for after in 0..6 {
            misp.with_store(|store| {
                store.delete(&events::uuid(1, 0));
                store.delete(&events::uuid(2, 0));
            });
            misp.add_all([sized_event(1, live, 6), sized_event(2, live, 6)]);
            let gone = events::uuid(1, 0);
            misp.before_search(nth + after, move |store| store.delete(&gone));
            let mut came = Came::default();
            let mut walked = source(&misp, Endpoint::Attributes, small(), None);
            walk(walked.as_mut(), &mut came).await;
            if came.whole.contains(&events::uuid(2, 0)) {
                let missing: Vec<String> = published(&misp)
                    .into_iter()
                    .filter(|uuid| !came.attributes.contains_key(uuid))
                    .collect();
                assert!(missing.len() <= usize::try_from(live).unwrap());
                let other: Vec<&String> = missing
                    .iter()
                    .filter(|uuid| {
                        misp.with_store(|store| {
                            store.events().iter().any(|event| {
                                event["uuid"] == *events::uuid(2, 0)
                                    && event["Attribute"]
                                        .as_array()
                                        .unwrap()
                                        .iter()
                                        .any(|one| one["uuid"] == ***uuid)
                            })
                        })
                    })
                    .collect();
                assert!(other.is_empty(), "live {live}, after {after}: {other:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_event_that_never_keeps_still_does_not_make_others_whole() {
    let misp = FakeMisp::start().await;
    misp.add_all([sized_event(1, 9, 20), sized_event(2, 9, 6)]);
    // Before every search from the first page on, one attribute of the first event goes.
    for nth in 1..40 {
        misp.before_search(nth, |store| {
            store.advance(10);
            let first = first_attribute(store, 0);
            store.hard_delete(&events::uuid(1, 0), &first);
            store.publish(&events::uuid(1, 0));
        });
    }
    let mut came = Came::default();
    let mut walked = source(&misp, Endpoint::Attributes, small(), None);
    while let Some(page) = walked.next_page().await.unwrap() {
        came.take(page);
        if came.whole.contains(&events::uuid(2, 0)) {
            let there = misp.with_store(|store| {
                let event = store.events().last().unwrap().clone();
                event["Attribute"].as_array().unwrap().clone()
            });
            for one in there.iter().filter(|one| one["deleted"] == false) {
                let uuid = one["uuid"].as_str().unwrap();
                assert!(came.attributes.contains_key(uuid), "{uuid} is withdrawn");
            }
        }
    }
}

#[tokio::test]
async fn a_count_of_zero_is_not_believed() {
    let misp = FakeMisp::start().await;
    let mut counted_wrongly = sized_event(1, 4, 0);
    counted_wrongly["attribute_count"] = "0".into();
    misp.add(counted_wrongly);
    let mut came = Came::default();
    let mut walked = source(&misp, Endpoint::Attributes, small(), None);
    walk(walked.as_mut(), &mut came).await;
    assert_eq!(came.uuids(), published(&misp));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_costs_no_other() {
    let misp = FakeMisp::start().await;
    misp.add_all([sized_event(1, 3, 0), sized_event(2, 3, 0)]);
    // A key twice: whoever reads it into a structure refuses it.
    misp.next(Fault::Body(format!(
        "{{\"response\":[{{\"Event\":{{\"id\":\"9\",\"id\":\"1\",\"uuid\":\"{}\",\
             \"timestamp\":\"{BASE_TIME}\",\"publish_timestamp\":\"{}\",\"published\":true,\
             \"attribute_count\":\"3\",\"info\":\"x\"}}}}]}}",
        events::uuid(1, 0),
        BASE_TIME + 5,
    )));
    let mut came = Came::default();
    let mut walked = source(&misp, Endpoint::Attributes, small(), None);
    loop {
        match walked.next_page().await {
            Ok(Some(page)) => came.take(page),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    walk(walked.as_mut(), &mut came).await;
    let first = misp.with_store(|store| first_attribute(store, 0));
    assert!(came.attributes.contains_key(&first));
}

#[tokio::test]
async fn pages_of_attributes_shrink_when_the_server_chokes() {
    let misp = FakeMisp::start().await;
    misp.add_all([
        sized_event(1, 19, 0),
        sized_event(2, 50, 0),
        sized_event(3, 5, 0),
    ]);
    misp.habits(|habits| habits.memory_exceeded_above = Some(7));
    let mut came = Came::default();
    let mut walked = source(&misp, Endpoint::Attributes, small(), None);
    let mut failures = 0;
    loop {
        match walked.next_page().await {
            Ok(Some(page)) => came.take(page),
            Ok(None) => break,
            Err(error) => {
                failures += 1;
                assert!(failures < 10, "{error}");
            }
        }
    }
    assert_eq!(came.uuids(), published(&misp));
    assert_eq!(came.whole.len(), 3);
}

#[tokio::test]
async fn filters_that_shape_an_answer_do_not_change_the_listing() {
    let misp = FakeMisp::start().await;
    misp.add_all([sized_event(1, 3, 2), sized_event(2, 3, 0)]);
    for filters in [
        json!({"deleted": [0, 1]}),
        json!({"headerless": 1}),
        json!({"metadata": 0, "includeContext": 1, "withAttachments": 1}),
    ] {
        let options = WalkOptions {
            filters: map(filters.clone()),
            ..small()
        };
        let walked = source(&misp, Endpoint::Events, options, None);
        assert_eq!(listed(walked.as_ref()).await, published(&misp), "{filters}");
    }
}

#[tokio::test]
async fn the_clock_of_the_walk_is_no_filter_of_the_user() {
    let misp = FakeMisp::start().await;
    misp.add_all(
        [
            event(1, "old").edited_at(BASE_TIME).published_at(BASE_TIME),
            event(2, "new")
                .edited_at(BASE_TIME + 900)
                .published_at(BASE_TIME + 900),
        ]
        .map(|built| built.attribute(attr("domain", "example.com")).build()),
    );
    for name in ["timestamp", "event_timestamp"] {
        let options = WalkOptions {
            cursor: CursorKind::Timestamp,
            filters: map(json!({name: BASE_TIME + 500})),
            ..small()
        };
        let mut came = Came::default();
        let mut walked = source(&misp, Endpoint::Events, options, None);
        walk(walked.as_mut(), &mut came).await;
        assert_eq!(listed(walked.as_ref()).await, came.uuids(), "{name}");
        let mut named = Came::default();
        let mut wanted = vec![events::uuid(1, 0), events::uuid(2, 0)];
        while let Some(page) = walked.named_page(&mut wanted).await.unwrap() {
            named.take(page);
        }
        assert_eq!(named.uuids(), came.uuids(), "{name}");
    }
}

#[tokio::test]
async fn events_that_the_user_names_stay_named() {
    let misp = FakeMisp::start().await;
    misp.add_all((1..5).map(|seed| sized_event(seed, 2, 0)));
    let all: Vec<String> = (1..5).map(|seed| events::uuid(seed, 0)).collect();
    for filters in [
        json!({"eventid": ["1", "2", "3"]}),
        json!({"uuid": all[..2]}),
        json!({"eventid": ["2", "3"], "uuid": all[..2]}),
        json!({"eventid": "!2", "uuid": all[..2]}),
        json!({"eventid": {"NOT": [1]}, "uuid": all[..2]}),
    ] {
        for endpoint in BOTH {
            // There `uuid` is that of an attribute.
            if endpoint == Endpoint::Attributes && filters.get("uuid").is_some() {
                continue;
            }
            let options = WalkOptions {
                filters: map(filters.clone()),
                ..small()
            };
            let mut came = Came::default();
            let mut walked = source(&misp, endpoint, options, None);
            walk(walked.as_mut(), &mut came).await;
            assert!(!came.attributes.is_empty(), "{filters}");
            assert_eq!(
                listed(walked.as_ref()).await,
                came.uuids(),
                "{filters} {endpoint:?}"
            );
            let (mut wanted, mut named) = (all.clone(), Came::default());
            while let Some(page) = walked.named_page(&mut wanted).await.unwrap() {
                named.take(page);
            }
            assert_eq!(named.uuids(), came.uuids(), "{filters} {endpoint:?}");
        }
    }
}

#[tokio::test]
async fn events_without_attributes_hide_no_others_where_answers_are_capped() {
    let misp = FakeMisp::start().await;
    misp.add_all(
        [2, 2, 0, 0, 0, 0, 2, 2]
            .into_iter()
            .zip(1..)
            .map(|(live, seed)| sized_event(seed, live, 0)),
    );
    // Applied after the page was cut and counted: fewer come than are said to match.
    let options = WalkOptions {
        filters: map(json!({"distribution": 1})),
        ..small()
    };
    let walked = source(&misp, Endpoint::Events, options, None);
    assert_eq!(listed(walked.as_ref()).await, Vec::<String>::new());
    for cap in 1..9 {
        misp.habits(|habits| habits.limit_cap = Some(cap));
        let walked = source(&misp, Endpoint::Events, small(), None);
        assert_eq!(listed(walked.as_ref()).await, published(&misp), "cap {cap}");
    }
}
