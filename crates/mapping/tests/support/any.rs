//! Made-up records of every kind.

#![allow(clippy::indexing_slicing, reason = "only tests call it")]

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

fn scalar(types: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..2_000_000_000_i64).prop_map(|n| n.to_string().into()),
        prop::sample::select(types).prop_map(Value::from),
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

/// Any JSON, with keys and types that mean something.
pub(crate) fn anything(types: &'static [&'static str]) -> impl Strategy<Value = Value> {
    scalar(types).prop_recursive(6, 64, 8, |inner| {
        let key = prop_oneof![9 => prop::sample::select(&KEYS[..]).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn attribute(types: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let known = (
        prop::sample::select(types),
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
    prop_oneof![8 => known, 1 => anything(types)]
}

/// An event with attributes, odd ones too; `types` are those that attributes have.
pub(crate) fn event(types: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let object = prop::collection::vec(attribute(types), 0..4);
    let parts = (
        prop::collection::vec(attribute(types), 0..6),
        prop::collection::vec(object, 0..4),
        prop::collection::vec((prop::sample::select(&KEYS[..]), anything(types)), 0..4),
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

/// How many attributes an event holds.
pub(crate) fn attributes_in(event: &Value) -> usize {
    let in_objects = list(event, "Object").iter();
    let in_objects = in_objects.map(|object| object["Attribute"].as_array().map_or(0, Vec::len));
    list(event, "Attribute").len() + in_objects.sum::<usize>()
}

/// Slices as the host cuts them: the head with a part of the attributes, then the
/// head with whole objects. Slices without any attribute are not made.
pub(crate) fn slices(event: &Value, size: usize) -> Vec<Value> {
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
