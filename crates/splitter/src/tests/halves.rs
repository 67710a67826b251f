//! Records taken apart to single attributes lose none.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::made_up::{event, hand};
use super::{body, parts};
use crate::{Record, Records, SplitLimits};

fn record(json: &str) -> Record {
    let mut records =
        Records::from_answer(body(json.as_bytes(), false), SplitLimits::default()).unwrap();
    records.next().unwrap().unwrap()
}

/// Takes a record apart to the end.
fn singles(record: Record) -> Vec<Record> {
    let mut open = vec![record];
    let mut ends = Vec::new();
    while let Some(record) = open.pop() {
        match record.halves() {
            Some((first, second)) => {
                assert_eq!(first.attributes + second.attributes, record.attributes);
                assert!(first.attributes > 0 && second.attributes > 0);
                assert!(!first.last && second.last == record.last);
                open.extend([second, first]);
            }
            None => ends.push(record),
        }
    }
    ends
}

/// The attributes of a record, those of objects with the other members of their object.
fn attributes(record: &Record) -> Vec<Value> {
    let (_, mut all, objects) = parts(record);
    for mut object in objects {
        let list = object.as_object_mut().and_then(|o| o.remove("Attribute"));
        for attribute in list.iter().filter_map(Value::as_array).flatten() {
            all.push(json!([object, attribute]));
        }
    }
    all
}

proptest! {
    #[test]
    fn singles_are_the_record(event in event(), mut hand in hand()) {
        let whole = record(&hand.write(&json!({"Event": event})));
        let head = parts(&whole).0;
        let singles = singles(whole.clone());
        let mut found = Vec::new();
        for single in &singles {
            prop_assert!(single.attributes <= 1);
            prop_assert_eq!(&parts(single).0, &head);
            let here = attributes(single);
            prop_assert_eq!(here.len(), single.attributes as usize);
            if let [attribute] = here.as_slice() {
                let attribute = attribute.get(1).unwrap_or(attribute);
                let uuid = attribute.get("uuid").and_then(Value::as_str);
                prop_assert_eq!(single.attribute_uuid(), uuid.map(str::to_owned));
            }
            found.extend(here);
        }
        let mut expected = attributes(&whole);
        // One object taken apart may change places with what follows it.
        let text = Value::to_string;
        found.sort_by_key(text);
        expected.sort_by_key(text);
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn what_belongs_together_stays_together() {
    for json in [
        r#"{"Event":{"Attribute":{"uuid":"a"},"Object":{"Attribute":{"uuid":"b"}}}}"#,
        r#"{"Event":{"Attribute":[{"uuid":"b"}]}}"#,
        r#"{"Event":{"Object":{"0":{"Attribute":{"uuid":"b"}}}}}"#,
        r#"{"Event":{"id":"1"},"value":"x","uuid":"b"}"#,
        r#"{"info":"x","uuid":"no","Attribute":{"uuid":"b"}}"#,
        r#"{"Attribute":{"uuid":"b"}}"#,
        r#"{"Attribute":[{"uuid":"b"}],"Event":{"info":"x","uuid":"no"}}"#,
    ] {
        let record = record(json);
        assert!(record.halves().is_none(), "{json}");
        assert_eq!(record.attribute_uuid().as_deref(), Some("b"), "{json}");
    }
    let empty = record(r#"{"Event":{"uuid":"no","Attribute":[],"Object":[{"uuid":"no"}]}}"#);
    assert!(empty.halves().is_none());
    assert_eq!(empty.attribute_uuid(), None);
}

#[test]
fn a_loose_list_with_its_event_beside_keeps_it() {
    let whole = record(r#"{"Attribute":[{"uuid":"a"},{"uuid":"b"}],"Event":{"info":"x"}}"#);
    let singles = singles(whole);
    let texts: Vec<_> = singles
        .iter()
        .map(|r| std::str::from_utf8(&r.json).unwrap())
        .collect();
    assert_eq!(
        texts,
        [
            r#"{"Event":{"info":"x"},"Attribute":[{"uuid":"a"}]}"#,
            r#"{"Event":{"info":"x"},"Attribute":[{"uuid":"b"}]}"#,
        ]
    );
}
