//! What holds for any input: no panic, valid documents, nothing uncounted, and the
//! slices of an event give what the event gives.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests are here"
)]

mod common;

use common::{NOW_MS, checker, mapper};
use mapping::{Document, Mapping, Outcome};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Keys that mean something to the mapping, so that random objects hit them.
const KEYS: [&str; 24] = [
    "response",
    "Event",
    "Attribute",
    "Object",
    "Tag",
    "Orgc",
    "Galaxy",
    "value",
    "type",
    "uuid",
    "timestamp",
    "to_ids",
    "deleted",
    "distribution",
    "first_seen",
    "info",
    "date",
    "analysis",
    "published",
    "publish_timestamp",
    "name",
    "inherited",
    "data",
    "0",
];

const TYPES: [&str; 14] = [
    "md5",
    "filename|sha1",
    "ip-dst",
    "ip-src|port",
    "domain|ip",
    "url",
    "uri",
    "AS",
    "size-in-bytes",
    "regkey|value",
    "email-src",
    "pgp-private-key",
    "text",
    "",
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..2_000_000_000_i64).prop_map(|n| n.to_string().into()),
        prop::sample::select(&TYPES[..]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        value(),
    ]
}

/// Values that look like indicators.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[0-9.:/|a-f-]{0,20}",
        "(http|hxxp)://[a-z@:\\[\\]]{0,8}(:[0-9]{0,6})?/[a-z.%|]{0,8}[?#]?[a-z]{0,3}",
        "[A-Z]{2}[0-9]{1,11}",
        "[a-z\\\\]{0,5}\\|[a-z]{0,5}",
    ]
    .prop_map(Value::from)
}

fn anything() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 64, 8, |inner| {
        let key = prop_oneof![9 => prop::sample::select(&KEYS[..]).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn attribute() -> impl Strategy<Value = Value> {
    let known = (
        prop::sample::select(&TYPES[..]),
        value(),
        any::<u32>(),
        any::<bool>(),
    );
    let known = known.prop_map(|(kind, value, number, flag)| {
        json!({
            "uuid": format!("{number:08x}-0000-4000-8000-000000000000"),
            "type": kind, "value": value, "timestamp": number.to_string(), "to_ids": flag,
            "Galaxy": [], "ShadowAttribute": [{"id": number}], "comment": "",
        })
    });
    prop_oneof![8 => known, 1 => anything()]
}

fn event() -> impl Strategy<Value = Value> {
    let object = prop::collection::vec(attribute(), 0..4);
    let parts = (
        prop::collection::vec(attribute(), 0..6),
        prop::collection::vec(object, 0..4),
        prop::collection::vec((prop::sample::select(&KEYS[..]), anything()), 0..4),
        any::<bool>(),
    );
    parts.prop_map(|(attributes, objects, more, has_lists)| {
        let mut event = Map::new();
        for (key, value) in more {
            if key != "Attribute" && key != "Object" && key != "response" {
                event.insert(key.to_owned(), value);
            }
        }
        event.insert("info".to_owned(), "an event".into());
        let objects = objects.into_iter().enumerate();
        let objects: Vec<_> = objects
            .map(|(number, attributes)| json!({"id": number, "name": "o", "Attribute": attributes}))
            .collect();
        if has_lists || !attributes.is_empty() {
            event.insert("Attribute".to_owned(), attributes.into());
        }
        if has_lists || !objects.is_empty() {
            event.insert("Object".to_owned(), objects.into());
        }
        json!({ "Event": event })
    })
}

fn list<'v>(event: &'v Value, key: &str) -> &'v [Value] {
    event["Event"]
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn attributes_in(event: &Value) -> usize {
    let in_objects = list(event, "Object").iter();
    let in_objects = in_objects.map(|object| object["Attribute"].as_array().map_or(0, Vec::len));
    list(event, "Attribute").len() + in_objects.sum::<usize>()
}

/// Slices as the host cuts them: the head with a part of the attributes, then the
/// head with whole objects. Slices without any attribute are not made.
fn slices(event: &Value, size: usize) -> Vec<Value> {
    let slice = |attributes: &[Value], objects: &[Value]| {
        let mut slice = event.clone();
        slice["Event"]["Attribute"] = attributes.into();
        slice["Event"]["Object"] = objects.into();
        slice
    };
    let attributes = list(event, "Attribute")
        .chunks(size)
        .map(|part| slice(part, &[]));
    let objects = list(event, "Object")
        .chunks(size)
        .map(|part| slice(&[], part));
    let some = attributes
        .chain(objects)
        .filter(|slice| attributes_in(slice) > 0);
    some.collect()
}

fn map(record: &Value) -> Outcome {
    mapper()
        .transform(record.to_string().as_bytes(), NOW_MS)
        .unwrap()
}

proptest! {
    #[test]
    fn any_bytes_are_mapped_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = mapper().transform(&bytes, NOW_MS);
    }

    #[test]
    fn any_json_gives_valid_documents(json in anything()) {
        let text = json.to_string();
        if let Ok(outcome) = mapper().transform(text.as_bytes(), NOW_MS) {
            for document in outcome.documents {
                prop_assert!(checker().check(&document.body).is_ok(), "{text}");
                prop_assert!(!document.id.is_empty());
            }
        }
    }

    #[test]
    fn each_attribute_is_a_document_or_refused(event in event()) {
        let outcome = map(&event);
        let counted = outcome.documents.len() + outcome.refused.len();
        prop_assert_eq!(counted, attributes_in(&event).max(1));
        let tallied: u32 = outcome.tallies.iter().map(|tally| tally.count).sum();
        prop_assert_eq!(tallied as usize, outcome.documents.len());
        for document in &outcome.documents {
            let found = checker().check(&document.body);
            prop_assert!(found.is_ok(), "{:?} {}", found, event);
        }
    }

    #[test]
    fn slices_give_what_the_event_gives(event in event(), size in 1..4_usize) {
        prop_assume!(attributes_in(&event) > 0);
        let whole = map(&event);
        let parts: Vec<Outcome> = slices(&event, size).iter().map(map).collect();
        let documents: Vec<Document> = parts.iter().flat_map(|part| part.documents.clone()).collect();
        prop_assert_eq!(&whole.documents, &documents, "{}", event);
        let refused: Vec<_> = parts.iter().flat_map(|part| part.refused.clone()).collect();
        prop_assert_eq!(whole.refused, refused);
    }

    #[test]
    fn no_secret_value_is_in_a_body(event in event()) {
        let mut event = event;
        let secret = "-----a made-up secret-----";
        let key = json!({"type": "pgp-private-key", "value": secret, "data": secret});
        event["Event"]["Attribute"] = json!([key, {"type": "text", "value": "x"}]);
        event["Event"]["Object"] = json!([{"Attribute": [key, {"type": "text", "value": "x"}]}]);
        for record in [event.clone(), json!({"Event": {
            "info": "x", "Attribute": key, "Object": {"Attribute": {"type": "text", "value": "x"}},
        }})] {
            for document in map(&record).documents {
                let body = String::from_utf8(document.body).unwrap();
                prop_assert!(!body.contains(secret), "{}", body);
            }
        }
    }
}
