//! The answers of the filter, for good input and for any.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

use adapter_fluent_bit::{Filter, Mode};
use adapter_shell::Layout;
use misp_ecs_tests::events;
use proptest::prelude::*;
use serde_json::{Deserializer, Value, json};

const MODES: [Mode; 3] = [Mode::One, Mode::Docs, Mode::FanOut];
const TIME: (u32, u32) = (1_700_001_234, 567_000_000);

fn map(filter: &mut Filter, mode: Mode, record: &str) -> String {
    let answer = filter.map(mode, None, TIME, record.as_bytes());
    let (nul, text) = answer.split_last().unwrap();
    assert_eq!(*nul, 0);
    assert!(!text.contains(&0));
    String::from_utf8(text.to_vec()).unwrap()
}

/// The documents of an answer as Fluent Bit reads it: values one after another, the
/// first an object, the others events of its own.
fn documents(mode: Mode, answer: &str) -> Vec<Value> {
    let values: Vec<Value> = Deserializer::from_str(answer)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    match mode {
        Mode::One => {
            assert!(values.len() <= 1);
            values
        }
        Mode::Docs => {
            assert!(values.len() <= 1);
            let lists = values.iter().map(|value| value["docs"].as_array().unwrap());
            lists.flatten().cloned().collect()
        }
        Mode::FanOut => {
            let document = |(place, value): (usize, &Value)| {
                if place == 0 {
                    return value.clone();
                }
                let event = value.as_array().unwrap();
                assert_eq!(event.len(), 2);
                assert!(event[0][0].as_f64().unwrap() >= 0.0);
                assert_eq!(event[0][1], json!({}));
                event[1].clone()
            };
            values.iter().enumerate().map(document).collect()
        }
    }
}

fn sound(mode: Mode, answer: &str) {
    for document in documents(mode, answer) {
        assert!(document.is_object());
        let operation = document["misp_ecs"]["operation"].as_str();
        assert!(
            matches!(operation, Some("put" | "delete" | "refused")),
            "{document}"
        );
    }
}

#[test]
fn an_event_makes_the_same_documents_either_way() {
    let event = json!({"Event": events::event_with_objects()}).to_string();
    let mut filter = Filter::new(b"");
    let docs = documents(Mode::Docs, &map(&mut filter, Mode::Docs, &event));
    assert!(docs.len() > 3);
    let fan_out = documents(Mode::FanOut, &map(&mut filter, Mode::FanOut, &event));
    assert_eq!(docs, fan_out);
    for document in &docs {
        assert_eq!(document["misp_ecs"]["operation"], "put");
        assert!(document["misp_ecs"]["id"].is_string());
    }
    let one = documents(Mode::One, &map(&mut filter, Mode::One, &event));
    let text = one[0]["error"]["message"].as_str().unwrap();
    assert!(
        text.contains(&format!("{} documents", docs.len())),
        "{text}"
    );
}

#[test]
fn one_attribute_is_one_document_of_the_mapping_asked_for() {
    let record = r#"{"type":"ip-dst","value":"192.0.2.7","category":"Network activity","to_ids":true,"uuid":"9b2e0d2a-4f5f-4c8e-9f58-0123456789ab","timestamp":"1700000000"}"#;
    let mut filter = Filter::new(br#"{"adapter":{"envelope":false}}"#);
    let mut version = |layout| {
        let answer = filter.map(Mode::One, layout, TIME, record.as_bytes());
        let text = std::str::from_utf8(answer).unwrap().trim_end_matches('\0');
        let document: Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["threat"]["indicator"]["type"], "ipv4-addr");
        assert_eq!(document.get("misp_ecs"), None);
        document["ecs"]["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(version(None), version(Some(Layout::Ecs9)));
    assert_ne!(version(None), version(Some(Layout::Ecs112)));
}

#[test]
fn nothing_to_say_is_the_clean_drop() {
    let deleted = r#"{"type":"ip-dst","value":"192.0.2.7","category":"x","deleted":true}"#;
    let asked = r#"{"type":"ip-dst","value":"192.0.2.7","category":"x","deleted":true,"misp_ecs_settings":{"adapter":{"deletes":true}}}"#;
    for mode in MODES {
        let mut filter = Filter::new(b"");
        assert_eq!(map(&mut filter, mode, deleted), "");
        assert_eq!(map(&mut filter, mode, "[]"), "");
        let tombstone = documents(mode, &map(&mut filter, mode, asked));
        assert_eq!(tombstone[0]["misp_ecs"]["operation"], "delete");
        assert_eq!(tombstone[0].as_object().unwrap().len(), 1);
    }
}

#[test]
fn what_is_refused_is_a_document_that_says_why() {
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    let deep = format!(r#"{{"type":"text","value":"x","to_ids":false,"x":{deep}}}"#);
    for (record, why) in [
        ("", None),
        ("{", Some("malformed")),
        (r#"{"log":"hello"}"#, Some("unsupported")),
        (deep.as_str(), Some("malformed")),
        (
            r#"{"value":"x","misp_ecs_settings":{"no_such":1}}"#,
            Some("settings"),
        ),
        (
            r#"{"value":"x","misp_ecs_settings":{"adapter":{"mapping":"x"}}}"#,
            Some("settings"),
        ),
    ] {
        let mut filter = Filter::new(b"");
        let answer = documents(Mode::One, &map(&mut filter, Mode::One, record));
        let kind = answer.first().map(|document| {
            assert_eq!(document["event"]["kind"], "pipeline_error");
            assert_eq!(document["@timestamp"], "2023-11-14T22:33:54.567Z");
            document["error"]["type"].as_str().unwrap()
        });
        assert_eq!(kind, why, "{record}");
    }
}

#[test]
fn memory_that_was_not_given_is_not_read() {
    let mut filter = Filter::new(b"");
    let given = filter.malloc(10);
    for (record, length) in [
        (0, 9000),
        (given + 1, 2),
        (given, 5000),
        (usize::MAX, usize::MAX),
    ] {
        filter.call(Mode::One, None, TIME, record, length);
        let answer = filter.answer().to_vec();
        let text = std::str::from_utf8(&answer).unwrap().trim_end_matches('\0');
        let document: Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["error"]["type"], "too-large");
    }
}

/// Nothing is lost silently: the documents that came and those that are named are all of them.
#[test]
fn a_large_event_names_what_is_missing_and_how_to_split_it() {
    let info = "x".repeat(1 << 20);
    let attributes: Vec<Value> = (0..100)
        .map(|number| json!({"type": "text", "value": "x", "uuid": events::uuid(7, number)}))
        .collect();
    let (own, in_object) = attributes.split_at(60);
    let event = json!({"Event": {
        "info": info, "uuid": "9b2e0d2a-4f5f-4c8e-9f58-0123456789ab", "Attribute": own,
        "Object": [{"name": "o", "Attribute": in_object}],
    }});
    for mode in [Mode::Docs, Mode::FanOut] {
        let mut filter = Filter::new(b"");
        let docs = documents(mode, &map(&mut filter, mode, &event.to_string()));
        let (last, came) = docs.split_last().unwrap();
        assert_eq!(last["error"]["type"], "too-large");
        let text = last["error"]["message"].as_str().unwrap();
        assert!(text.contains("split the event"), "{text}");
        let envelope = &last["misp_ecs"];
        assert_eq!(envelope["event"], "9b2e0d2a-4f5f-4c8e-9f58-0123456789ab");
        let missing = envelope["missing"]["attributes"].as_array().unwrap();
        assert_eq!(envelope["missing"]["count"], missing.len());
        assert!(came.len() > 5 && missing.len() > 5, "{}", came.len());
        let came = came
            .iter()
            .map(|one| one["misp"]["attribute"]["uuid"].clone());
        let all: Vec<Value> = came.chain(missing.iter().cloned()).collect();
        let expected: Vec<Value> = attributes.iter().map(|one| one["uuid"].clone()).collect();
        assert_eq!(all, expected);
    }
}

/// Fluent Bit's es output writes a document without an id over the document before it.
#[test]
fn each_refused_document_has_an_id_of_its_own_and_names_what_was_refused() {
    let uuid = "9b2e0d2a-4f5f-4c8e-9f58-0123456789ab";
    let deep = format!(r#"{{"value":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    let event = format!(
        r#"{{"Event":{{"info":"x","uuid":"{uuid}","Attribute":[7,{deep},{{"type":"text","value":"v"}},"odd"]}}}}"#
    );
    let mut filter = Filter::new(b"");
    let mut ids = std::collections::BTreeSet::new();
    let mut count = 0;
    for record in [
        "garbage",
        "[1,2,3]",
        "{",
        r#"{"log":"hello"}"#,
        event.as_str(),
    ] {
        let answer = documents(Mode::Docs, &map(&mut filter, Mode::Docs, record));
        assert_eq!(
            answer,
            documents(Mode::Docs, &map(&mut filter, Mode::Docs, record)),
            "the same record has the same ids"
        );
        for document in answer {
            count += 1;
            ids.insert(document["misp_ecs"]["id"].as_str().unwrap().to_owned());
            if document["misp_ecs"]["operation"] == "refused" {
                assert_eq!(document["event"]["hash"].as_str().unwrap().len(), 40);
                if record == event {
                    assert_eq!(document["misp_ecs"]["event"], uuid, "{document}");
                } else {
                    let start = document["event"]["original"].as_str().unwrap();
                    assert!(!start.is_empty() && record.contains(start), "{start}");
                }
            }
        }
    }
    assert_eq!(count, 4 + 2 + 4, "[1,2,3] makes three, the event four");
    assert_eq!(ids.len(), count);
}

#[test]
fn no_refused_document_shows_a_private_value() {
    let mut filter = Filter::new(b"");
    let mut count = 0;
    for text in events::with_canary("passport-number", "CANARY") {
        for record in [
            text.clone(),
            text[..text.len() - 1].to_owned(),
            text.replacen('{', r#"{"misp_ecs_settings":{"no_such":1},"#, 1),
            text.replacen('{', r#"{"misp_ecs_settings":{"keep_personal":true},"#, 1),
        ] {
            for mode in MODES {
                count += 1;
                let answer = map(&mut filter, mode, &record);
                assert!(!answer.contains("CANARY"), "{answer}\n{record}");
            }
        }
    }
    assert!(count > 1_000, "{count}");
}

#[test]
fn settings_of_a_record_can_be_ignored_and_never_make_more_public() {
    let record = |settings: &str| {
        format!(
            r#"{{"type":"passport-number","value":"made up","uuid":"9b2e0d2a-4f5f-4c8e-9f58-0123456789ab","timestamp":"1700000000","misp_ecs_settings":{settings}}}"#
        )
    };
    let value = |own: &[u8], settings: &str| {
        let answer = map(&mut Filter::new(own), Mode::One, &record(settings));
        let document: Value = serde_json::from_str(&answer).unwrap();
        (
            document["misp"]["attribute"]["value"].clone(),
            document["threat"]["feed"]["name"].clone(),
        )
    };
    let ask = r#"{"keep_personal":true,"adapter":{"instance":"theirs"}}"#;
    assert_eq!(value(b"", ask), (json!("[redacted]"), json!("theirs")));
    let allow = br#"{"keep_personal":true}"#;
    assert_eq!(value(allow, ask).0, "made up");
    assert_eq!(value(allow, "{}").0, "[redacted]");
    let ignore = br#"{"adapter":{"record_settings":false,"instance":"ours"}}"#;
    assert_eq!(value(ignore, ask), (json!("[redacted]"), json!("ours")));
    assert_eq!(value(ignore, r#"{"no_such":1}"#).1, "ours");
}

#[test]
fn settings_of_a_record_nest_as_deep_as_a_record() {
    for (depth, refused) in [(29, false), (31, true), (126, true), (100_000, true)] {
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let settings = format!(r#"{{"adapter":{{"static_fields":{{"x":{deep}}}}}}}"#);
        for settings in [settings.clone(), Value::from(settings).to_string()] {
            let record = format!(
                r#"{{"type":"ip-dst","value":"192.0.2.7","to_ids":true,"misp_ecs_settings":{settings}}}"#
            );
            let answer = map(&mut Filter::new(b""), Mode::One, &record);
            let document: Value = serde_json::from_str(&answer).unwrap();
            let is_refused = document["error"]["type"] == "settings";
            assert!(is_refused || !refused, "{depth}");
        }
    }
}

/// Records that are almost right: shapes that the mapping looks into, odd values.
fn almost() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("ip-dst|port")),
        Just(json!("1700000000")),
        Just(json!("192.0.2.1|80")),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let keys = prop::sample::select(vec![
            "Event",
            "Attribute",
            "Object",
            "Tag",
            "Galaxy",
            "GalaxyCluster",
            "meta",
            "name",
            "type",
            "value",
            "uuid",
            "timestamp",
            "deleted",
            "response",
            "info",
            "to_ids",
            "category",
            "event_id",
            "first_seen",
            "data",
            "misp_ecs_settings",
            "Sighting",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((keys, inner), 0..7).prop_map(|members| members
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_have_a_sound_answer(record: Vec<u8>, mode in prop::sample::select(&MODES[..])) {
        let mut filter = Filter::new(b"");
        let answer = filter.map(mode, None, (u32::MAX, u32::MAX), &record);
        sound(mode, std::str::from_utf8(answer).unwrap().trim_end_matches('\0'));
    }

    #[test]
    fn almost_records_have_a_sound_answer(record in almost(), mode in prop::sample::select(&MODES[..])) {
        let mut filter = Filter::new(br#"{"adapter":{"deletes":true}}"#);
        let answer = map(&mut filter, mode, &record.to_string());
        sound(mode, &answer);
    }

    #[test]
    fn any_settings_have_a_sound_answer(settings: Vec<u8>) {
        let mut filter = Filter::new(&settings);
        let answer = map(&mut filter, Mode::One, r#"{"type":"ip-dst","value":"192.0.2.7","to_ids":true}"#);
        sound(Mode::One, &answer);
    }
}
