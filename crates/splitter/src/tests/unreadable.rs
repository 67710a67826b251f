//! One attribute that cannot be read costs itself, and what is too much is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::made_up::event;
use super::{body, parts};
use crate::{Record, Records, SplitError, SplitLimits};

/// Attributes that no reader takes, and why.
fn bad_attributes() -> Vec<(String, &'static str)> {
    let deep = format!(r#"{{"value":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let deeper = format!(
        r#"{{"value":{}{}}}"#,
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let large = format!(r#"{{"value":"{}"}}"#, "x".repeat(3_000));
    vec![
        (deep, "it is nested too deeply"),
        (deeper, "it is nested too deeply"),
        (large, "it is larger than a record may be"),
        (
            "{\"value\":\"a\u{1}b\"}".to_owned(),
            "a control character in a string",
        ),
        (
            r#"{"value":"a\x}{[","b":[1]}"#.to_owned(),
            "an unknown escape in a string",
        ),
        (r#"{"value":01}"#.to_owned(), "not a number"),
        (r#"{"value":1,}"#.to_owned(), "expected a key"),
        (
            r#"{"value":1 "b":2}"#.to_owned(),
            "expected `,` or the end of a list or object",
        ),
        (r#"{"value":nul}"#.to_owned(), "an unknown word"),
    ]
}

fn limits() -> SplitLimits {
    SplitLimits {
        record: 2_000,
        ..SplitLimits::default()
    }
}

fn read(text: &[u8], in_file: bool) -> (Vec<Record>, Vec<SplitError>) {
    let records = Records::from_answer(body(text, in_file), limits()).unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = records.partition(Result::is_ok);
    let errors = bad.into_iter().filter_map(Result::err).collect();
    (good.into_iter().map(Result::unwrap).collect(), errors)
}

#[test]
fn an_unreadable_attribute_of_an_event_costs_itself() {
    for (bad, why) in bad_attributes() {
        for in_file in [false, true] {
            for (lists, attributes) in [
                (
                    format!(r#""Attribute":[{bad},{{"id":"1"}} , {bad} ,{{"id":"2"}}]"#),
                    2,
                ),
                (format!(r#""Attribute":[{{"id":"1"}},{bad}]"#), 1),
                (format!(r#""Attribute":{{"0":{{"id":"1"}},"4":{bad}}}"#), 1),
                (
                    format!(
                        r#""Attribute":[{{"id":"1"}}],"Object":[{{"name":"o","Attribute":[{{"id":"2"}} , {bad}]}},{{"Attribute":[{bad},{{"id":"3"}}]}}]"#
                    ),
                    3,
                ),
                (
                    format!(
                        r#""Object":[{{"name":"o","Attribute":{{"1":{bad},"2":{{"id":"1"}}}}}}]"#
                    ),
                    1,
                ),
                (
                    format!(
                        r#""Attribute":[{{"id":"1"}}],"Object":[{bad},{{"Attribute":[{bad}]}}]"#
                    ),
                    1,
                ),
                (format!(r#""Attribute":[{bad}]"#), 0),
                (format!(r#""Attribute":{bad}"#), 0),
            ] {
                let text = format!(
                    r#"{{"response":[{{"Event":{{"uuid":"e",{lists},"info":"x"}}}},{{"Event":{{"uuid":"f","info":"y"}}}}]}}"#
                );
                let (records, errors) = read(text.as_bytes(), in_file);
                let counted: u32 = records.iter().map(|record| record.attributes).sum();
                assert_eq!(counted, attributes, "{text}");
                assert_eq!(errors.len(), text.matches(&bad).count(), "{text}");
                let ids = |record: &Record| {
                    assert!(parts(record).0["info"].is_string());
                    String::from_utf8_lossy(&record.json)
                        .matches(r#""id""#)
                        .count()
                };
                let found: usize = records.iter().map(ids).sum();
                assert_eq!(found as u32, attributes, "{text}");
                assert_eq!(records.len(), 1 + usize::from(attributes > 0), "{text}");
                for error in errors {
                    assert_eq!(error.event(), Some("e"));
                    // Of an object's own members it says it in other words.
                    let said = error.to_string();
                    assert!(said.contains(why) || said.contains("expected"), "{said}");
                    let skipped = body(text.as_bytes(), false)
                        .read_range(error.skipped(), 100_000)
                        .unwrap();
                    let skipped = String::from_utf8(skipped).unwrap();
                    assert!(skipped.contains(&bad), "{skipped} {text}");
                }
            }
        }
    }
}

#[test]
fn an_unreadable_loose_attribute_costs_itself() {
    for (bad, _) in bad_attributes() {
        let text =
            format!(r#"{{"response":{{"Attribute":[{{"value":"1"}},{bad},{{"value":"2"}}]}}}}"#);
        let (records, errors) = read(text.as_bytes(), false);
        assert_eq!(records.len(), 2, "{text}");
        assert_eq!(errors.len(), 1);
        assert!(matches!(errors[0], SplitError::Malformed { .. }));
    }
}

proptest! {
    /// Whatever stands where an attribute should: the others of the event are the same.
    #[test]
    fn the_rest_of_the_event_stays(event in event(), which in 0..9_usize, place in any::<proptest::sample::Index>()) {
        let (bad, _) = &bad_attributes()[which];
        let mut event = event;
        event["uuid"] = json!("e");
        let mut good = event.clone();
        let list = event["Attribute"].as_array().cloned().unwrap_or_default();
        let mut marked = list.clone();
        marked.insert(place.index(list.len() + 1), json!("HERE"));
        event["Attribute"] = Value::from(marked);
        good["Attribute"] = Value::from(list);
        let text = json!({"response": [{"Event": event}]}).to_string().replace("\"HERE\"", bad);
        let (records, errors) = read(text.as_bytes(), false);
        let whole = json!({"response": [{"Event": good}]}).to_string();
        let (expected, none) = read(whole.as_bytes(), false);
        prop_assert!(none.is_empty());
        prop_assert_eq!(errors.len(), 1);
        let counted = |records: &[Record]| records.iter().map(|record| record.attributes).sum::<u32>();
        prop_assert_eq!(counted(&records), counted(&expected));
        if counted(&expected) > 0 {
            let all = |records: &[Record]| records.iter().flat_map(|record| {
                let (_, attributes, objects) = parts(record);
                attributes.into_iter().chain(objects.into_iter().flat_map(|object| {
                    object["Attribute"].as_array().cloned().unwrap_or_default()
                })).collect::<Vec<_>>()
            }).collect::<Vec<_>>();
            prop_assert_eq!(all(&records), all(&expected));
        }
    }
}

fn small() -> SplitLimits {
    SplitLimits {
        items: 3,
        unreadable: 3,
        record: 100,
        ..SplitLimits::default()
    }
}

fn answer(text: &str) -> Result<usize, SplitError> {
    Records::from_answer(body(text.as_bytes(), false), small()).map(Iterator::count)
}

fn is_too_many(answer: &Result<usize, SplitError>) -> bool {
    matches!(answer, Err(SplitError::TooMany { .. }))
}

#[test]
fn each_limit_holds_at_its_edge() {
    let list = |one: &str, count: usize| vec![one; count].join(",");
    for count in [3, 4] {
        let events = format!("[{}]", list(r#"{"Event":{"id":"1"}}"#, count));
        assert_eq!(is_too_many(&answer(&events)), count > 3, "{events}");
        let attributes = list(r#"{"value":"x"}"#, count);
        let page = format!(r#"{{"response":{{"Attribute":[{attributes}]}}}}"#);
        assert_eq!(is_too_many(&answer(&page)), count > 3, "{page}");
        let strays = format!("[{}]", list("0", count));
        assert_eq!(is_too_many(&answer(&strays)), count > 3, "{strays}");
        let broken = list(r#"{"value":01}"#, count);
        let event = format!(r#"{{"response":[{{"Event":{{"Attribute":[{broken}]}}}}]}}"#);
        assert_eq!(is_too_many(&answer(&event)), count > 3, "{event}");
    }
    for (length, fits) in [(100, true), (101, false)] {
        let attribute = format!(r#"{{"value":"{}"}}"#, "x".repeat(length - 12));
        assert_eq!(attribute.len(), length);
        let event =
            format!(r#"{{"response":[{{"Event":{{"id":"1","Attribute":[{attribute}]}}}}]}}"#);
        let mut records = Records::from_answer(body(event.as_bytes(), false), small()).unwrap();
        assert_eq!(records.next().unwrap().is_ok(), fits);
        let info = "x".repeat(length - 9);
        let event = format!(r#"{{"response":[{{"Event":{{"info":"{info}","Attribute":[]}}}}]}}"#);
        assert_eq!(is_too_many(&answer(&event)), !fits, "{event}");
    }
    for (count, fits) in [(16, true), (17, false)] {
        let lists = list(r#""Attribute":[]"#, count);
        let event = format!(r#"{{"response":[{{"Event":{{"id":"1",{lists}}}}}]}}"#);
        assert_eq!(is_too_many(&answer(&event)), !fits, "{event}");
        let events = format!("{{{}}}", list(r#""Event":{"id":"1"}"#, count));
        assert!(is_too_many(&answer(&events)), "{events}");
    }
    for (length, kept) in [(254, 254), (255, 0)] {
        let uuid = "x".repeat(length);
        let event = format!(r#"[{{"Event":{{"uuid":"{uuid}"}}}}]"#);
        let limits = SplitLimits::default();
        let records = Records::from_answer(body(event.as_bytes(), true), limits).unwrap();
        assert_eq!(records.heads()[0].uuid.len(), kept);
    }
    let digits = |count: usize| format!(r#"[{{"Event":{{"id":"1"}}}},{}]"#, "1".repeat(count));
    assert!(answer(&digits(4_000)).is_ok());
}

#[test]
fn a_line_with_too_much_costs_itself() {
    let bomb = format!("[{}]", ["0"; 9].join(","));
    let text = format!(
        "{bomb}\n{{\"Event\":{{\"info\":\"x\"}}}}\n{bomb}\n{{\"Event\":{{\"info\":\"y\"}}}}"
    );
    let records = Records::from_input(body(text.as_bytes(), false), small()).unwrap();
    let good = records.filter(Result::is_ok).count();
    assert_eq!(good, 2);
}
