//! The surprises of MISP's search that a client must survive, as they were seen.

use serde_json::{Map, Value, json};

use super::Habits;
use super::search::{events, loose_attributes};
use super::store::{Store, text};
use super::wire::Wire;
use crate::events::{BASE_TIME, attr, event, event_with_objects, many, object, uuid};

fn store(events: impl IntoIterator<Item = Value>) -> Store {
    let mut store = Store::new();
    for event in events {
        store.add(event);
    }
    store
}

fn map(request: Value) -> Map<String, Value> {
    match request {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

/// The infos found, and the count.
fn found(store: &Store, request: Value) -> (Vec<String>, usize) {
    let Ok(found) = events(store, &map(request), &Habits::default()) else {
        panic!("500");
    };
    let infos = found.items.iter().map(|item| text(&item["Event"], "info"));
    (infos.collect(), found.count)
}

#[test]
fn a_page_without_limit_is_everything() {
    let store = store(many(30));
    for request in [
        json!({}),
        json!({"page": 2}),
        json!({"limit": 0}),
        json!({"limit": -5}),
        json!({"publish_timestamp": 0}),
        json!({"timestamp": false}),
        json!({"no_such_filter": "x"}),
    ] {
        let (infos, count) = found(&store, request.clone());
        assert_eq!((infos.len(), count), (30, 30), "{request}");
    }
    let past_end = found(&store, json!({"limit": 10, "page": 9}));
    assert_eq!(past_end, (Vec::new(), 30));
}

#[test]
fn published_false_is_applied_after_paging_and_zero_before() {
    let drafts = (0..3).map(|seed| event(seed, "draft").build());
    let store = store(many(12).into_iter().chain(drafts));
    let (infos, count) = found(&store, json!({"published": false, "limit": 10, "page": 1}));
    assert_eq!((infos.len(), count), (0, 15));
    let (infos, count) = found(&store, json!({"published": false, "limit": 10, "page": 2}));
    assert_eq!((infos.len(), count), (3, 15));
    let (infos, count) = found(&store, json!({"published": 0, "limit": 10, "page": 1}));
    assert_eq!((infos.len(), count), (3, 3));
    assert_eq!(found(&store, json!({"published": "false"})).1, 12);
    assert_eq!(found(&store, json!({"published": [0, 1]})).1, 15);
}

#[test]
fn times_are_inclusive_and_nonsense_finds_nothing() {
    let store = store((0..5).map(|second| {
        event(second, &second.to_string())
            .published_at(BASE_TIME + second as i64)
            .build()
    }));
    let since = |value: Value| found(&store, json!({"publish_timestamp": value})).0;
    assert_eq!(since(json!(BASE_TIME + 3)), ["3", "4"]);
    assert_eq!(since(json!((BASE_TIME + 3).to_string())), ["3", "4"]);
    assert_eq!(since(json!([BASE_TIME + 2, BASE_TIME + 1])), ["1", "2"]);
    assert_eq!(since(json!("2w")), Vec::<String>::new());
    assert_eq!(since(json!(BASE_TIME * 1_000)), Vec::<String>::new());
    let broken = events(&store, &map(json!({"timestamp": [5]})), &Habits::default());
    assert!(broken.is_err(), "500");
}

#[test]
fn order_needs_a_last_word_about_ties() {
    let store = store((0..40).map(|seed| event(seed, &seed.to_string()).build()));
    let pages = |order: Value| -> Vec<String> {
        let page = |page| found(&store, json!({"limit": 7, "page": page, "order": order})).0;
        let mut all: Vec<String> = (1..=6).flat_map(page).collect();
        all.sort();
        all.dedup();
        all
    };
    assert!(pages(json!("threat_level_id asc")).len() < 40);
    assert_eq!(pages(json!(["threat_level_id asc", "id asc"])).len(), 40);
    assert_eq!(
        pages(json!("Event.threat_level_id desc, Event.id desc")).len(),
        40
    );
    let (unknown, _) = found(
        &store,
        json!({"order": ["date asc", "id desc"], "limit": 2}),
    );
    assert_eq!(
        unknown,
        ["0", "1"],
        "one unknown column and all of it is ignored"
    );
}

#[test]
fn filters_choose_events_and_cut_only_by_to_ids_and_deleted() {
    let store = store([
        event(1, "one")
            .tag("tlp:red")
            .attribute(attr("ip-dst", "192.0.2.1"))
            .attribute(attr("comment", "x"))
            .attribute(attr("domain", "gone.example.com").with("deleted", true))
            .build(),
        event(2, "two")
            .attribute(attr("domain", "example.com").tag("tlp:green"))
            .build(),
        event(3, "empty").build(),
    ]);
    let infos = |request: Value| found(&store, request).0;
    let attributes = |request: Value| {
        let Ok(found) = events(&store, &map(request), &Habits::default()) else {
            panic!("500");
        };
        found.items[0]["Event"]["Attribute"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(infos(json!({"type": "ip-dst"})), ["one"]);
    assert_eq!(infos(json!({"type": ["ip-dst", "domain"]})), ["one", "two"]);
    assert_eq!(infos(json!({"tags": "TLP:%"})), ["one", "two"]);
    assert_eq!(
        infos(json!({"event_tags": ["tlp:green"]})),
        Vec::<String>::new()
    );
    assert_eq!(infos(json!({"tags": ["!tlp:red"]})), ["two", "empty"]);
    assert_eq!(infos(json!({"eventid": ["1", 3]})), ["one", "empty"]);
    assert_eq!(
        infos(json!({"uuid": uuid(2, 1)})),
        ["two"],
        "by an attribute's uuid"
    );
    assert_eq!(
        attributes(json!({"type": "ip-dst"})),
        2,
        "the event comes whole"
    );
    assert_eq!(attributes(json!({"to_ids": 1, "eventid": 1})), 1);
    assert_eq!(attributes(json!({"to_ids": false, "eventid": 1})), 2);
    assert_eq!(attributes(json!({"deleted": [0, 1], "eventid": 1})), 3);
    assert_eq!(attributes(json!({"deleted": 1, "eventid": 1})), 1);
    assert_eq!(
        infos(json!({"deleted": [0, 1]})),
        ["one", "two"],
        "the empty one drops out"
    );
}

#[test]
fn metadata_leaves_the_attributes_out() {
    let store = store([event_with_objects()]);
    let Ok(found) = events(
        &store,
        &map(json!({"metadata": 1, "excludeGalaxy": 1})),
        &Habits::default(),
    ) else {
        panic!("500");
    };
    let event = found.items[0]["Event"].as_object().unwrap();
    for key in [
        "Attribute",
        "Object",
        "ShadowAttribute",
        "EventReport",
        "Galaxy",
    ] {
        assert!(!event.contains_key(key), "{key}");
    }
    assert!(event.contains_key("Tag") && event.contains_key("RelatedEvent"));
}

#[test]
fn counts_of_attributes_are_those_of_a_page_and_one_more() {
    let store = store([event(1, "x")
        .attribute(attr("domain", "a.example"))
        .attribute(attr("domain", "b.example"))
        .object(object("file", "file").attribute("filename", attr("filename", "c")))
        .build()]);
    let page = |request: Value| {
        let Ok(found) = loose_attributes(&store, &map(request), &Habits::default()) else {
            panic!("500");
        };
        (found.items.len(), found.count)
    };
    assert_eq!(
        page(json!({"limit": 2, "page": 1})),
        (2, 3),
        "full: one more"
    );
    assert_eq!(page(json!({"limit": 2, "page": 2})), (1, 1));
    assert_eq!(page(json!({"limit": 2, "page": 3})), (0, 1), "past the end");
    assert_eq!(page(json!({})), (3, 3));
    assert_eq!(page(json!({"eventid": []})), (3, 3), "no ids: no filter");
}

#[test]
fn what_happens_to_an_event_moves_the_times_misp_moves() {
    let mut store = store([event(1, "x").attribute(attr("domain", "a.example")).build()]);
    let (uuid, attribute) = (uuid(1, 0), uuid(1, 1));
    let state = |store: &Store| {
        let event = &store.events()[0];
        (
            text(event, "timestamp").parse::<i64>().unwrap() - BASE_TIME,
            text(event, "publish_timestamp").parse::<i64>().unwrap(),
            event["published"] == true,
            text(&event["Attribute"][0], "timestamp")
                .parse::<i64>()
                .unwrap()
                - BASE_TIME,
        )
    };
    store.set_now(BASE_TIME + 10);
    store.publish(&uuid);
    assert_eq!(state(&store), (0, BASE_TIME + 10, true, 0));
    store.advance(10);
    store.tag(&uuid, "tlp:red");
    assert_eq!(state(&store), (20, BASE_TIME + 10, false, 0));
    store.publish(&uuid);
    store.advance(10);
    store.edit_attribute(&uuid, &attribute, |found| found["comment"] = "new".into());
    assert_eq!(state(&store), (30, BASE_TIME + 20, false, 30));
    store.publish(&uuid);
    store.unpublish(&uuid);
    assert_eq!(state(&store), (30, BASE_TIME + 30, false, 30));
    assert!(store.published_attributes().is_empty());
    store.publish(&uuid);
    assert_eq!(
        store.published_attributes(),
        std::slice::from_ref(&attribute)
    );
    store.soft_delete(&uuid, &attribute);
    store.publish(&uuid);
    assert!(store.published_attributes().is_empty());
    store.hard_delete(&uuid, &attribute);
    assert_eq!(store.events()[0]["Attribute"], json!([]));
    store.delete(&uuid);
    assert!(store.events().is_empty());
}

#[test]
fn keys_are_written_in_misps_order_and_ids_as_numbers_if_asked() {
    let store = store([event(1, "x")
        .tag("tlp:red")
        .attribute(attr("domain", "a.example"))
        .build()]);
    let write = |numbers| {
        let value = &store.events()[0];
        Wire { value, numbers }.text()
    };
    let plain = write(false);
    let place = |key: &str| plain.find(key).unwrap();
    assert!(plain.starts_with(r#"{"id":"1","orgc_id":"1","#), "{plain}");
    assert!(place(r#""Attribute":"#) < place(r#""Object":"#));
    assert!(
        place(r#""Object":"#) < place(r#""name":"tlp:red""#),
        "tags come last"
    );
    assert_eq!(
        serde_json::from_str::<Value>(&plain).unwrap(),
        store.events()[0]
    );
    let numbers = write(true);
    assert!(numbers.starts_with(r#"{"id":1,"orgc_id":1,"#), "{numbers}");
    assert!(numbers.contains(r#""publish_timestamp":0"#));
}
