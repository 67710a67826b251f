//! Slices together are the event, and keep to the limits.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::made_up::{event, hand};
use super::{body, parts, within};
use crate::{Record, Records, SplitLimits};

fn limits() -> impl Strategy<Value = SplitLimits> {
    let some = (1..12_u32, 60..2_000_usize, 1..5_000_usize);
    some.prop_map(|(attributes, bytes, head_times_attributes)| SplitLimits {
        attributes,
        bytes,
        head_times_attributes,
        ..SplitLimits::default()
    })
}

fn list(event: &Value, key: &str) -> Vec<Value> {
    event[key].as_array().cloned().unwrap_or_default()
}

fn check(event: &Value, slices: &[Record], limits: &SplitLimits) {
    let (last, others) = slices.split_last().unwrap();
    assert!(last.last && others.iter().all(|slice| !slice.last));

    let (all_attributes, all_objects) = (list(event, "Attribute"), list(event, "Object"));
    let total = all_attributes.len() + within(&all_objects);
    let mut head = event.clone();
    head.as_object_mut().unwrap().remove("Attribute");
    head.as_object_mut().unwrap().remove("Object");

    let (mut attributes, mut objects) = (Vec::new(), Vec::new());
    for slice in slices {
        let (of_head, of_attributes, of_objects) = parts(slice);
        assert_eq!(of_head, head);
        let count = of_attributes.len() + within(&of_objects);
        assert_eq!(count, slice.attributes as usize);
        assert!(
            count > 0 || total == 0,
            "a slice must not look like an empty event"
        );

        let lone = of_attributes.len()
            + of_objects
                .iter()
                .filter(|o| within(&[(*o).clone()]) > 0)
                .count()
            <= 1;
        assert!(lone || count <= limits.attributes as usize);
        attributes.extend(of_attributes);
        objects.extend(of_objects);
    }
    assert_eq!(attributes, all_attributes);
    // An object without attributes may be left out where it would not fit.
    let with = |objects: Vec<Value>| -> Vec<Value> {
        objects
            .into_iter()
            .filter(|object| within(std::slice::from_ref(object)) > 0)
            .collect()
    };
    assert_eq!(with(objects), with(all_objects));
}

proptest! {
    #[test]
    fn slices_are_the_event(
        events in vec(event(), 0..4),
        mut hand in hand(),
        limits in limits(),
        in_file in any::<bool>(),
        bare in any::<bool>(),
    ) {
        let items: Vec<_> = events.iter().map(|event| {
            if bare { event.clone() } else { json!({"Event": event}) }
        }).collect();
        let text = hand.write(&json!({"response": items}));
        for records in [
            Records::from_answer(body(text.as_bytes(), in_file), limits).unwrap(),
            Records::from_input(body(text.as_bytes(), in_file), limits).unwrap(),
        ] {
            let mut records = records.map(Result::unwrap);
            for event in &events {
                let mut slices = vec![records.next().unwrap()];
                while !slices.last().unwrap().last {
                    slices.push(records.next().unwrap());
                }
                check(event, &slices, &limits);
                for slice in &slices {
                    prop_assert_eq!(slice.head.timestamp, event["timestamp"].as_i64());
                    prop_assert_eq!(slice.head.publish_timestamp, slice.head.timestamp);
                    let uuid = event["uuid"].as_str().map_or_else(|| match &event["uuid"] {
                        Value::Number(number) => number.to_string(),
                        _ => String::new(),
                    }, str::to_owned);
                    prop_assert_eq!(&slice.head.uuid, &uuid);
                }
            }
            prop_assert!(records.next().is_none());
        }
    }

    #[test]
    fn a_file_gives_the_same_as_memory(
        events in vec(event(), 0..4),
        mut hand in hand(),
        limits in limits(),
    ) {
        let text = hand.write(&json!(events));
        let read = |in_file| -> Vec<_> {
            let records = Records::from_answer(body(text.as_bytes(), in_file), limits).unwrap();
            records.map(Result::unwrap).collect()
        };
        prop_assert_eq!(read(true), read(false));
    }
}

/// An event with a head of exactly 100 bytes and so many attributes of exactly 20 bytes.
fn of_size(attributes: usize) -> String {
    let head = format!(r#""info":"{}""#, "x".repeat(91));
    assert_eq!(head.len(), 100);
    let list = vec![r#"{"value":"12345678"}"#; attributes].join(",");
    format!(r#"{{"Event":{{{head},"Attribute":[{list}]}}}}"#)
}

fn cut(attributes: usize, limits: SplitLimits) -> Vec<u32> {
    let records = Records::from_answer(body(of_size(attributes).as_bytes(), false), limits);
    records.unwrap().map(|r| r.unwrap().attributes).collect()
}

const WIDE: SplitLimits = SplitLimits {
    attributes: 1_000,
    bytes: 1 << 20,
    head_times_attributes: 1 << 20,
    depth: 100,
    items: 100,
    unreadable: 100,
    record: 1 << 20,
};

#[test]
fn attributes_at_the_limit_and_over_it() {
    let limits = SplitLimits {
        attributes: 10,
        ..WIDE
    };
    assert_eq!(cut(10, limits), [10]);
    assert_eq!(cut(11, limits), [10, 1]);
    assert_eq!(cut(21, limits), [10, 10, 1]);
    assert_eq!(cut(1_000, SplitLimits::default()), [1_000]);
    assert_eq!(cut(1_001, SplitLimits::default()), [1_000, 1]);
}

#[test]
fn head_times_attributes_at_the_limit_and_over_it() {
    let limits = SplitLimits {
        head_times_attributes: 500,
        ..WIDE
    };
    assert_eq!(cut(5, limits), [5]);
    assert_eq!(cut(6, limits), [5, 1]);
}

#[test]
fn bytes_at_the_limit_and_over_it() {
    // The head, and each attribute with its comma.
    let limits = SplitLimits { bytes: 400, ..WIDE };
    let most = (400 - 100) / 21;
    assert_eq!(cut(3 * most, limits), vec![u32::try_from(most).unwrap(); 3]);
    assert_eq!(cut(3 * most + 1, limits).last(), Some(&1));
    // A huge head leaves half of it for attributes.
    let limits = SplitLimits { bytes: 90, ..WIDE };
    assert_eq!(cut(4, limits), [2, 2]);
}

#[test]
fn an_object_is_whole_whatever_the_limit() {
    let object = format!(r#"{{"Attribute":[{}]}}"#, ["{}"; 7].join(","));
    let json = format!(r#"{{"info":"x","Attribute":[{{}}],"Object":[{object},{object}]}}"#);
    let limits = SplitLimits {
        attributes: 2,
        ..WIDE
    };
    let records = Records::from_answer(body(json.as_bytes(), false), limits).unwrap();
    let counts: Vec<_> = records.map(|r| r.unwrap().attributes).collect();
    assert_eq!(counts, [1, 7, 7]);
}

#[test]
fn depth_at_the_limit_and_over_it() {
    let json = |depth: usize| {
        let inner = "[".repeat(depth - 1) + &"]".repeat(depth - 1);
        format!(r#"{{"info":{inner}}}"#)
    };
    let limits = SplitLimits { depth: 10, ..WIDE };
    assert!(Records::from_answer(body(json(10).as_bytes(), false), limits).is_ok());
    assert!(Records::from_answer(body(json(11).as_bytes(), false), limits).is_err());
}

#[test]
fn lists_under_other_keys_and_loose_lists_are_cut_too() {
    let json = r#"{"Event":{"info":"x"},"Attribute":[{"value":1},{"value":2},{"value":3}]}"#;
    let limits = SplitLimits {
        attributes: 2,
        ..WIDE
    };
    let records = Records::from_answer(body(json.as_bytes(), false), limits).unwrap();
    let records: Vec<_> = records
        .map(|r| String::from_utf8(r.unwrap().json.to_vec()).unwrap())
        .collect();
    assert_eq!(
        records,
        [
            r#"{"Event":{"info":"x"},"Attribute":[{"value":1},{"value":2}]}"#,
            r#"{"Event":{"info":"x"},"Attribute":[{"value":3}]}"#,
        ]
    );
    // A list with gaps, and a key given twice.
    let json =
        r#"{"info":"x","Attribute":{"0":{"value":1},"9":{"value":2}},"Attribute":[{"value":3}]}"#;
    let records = Records::from_answer(body(json.as_bytes(), false), limits).unwrap();
    let records: Vec<_> = records
        .map(|r| String::from_utf8(r.unwrap().json.to_vec()).unwrap())
        .collect();
    assert_eq!(
        records,
        [
            r#"{"Event":{"info":"x","Attribute":[{"value":1},{"value":2}],"Object":[]}}"#,
            r#"{"Event":{"info":"x","Attribute":[{"value":3}],"Object":[]}}"#,
        ]
    );
}
