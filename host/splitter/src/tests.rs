//! Every shape, every limit, and what cannot be read.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn answer(json: &str) -> Result<Vec<Record>, SplitError> {
    Records::from_answer(Body::from(json.as_bytes().to_vec()), SplitLimits::default())?.collect()
}

fn input(json: &str) -> Vec<Result<Record, SplitError>> {
    Records::from_input(Body::from(json.as_bytes().to_vec()), SplitLimits::default()).collect()
}

/// (event uuid, attributes, last) of each record.
fn shape(json: &str) -> Vec<(String, u32, bool)> {
    answer(json)
        .unwrap()
        .into_iter()
        .map(|record| (record.head.uuid, record.attributes, record.last))
        .collect()
}

fn small() -> SplitLimits {
    SplitLimits {
        attributes: 3,
        ..SplitLimits::default()
    }
}

fn spooled(text: &str) -> Body {
    let mut spool = Spool::new(SpoolLimits {
        memory: 7,
        ..SpoolLimits::default()
    });
    spool.push(text.as_bytes()).unwrap();
    spool.finish()
}

#[test]
fn every_shape_of_an_answer() {
    let event = r#"{"Event":{"uuid":"e","id":"7","timestamp":"5","publish_timestamp":6,"Attribute":[{"value":1},{"value":2}],"Object":[{"Attribute":[{"value":3}]}]}}"#;
    let e = || ("e".to_owned(), 3, true);
    assert_eq!(
        shape(&format!("{{\"response\":[{event},{event}]}}\n")),
        [e(), e()]
    );
    assert_eq!(shape(&format!("[{event}]")), [e()]);
    assert_eq!(shape(event), [e()]);
    assert_eq!(shape(r#"{"response":[]}"#), []);
    assert_eq!(shape(r#"{"response":{"Attribute":[]}}"#), []);
    assert_eq!(
        shape(
            r#"{"response":{"Attribute":[{"uuid":"a","type":"md5","value":"x","Event":{"uuid":"e"}},{"value":"y"}]}}"#
        ),
        [("e".to_owned(), 1, true), (String::new(), 1, true)]
    );
    assert_eq!(
        shape(r#"{"uuid":"bare","info":"x","Attribute":[{"value":1}]}"#),
        [("bare".to_owned(), 1, true)]
    );
    assert_eq!(
        shape(r#"{"Event":{"uuid":"empty","info":"x","Attribute":[],"Object":[]}}"#),
        [("empty".to_owned(), 0, true)]
    );
    let head = answer(event).unwrap().remove(0).head;
    assert_eq!((head.timestamp, head.publish_timestamp), (Some(5), Some(6)));
    assert_eq!(head.id, "7");
}

#[test]
fn what_another_shipper_split_stays_as_it_is() {
    for (json, attributes) in [
        (
            r#"{"Event":{"uuid":"e","Attribute":{"value":1},"Object":[]}}"#,
            1,
        ),
        (
            r#"{"Event":{"uuid":"e","Attribute":{"value":1},"Object":{"Attribute":{"value":2}}}}"#,
            1,
        ),
        (
            r#"{"Event":{"uuid":"e","Attribute":[],"Object":{"Attribute":{"value":2}}}}"#,
            1,
        ),
    ] {
        let records = answer(json).unwrap();
        assert_eq!(records.len(), 1, "{json}");
        assert_eq!(records[0].json, json.as_bytes(), "{json}");
        assert_eq!(records[0].attributes, attributes, "{json}");
        assert!(records[0].halves().is_none());
    }
}

#[test]
fn escaped_keys_and_odd_places_are_found() {
    let json = "{ \"\\u0072esponse\" : [ { \"Event\" : { \"Object\" : [ ] , \"Tag\":[{\"uuid\":\"no\"}], \"\\u0041ttribute\" : [ {} , {} ] , \"uuid\" : \"e\" , \"info\":\"x\" } } ] , \"more\" : 1 }";
    assert_eq!(shape(json), [("e".to_owned(), 2, true)]);
    let twice = r#"{"Event":{"uuid":"e","info":"","Attribute":[{"v":1}],"Attribute":[{"v":2}]}}"#;
    let records = answer(twice).unwrap();
    let value: Value = serde_json::from_slice(&records[0].json).unwrap();
    assert_eq!(value["Event"]["Attribute"], json!([{"v": 1}, {"v": 2}]));
}

#[test]
fn what_is_no_page_is_an_error() {
    for json in [
        "",
        "<html></html>",
        "{\"response\":[",
        "{\"response\":[]",
        "{\"response\":[]}}",
        "{\"response\":[]} x",
        "{\"response\":[{\"Event\":{\"uuid\":\"e\"}},]}",
        "{\"response\":[tru]}",
        "{\"response\":[01]}",
        "{\"response\":[1.]}",
        "{\"response\":[\"\\x\"]}",
        "{\"name\":\"no\",\"message\":\"no\",\"url\":\"/\"}",
        "3",
    ] {
        assert!(answer(json).is_err(), "{json}");
    }
    let deep = format!("{{\"response\":[{}{}]}}", "[".repeat(200), "]".repeat(200));
    assert!(answer(&deep).is_err());
    let body = Body::from(b"{\"response\":[\"\xff\"]}".to_vec());
    assert!(Records::from_answer(body, SplitLimits::default()).is_err());
}

#[test]
fn an_item_that_is_no_record_costs_itself() {
    let body =
        Body::from(br#"{"response":[{"Event":{"uuid":"a"}},7,{"Event":{"uuid":"b"}}]}"#.to_vec());
    let records: Vec<_> = Records::from_answer(body, SplitLimits::default())
        .unwrap()
        .collect();
    assert_eq!(records.len(), 3);
    assert!(matches!(
        records[1],
        Err(SplitError::NotARecord { offset: 36, .. })
    ));
    assert!(records[2].is_ok());
}

#[test]
fn a_bad_line_costs_itself() {
    let lines = "\u{feff}{\"Event\":{\"uuid\":\"a\"}}\n{\"Event\":{\"uuid\":\"b\"\n{\"Event\":{\"uuid\":\"c\"}}\nnonsense\n\n[{\"Event\":{\"uuid\":\"d\"}},\n  {\"Event\":{\"uuid\":\"e\"}}]";
    let found: Vec<String> = input(lines)
        .into_iter()
        .map(|record| record.map_or_else(|_| "error".to_owned(), |record| record.head.uuid))
        .collect();
    assert_eq!(found, ["a", "error", "c", "error", "d", "e"]);
}

#[test]
fn an_event_is_cut_and_objects_stay_whole() {
    let json = r#"{"response":[{"Event":{"uuid":"e","Attribute":[{"v":1},{"v":2},{"v":3},{"v":4}],"info":"x","Object":[{"n":1,"Attribute":[{"v":5},{"v":6}]},{"n":2,"Attribute":[]},{"n":3,"Attribute":[{"v":7},{"v":8},{"v":9},{"v":10}]},{"n":4}],"Tag":[]}}]}"#;
    for body in [Body::from(json.as_bytes().to_vec()), spooled(json)] {
        let records: Vec<Record> = Records::from_answer(body, small())
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let texts: Vec<&str> = records
            .iter()
            .map(|record| std::str::from_utf8(&record.json).unwrap())
            .collect();
        assert_eq!(
            texts,
            [
                r#"{"Event":{"uuid":"e","info":"x","Tag":[],"Attribute":[{"v":1},{"v":2},{"v":3}],"Object":[]}}"#,
                r#"{"Event":{"uuid":"e","info":"x","Tag":[],"Attribute":[{"v":4}],"Object":[{"n":1,"Attribute":[{"v":5},{"v":6}]},{"n":2,"Attribute":[]}]}}"#,
                r#"{"Event":{"uuid":"e","info":"x","Tag":[],"Attribute":[],"Object":[{"n":3,"Attribute":[{"v":7},{"v":8},{"v":9},{"v":10}]},{"n":4}]}}"#,
            ]
        );
        assert_eq!(
            records
                .iter()
                .map(|record| (record.attributes, record.last))
                .collect::<Vec<_>>(),
            [(3, false), (3, false), (4, true)]
        );
    }
}

#[test]
fn a_heavy_head_makes_thin_slices() {
    let attributes = vec![json!({"value": "x"}); 10];
    let event = json!({"Event": {"uuid": "e", "info": "y".repeat(1_000), "Attribute": attributes}});
    let limits = SplitLimits {
        head_times_attributes: 4_000,
        ..SplitLimits::default()
    };
    let records: Vec<Record> =
        Records::from_answer(Body::from(event.to_string().into_bytes()), limits)
            .unwrap()
            .map(Result::unwrap)
            .collect();
    assert_eq!(
        records
            .iter()
            .map(|record| record.attributes)
            .collect::<Vec<_>>(),
        [3, 3, 3, 1]
    );
}

#[test]
fn halves_go_down_to_one_attribute() {
    let json = r#"{"Event":{"uuid":"e","Attribute":[{"uuid":"1"},{"uuid":"2"}],"Object":[{"uuid":"o","Attribute":[{"uuid":"3"},{"uuid":"4"},{"uuid":"5"}],"name":"file"}],"info":"x"}}"#;
    let record = answer(json).unwrap().remove(0);
    let mut found = Vec::new();
    let mut queue = vec![record];
    while let Some(record) = queue.pop() {
        match record.halves() {
            Some((left, right)) => {
                assert_eq!(left.attributes + right.attributes, record.attributes);
                queue.push(right);
                queue.push(left);
            }
            None => {
                let event: Value = serde_json::from_slice(&record.json).unwrap();
                assert_eq!(event["Event"]["info"], "x");
                found.push(record.attribute_uuid().unwrap());
            }
        }
    }
    assert_eq!(found, ["1", "2", "3", "4", "5"]);
}

#[test]
fn an_event_of_many_attributes_passes_in_slices() {
    let mut spool = Spool::new(SpoolLimits {
        memory: 1 << 20,
        ..SpoolLimits::default()
    });
    spool
        .push(br#"{"response":[{"Event":{"uuid":"e","info":"x","Attribute":["#)
        .unwrap();
    let count = 100_000;
    for index in 0..count {
        let comma = if index == 0 { "" } else { "," };
        spool
            .push(format!("{comma}{{\"uuid\":\"{index}\",\"value\":\"v\"}}").as_bytes())
            .unwrap();
    }
    spool.push(br#"],"Object":[]}}]}"#).unwrap();
    let body = spool.finish();
    assert!(body.is_spooled());
    let mut total = 0;
    let mut slices = 0;
    for record in Records::from_answer(body, SplitLimits::default()).unwrap() {
        let record = record.unwrap();
        assert!(record.json.len() < 100_000);
        assert_eq!(record.last, total + 1_000 == count);
        total += record.attributes;
        slices += 1;
    }
    assert_eq!((total, slices), (count, 100));
}

/// An event with its members in any order.
fn any_event() -> impl Strategy<Value = (Value, Vec<Value>, Vec<Value>)> {
    let text = "[ -~\u{e9}\u{1F600}\n\"\\\\]{0,12}";
    let attribute = (text, any::<bool>()).prop_map(|(value, odd)| {
        if odd {
            json!({"value": value, "Tag": [{"name": "]}"}]})
        } else {
            json!({"value": value})
        }
    });
    let attributes = prop::collection::vec(attribute, 0..9);
    let objects = prop::collection::vec(
        attributes
            .clone()
            .prop_map(|list| json!({"name": "o", "Attribute": list})),
        0..4,
    );
    (attributes, objects, text).prop_map(|(attributes, objects, info)| {
        let event = json!({"uuid": "e", "info": info, "Attribute": attributes, "Object": objects, "Tag": [{"name": "tlp:red"}]});
        (event, attributes, objects)
    })
}

proptest! {
    #[test]
    fn slices_hold_the_event_again((event, attributes, objects) in any_event(), most in 1_u32..6, pretty: bool, file: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&json!({"response": [{"Event": event}]})).unwrap()
        } else {
            json!({"response": [{"Event": event}]}).to_string()
        };
        let body = if file { spooled(&text) } else { Body::from(text.into_bytes()) };
        let limits = SplitLimits { attributes: most, ..SplitLimits::default() };
        let records: Vec<Record> = Records::from_answer(body, limits).unwrap().map(Result::unwrap).collect();
        let (mut all_attributes, mut all_objects, mut counted) = (Vec::new(), Vec::new(), 0);
        for record in &records {
            let slice: Value = serde_json::from_slice(&record.json).unwrap();
            all_attributes.extend(slice["Event"]["Attribute"].as_array().unwrap().clone());
            all_objects.extend(slice["Event"]["Object"].as_array().unwrap().clone());
            prop_assert_eq!(&slice["Event"]["info"], &event["info"]);
            counted += record.attributes as usize;
            prop_assert!(record.attributes > 0 || records.len() == 1);
        }
        let in_objects: usize = objects.iter().map(|object| object["Attribute"].as_array().unwrap().len()).sum();
        prop_assert_eq!(counted, attributes.len() + in_objects);
        prop_assert_eq!(all_attributes, attributes);
        prop_assert_eq!(all_objects, objects);
        prop_assert_eq!(records.iter().filter(|record| record.last).count(), 1);
        prop_assert!(records.last().unwrap().last);
    }

    #[test]
    fn halves_lose_nothing((event, ..) in any_event()) {
        let record = answer(&json!({"Event": event}).to_string()).unwrap().remove(0);
        match record.halves() {
            None => prop_assert!(record.attributes < 2),
            Some((left, right)) => {
                prop_assert!(left.attributes > 0 && right.attributes > 0);
                prop_assert_eq!(left.attributes + right.attributes, record.attributes);
                for half in [left, right] {
                    let again = answer(std::str::from_utf8(&half.json).unwrap()).unwrap();
                    prop_assert_eq!(again.iter().map(|record| record.attributes).sum::<u32>(), half.attributes);
                }
            }
        }
    }

    #[test]
    fn a_cut_answer_is_an_error_and_garbage_never_panics((event, ..) in any_event(), cut: prop::sample::Index, byte: u8) {
        let text = json!({"response": [{"Event": event}]}).to_string().into_bytes();
        let at = cut.index(text.len() - 1);
        let cut = Body::from(text[..=at].to_vec());
        if at + 1 < text.len() {
            prop_assert!(Records::from_answer(cut, SplitLimits::default()).is_err());
        }
        let mut flipped = text;
        flipped[at] = byte;
        if let Ok(records) = Records::from_answer(Body::from(flipped.clone()), small()) {
            for record in records.flatten() {
                let _ = (record.halves(), record.attribute_uuid());
            }
        }
        for record in Records::from_input(Body::from(flipped), small()).flatten() {
            let _ = record.halves();
        }
    }
}
