//! Both endpoints, both clocks, named events and the listing against a MISP on the loopback
//! interface: each finds what the server holds, whatever happens meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::came::{BOTH, Came, Endpoint, listed, published, small, source, walk};
use common::map;
use misp_client::{Client, CursorKind, WalkOptions};
use misp_ecs_tests::FakeMisp;
use misp_ecs_tests::events::{self, attr, event};
use misp_ecs_tests::fake_misp::Fault;
use pipeline::{Class, Classify, Source};
use serde_json::json;

#[tokio::test]
async fn both_endpoints_and_both_clocks_find_the_same() {
    let misp = FakeMisp::start().await;
    misp.add_demo_events();
    let demo = published(&misp);
    for endpoint in BOTH {
        for cursor in [CursorKind::Publish, CursorKind::Timestamp] {
            let mut came = Came::default();
            let options = WalkOptions {
                cursor,
                filters: map(json!({"published": 1})),
                ..small()
            };
            walk(source(&misp, endpoint, options, None).as_mut(), &mut came).await;
            assert_eq!(came.uuids().len(), demo.len(), "{endpoint:?} {cursor:?}");
            assert!(came.uuids() == demo, "{endpoint:?} {cursor:?}");
            assert!(came.cursor.is_some());
        }
    }
}

#[tokio::test]
async fn the_attributes_are_asked_for_by_lists_that_are_never_empty() {
    let misp = FakeMisp::start().await;
    misp.add_demo_events();
    misp.add(
        event(900, "nothing in it")
            .published_at(events::BASE_TIME + 9)
            .build(),
    );
    let mut came = Came::default();
    walk(
        source(&misp, Endpoint::Attributes, small(), None).as_mut(),
        &mut came,
    )
    .await;
    let mut lists = 0;
    for request in misp.searches() {
        if request.path != "/attributes/restSearch" {
            assert_eq!(request.json["metadata"], 1);
            continue;
        }
        lists += 1;
        let body = &request.json;
        assert!(!body["eventid"].as_array().unwrap().is_empty());
        assert!(body.get("published").is_none() && body.get("publish_timestamp").is_none());
        assert_eq!(body["deleted"], json!([0, 1]));
        assert_eq!(body["order"], "Attribute.id asc");
    }
    assert!(lists > 3);
    // All of them were read to their end, and the one without attributes needs no reading.
    let events: BTreeSet<String> = misp.with_store(|store| {
        let published = store
            .events()
            .iter()
            .filter(|event| event["published"] == true);
        published
            .map(|event| event["uuid"].as_str().unwrap().to_owned())
            .collect()
    });
    assert_eq!(came.whole, events);
}

#[tokio::test]
async fn filters_that_select_events_do_not_cut_their_attributes() {
    let misp = FakeMisp::start().await;
    for seed in 1..6 {
        let built = event(seed, "mixed")
            .published_at(events::BASE_TIME + i64::try_from(seed).unwrap())
            .attribute(attr("domain", &format!("a{seed}.example.org")))
            .attribute(attr("md5", "0123456789abcdef0123456789abcdef").with("to_ids", false));
        misp.add(
            if seed % 2 == 0 {
                built.tag("tlp:green")
            } else {
                built
            }
            .build(),
        );
    }
    for filters in [json!({"to_ids": 1}), json!({"eventid": ["2", "3"]})] {
        let mut found = Vec::new();
        for endpoint in BOTH {
            let options = WalkOptions {
                filters: map(filters.clone()),
                ..small()
            };
            let mut came = Came::default();
            let mut source = source(&misp, endpoint, options, None);
            walk(source.as_mut(), &mut came).await;
            let listed = listed(source.as_ref()).await;
            assert_eq!(listed, came.uuids(), "{filters} {endpoint:?}");
            found.push(came.uuids());
        }
        assert!(!found[0].is_empty());
        assert_eq!(found[0], found[1], "{filters}");
    }
}

/// What MISP's own search of attributes finds, by their uuids.
async fn found_by_misp(misp: &FakeMisp, filters: &serde_json::Value) -> BTreeSet<String> {
    let mut body = json!({"returnFormat": "json", "published": 1});
    let members = filters.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    let client = Client::new(common::options(misp)).unwrap();
    let search = client.post_search(misp_client::Endpoint::Attributes, &body);
    let answer = search.await.unwrap();
    let length = answer.body.len();
    let most = usize::try_from(length).unwrap();
    let bytes = answer.body.read_range(0..length, most).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let found = json["response"]["Attribute"].as_array().unwrap();
    found
        .iter()
        .map(|attribute| attribute["uuid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn filters_of_attributes_select_what_misps_own_search_does() {
    let misp = FakeMisp::start().await;
    misp.add_demo_events();
    let tagged = attr("md5", "0123456789abcdef0123456789abcdef").tag("tlp:green");
    misp.add(
        event(9_001, "mixed")
            .published_at(events::BASE_TIME + 3)
            .attribute(tagged)
            .attribute(attr("domain", "one.example.org"))
            .build(),
    );
    let all = published(&misp).len();
    for filters in [
        json!({"type": ["md5"]}),
        json!({"type": ["!md5"]}),
        json!({"category": "Network activity"}),
        json!({"value": "%example.org"}),
        json!({"tags": ["tlp:green"]}),
        json!({"tags": ["!tlp:green"]}),
        json!({"type": "md5", "tags": ["tlp:green"], "to_ids": 1}),
    ] {
        let options = WalkOptions {
            filters: map(filters.clone()),
            ..small()
        };
        let mut came = Came::default();
        let mut source = source(&misp, Endpoint::Attributes, options, None);
        walk(source.as_mut(), &mut came).await;
        let expected = found_by_misp(&misp, &filters).await;
        assert!(!expected.is_empty() && expected.len() < all, "{filters}");
        let came: BTreeSet<String> = came.uuids().into_iter().collect();
        assert_eq!(came, expected, "{filters}");
        let listed: BTreeSet<String> = listed(source.as_ref()).await.into_iter().collect();
        assert_eq!(listed, expected, "listed: {filters}");
    }
}

#[tokio::test]
async fn what_changes_while_attributes_are_read_is_not_lost() {
    // An edit, a hard delete and a publication, each before every one of the first searches.
    for nth in 0..8 {
        for change in 0..3 {
            let misp = FakeMisp::start().await;
            for seed in 1..4 {
                let mut built = event(seed, "big").published_at(events::BASE_TIME + 5);
                for number in 0..25_u64 {
                    built = built.attribute(attr("text", &format!("{seed}-{number}")));
                }
                misp.add(built.build());
            }
            let target = events::uuid(2, 0);
            misp.before_search(nth, move |store| {
                store.advance(100);
                let event = store.events()[1].clone();
                let uuid = event["uuid"].as_str().unwrap_or(&target).to_owned();
                let first = event["Attribute"][0]["uuid"].as_str().unwrap_or_default();
                match change {
                    0 => store.edit_attribute(&uuid, first, |one| one["comment"] = "x".into()),
                    1 => store.hard_delete(&uuid, first),
                    _ => {}
                }
                store.publish(&uuid);
                store.advance(100);
            });
            let mut came = Came::default();
            let mut source = source(&misp, Endpoint::Attributes, small(), None);
            walk(source.as_mut(), &mut came).await;
            walk(source.as_mut(), &mut came).await;
            let missing: Vec<String> = published(&misp)
                .into_iter()
                .filter(|uuid| !came.attributes.contains_key(uuid))
                .collect();
            assert_eq!(
                missing,
                Vec::<String>::new(),
                "search {nth}, change {change}"
            );
            assert_eq!(came.whole.len(), 3, "search {nth}, change {change}");
        }
    }
}

#[tokio::test]
async fn a_walk_continues_at_the_cursor_of_the_other_endpoint() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(10));
    let mut came = Came::default();
    walk(
        source(&misp, Endpoint::Events, small(), None).as_mut(),
        &mut came,
    )
    .await;
    let cursor = came.cursor.take();
    let mut again = Came::default();
    let mut other = source(&misp, Endpoint::Attributes, small(), cursor.as_ref());
    walk(other.as_mut(), &mut again).await;
    assert_eq!(again.uuids(), Vec::<String>::new());
    other.restart();
    walk(other.as_mut(), &mut again).await;
    assert_eq!(again.uuids(), published(&misp));
}

#[tokio::test]
async fn the_clock_of_edits_brings_what_is_not_published() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(4));
    let draft = event(77, "draft")
        .attribute(attr("domain", "draft.example.org"))
        .build();
    misp.add(draft);
    for endpoint in BOTH {
        let options = WalkOptions {
            cursor: CursorKind::Timestamp,
            ..small()
        };
        let mut came = Came::default();
        walk(source(&misp, endpoint, options, None).as_mut(), &mut came).await;
        assert!(
            came.attributes
                .values()
                .any(|value| value == "draft.example.org")
        );
        assert!(came.attributes.len() > published(&misp).len());
    }
}

#[tokio::test]
async fn named_events_come_and_those_that_are_gone_do_not() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(8));
    let (all, gone) = misp.with_store(|store| {
        let uuids: Vec<String> = store
            .events()
            .iter()
            .filter(|event| event["published"] == true)
            .map(|event| event["uuid"].as_str().unwrap().to_owned())
            .collect();
        store.delete(&uuids[1]);
        (uuids.clone(), uuids[1].clone())
    });
    for endpoint in BOTH {
        let mut source = source(&misp, endpoint, small(), None);
        let (mut wanted, mut came) = (all.clone(), Came::default());
        while !wanted.is_empty() {
            let before = wanted.len();
            if let Some(page) = source.named_page(&mut wanted).await.unwrap() {
                assert!(page.cursor.is_none());
                came.take(page);
            }
            assert!(wanted.len() <= before);
        }
        assert_eq!(came.uuids(), published(&misp), "{endpoint:?}");
        assert!(!came.whole.contains(&gone));
    }
}

/// Asks for events by name until all are read, as a service does: what fails is asked again.
async fn read_by_name(source: &mut dyn Source, mut wanted: Vec<String>) -> Came {
    let (mut came, mut failures) = (Came::default(), 0);
    while !wanted.is_empty() {
        match source.named_page(&mut wanted).await {
            Ok(Some(page)) => came.take(page),
            Ok(None) => break,
            Err(error) => {
                failures += 1;
                assert!(failures < 20, "{error}");
            }
        }
    }
    came
}

fn uuids_of_published(misp: &FakeMisp) -> Vec<String> {
    let published = common::published(misp);
    published.into_iter().map(|(uuid, _)| uuid).collect()
}

fn eight_a_page() -> WalkOptions {
    WalkOptions {
        page_size: 8,
        ..small()
    }
}

#[tokio::test]
async fn named_events_come_also_where_the_server_caps_its_answers() {
    for endpoint in BOTH {
        for cap in [1, 3, 8, 9] {
            let misp = FakeMisp::start().await;
            misp.add_all(events::many(20));
            misp.habits(|habits| habits.limit_cap = Some(cap));
            let mut source = source(&misp, endpoint, eight_a_page(), None);
            let came = read_by_name(source.as_mut(), uuids_of_published(&misp)).await;
            assert_eq!(came.uuids(), published(&misp), "{endpoint:?} {cap}");
            assert_eq!(came.whole.len(), 20, "{endpoint:?} {cap}");
        }
    }
}

#[tokio::test]
async fn named_events_come_by_fewer_where_so_many_are_too_much() {
    for (endpoint, most) in [(Endpoint::Events, 1), (Endpoint::Attributes, 3)] {
        let misp = FakeMisp::start().await;
        misp.add_all(events::many(20));
        misp.habits(|habits| habits.memory_exceeded_above = Some(most));
        let mut source = source(&misp, endpoint, eight_a_page(), None);
        let came = read_by_name(source.as_mut(), uuids_of_published(&misp)).await;
        assert_eq!(came.uuids(), published(&misp), "{endpoint:?}");
    }
}

#[tokio::test]
async fn a_filter_that_cuts_a_page_after_it_was_counted_is_no_cap() {
    let misp = FakeMisp::start().await;
    for seed in 0..16_u64 {
        let built = event(seed, "far or near")
            .published_at(events::BASE_TIME + 5)
            .with("distribution", (seed % 2).to_string())
            .attribute(attr("domain", &format!("a{seed}.example.org")));
        misp.add(built.build());
    }
    let options = WalkOptions {
        filters: map(json!({"distribution": 1})),
        ..eight_a_page()
    };
    let mut source = source(&misp, Endpoint::Events, options, None);
    let came = read_by_name(source.as_mut(), uuids_of_published(&misp)).await;
    assert_eq!(came.uuids().len(), 8);
    assert_eq!(
        misp.searches().len(),
        3,
        "two pages, and one look at the cap"
    );
}

#[tokio::test]
async fn the_listing_is_what_the_server_holds_also_where_it_caps_its_answers() {
    for cap in [None, Some(1), Some(3)] {
        let misp = FakeMisp::start().await;
        misp.add_demo_events();
        misp.habits(|habits| habits.limit_cap = cap);
        let source = source(&misp, Endpoint::Events, small(), None);
        let mut listing = source.listing().unwrap();
        let mut listed = Vec::new();
        while let Some(some) = listing.attributes().await.unwrap() {
            listed.extend(some);
        }
        let mut uuids: Vec<String> = listed.iter().map(|one| one.uuid.clone()).collect();
        uuids.sort();
        assert_eq!(uuids.len(), published(&misp).len(), "{cap:?}");
        assert!(uuids == published(&misp), "{cap:?}");
        assert!(listed.iter().all(|one| one.timestamp > 1_000_000_000));
        let mut known = 0;
        while let Some(some) = listing.events().await.unwrap() {
            known += some.len();
        }
        assert_eq!(
            known,
            misp.with_store(|store| store.events().len()),
            "{cap:?}"
        );
    }
}

#[tokio::test]
async fn the_listing_asks_for_fewer_where_so_many_are_too_much() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(30));
    misp.habits(|habits| habits.memory_exceeded_above = Some(1));
    let source = source(&misp, Endpoint::Events, small(), None);
    assert_eq!(listed(source.as_ref()).await, published(&misp));
    // Whoever asks to be left alone is.
    misp.forget_requests();
    misp.next(Fault::RetryAfter(503, "7".to_owned()));
    let mut listing = source.listing().unwrap();
    let error = listing.attributes().await.unwrap_err();
    let after = Some(Duration::from_secs(7));
    assert_eq!(error.class(), Class::Transient { after });
    assert_eq!(misp.searches().len(), 1);
}
