//! Rules that a golden folder does not show well: what moves a fingerprint, limits,
//! settings, and what the mapping says of itself.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests are here"
)]

mod common;

use common::{NOW_MS, body, mapper, mapper_with};
use mapping::{Mapping, NoteKind, Operation, Origin, Rejection, SettingsError};
use mapping_ecs_1_12::Ecs112;
use serde_json::{Value, json};

fn event() -> Value {
    json!({"Event": {
        "uuid": "e", "info": "title", "timestamp": "1700000500", "publish_timestamp": "1700000600",
        "published": true, "attribute_count": "2", "analysis": "1",
        "Attribute": [{"uuid": "a", "type": "domain", "value": "example.com", "timestamp": "1700000100"}],
    }})
}

fn fingerprint(mapper: &Ecs112, record: &Value, now_ms: i64) -> u64 {
    mapper
        .transform(record.to_string().as_bytes(), now_ms)
        .unwrap()
        .documents[0]
        .fingerprint
}

#[test]
fn what_moves_by_itself_leaves_the_fingerprint() {
    let mapper =
        mapper_with(r#"{"event_created":true,"event_ingested":true,"keep_timestamp":true}"#);
    let before = fingerprint(&mapper, &event(), NOW_MS);
    let mut record = event();
    for (key, value) in [
        ("timestamp", json!("1700009999")),
        ("publish_timestamp", json!("1700009999")),
        ("sighting_timestamp", json!("1700009999")),
        ("published", json!(false)),
        ("attribute_count", json!("3")),
    ] {
        record["Event"][key] = value;
        assert_eq!(fingerprint(&mapper, &record, NOW_MS + 1), before, "{key}");
    }
}

#[test]
fn what_was_edited_moves_the_fingerprint() {
    let before = fingerprint(&mapper(), &event(), NOW_MS);
    for (pointer, value) in [
        ("/Event/info", json!("other")),
        ("/Event/Tag", json!([{"name": "tlp:red"}])),
        ("/Event/Attribute/0/value", json!("example.org")),
        ("/Event/Attribute/0/timestamp", json!("1700000101")),
        ("/Event/Attribute/0/comment", json!("")),
    ] {
        let mut record = event();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        record.pointer_mut(parent).unwrap()[key] = value;
        assert_ne!(fingerprint(&mapper(), &record, NOW_MS), before, "{pointer}");
    }
}

#[test]
fn the_machine_is_not_in_the_fingerprint() {
    let with = |statics: &str| {
        let origin = Origin {
            static_fields: statics.into(),
            ..Origin::default()
        };
        fingerprint(&Ecs112::new(b"", origin).unwrap(), &event(), NOW_MS)
    };
    let plain = with("");
    assert_eq!(
        with(r#"{"host":{"name":"x"},"agent":{"version":"9"}}"#),
        plain
    );
    assert_ne!(with(r#"{"data_stream":{"namespace":"x"}}"#), plain);
}

#[test]
fn context_has_a_limit() {
    for (others, truncated) in [(100, false), (101, true)] {
        let attributes: Vec<_> = (0..=others)
            .map(|n| json!({"uuid": n.to_string(), "type": "text", "value": n.to_string()}))
            .collect();
        let record = json!({"Event": {"info": "x", "Object": [{"Attribute": attributes}]}});
        let outcome = mapper()
            .transform(record.to_string().as_bytes(), NOW_MS)
            .unwrap();
        assert_eq!(outcome.documents.len(), others + 1);
        for document in &outcome.documents {
            let values = &body(document)["misp"]["context"]["attribute"]["value"];
            assert_eq!(values.as_array().unwrap().len(), 100);
            let note = document
                .notes
                .iter()
                .find(|note| note.kind == NoteKind::Truncated);
            assert_eq!(note.is_some(), truncated);
        }
    }
}

#[test]
fn long_values_are_kept_whole() {
    let long = "é".repeat(60_000);
    let record = json!({"type": "text", "value": long, "uuid": "a"});
    let outcome = mapper()
        .transform(record.to_string().as_bytes(), NOW_MS)
        .unwrap();
    assert_eq!(
        body(&outcome.documents[0])["misp"]["attribute"]["value"],
        long
    );
}

#[test]
fn deleted_attributes_are_withdrawn() {
    let operation = |settings: &str, members: Value| {
        let mut record = event();
        record["Event"]["Attribute"][0]
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        let mapper = mapper_with(settings);
        mapper
            .transform(record.to_string().as_bytes(), NOW_MS)
            .unwrap()
            .documents[0]
            .operation
    };
    let only = r#"{"only_to_ids":true}"#;
    assert_eq!(operation("{}", json!({})), Operation::Put);
    assert_eq!(operation("{}", json!({"deleted": "1"})), Operation::Delete);
    assert_eq!(operation("{}", json!({"to_ids": false})), Operation::Put);
    assert_eq!(operation(only, json!({"to_ids": 0})), Operation::Delete);
    assert_eq!(operation(only, json!({"to_ids": true})), Operation::Put);
    assert_eq!(operation(only, json!({})), Operation::Put);
}

#[test]
fn ids_follow_the_uuids() {
    let id = |record: Value| {
        let outcome = mapper()
            .transform(record.to_string().as_bytes(), NOW_MS)
            .unwrap();
        outcome.documents[0].id.clone()
    };
    let first = "572b4ab3-1af0-4d91-9cd5-07a1c0a8ab16";
    let expected = "q6lpiHbh9egUDLtW5bXtByUtRaw=";
    assert_eq!(
        id(json!({"Event": {"Attribute": {"uuid": first}}})),
        expected
    );
    assert_eq!(
        id(json!({"Event": {"Attribute": [{"uuid": first}]}})),
        expected
    );
    assert_eq!(
        id(json!({"Event": {"Object": [{"Attribute": [{"uuid": first}]}]}})),
        expected
    );
    assert_eq!(id(json!({"uuid": first, "value": "x"})), expected);
    let beside = "3b322e1a-1dd8-490c-ab96-12e1bc3ee6a3";
    let inside = "ff97cc32-815e-4fc9-9d4b-cab9822027a6";
    let pair = json!({"Event": {
        "Attribute": {"uuid": beside}, "Object": {"Attribute": {"uuid": inside}},
    }});
    assert_eq!(id(pair), "KvRh9QLuDtDdtSuGcmMr2GYNDEM=");
}

#[test]
fn records_that_are_none_are_refused() {
    let refused = |bytes: &[u8]| mapper().transform(bytes, NOW_MS).unwrap_err();
    assert!(matches!(refused(b"not json"), Rejection::Malformed(_)));
    assert!(matches!(refused(b"{\"Event\":"), Rejection::Malformed(_)));
    assert!(matches!(
        refused(br#"{"name":"x","message":"y"}"#),
        Rejection::Unsupported(_)
    ));
    let deep = "[".repeat(100_000);
    assert!(matches!(refused(deep.as_bytes()), Rejection::Malformed(_)));
}

#[test]
fn settings_are_checked() {
    let new = |settings: &str| Ecs112::new(settings.as_bytes(), Origin::default()).unwrap_err();
    let SettingsError::UnknownKey(text) = new(r#"{"preserve_original":true}"#) else {
        panic!("another error");
    };
    assert!(text.contains("`preserve_original_event`"), "{text}");
    assert!(matches!(
        new(r#"{"ioc_expiration_duration":"soon"}"#),
        SettingsError::Invalid(_)
    ));
    assert!(matches!(new("[]"), SettingsError::Malformed(_)));
    let origin = Origin {
        static_fields: b"x".to_vec(),
        ..Origin::default()
    };
    assert!(matches!(
        Ecs112::new(b"", origin),
        Err(SettingsError::Malformed(_))
    ));
}

#[test]
fn it_describes_itself() {
    let description = Ecs112::describe();
    assert_eq!(description.name, "ecs-1.12");
    assert_eq!(description.ecs_version, "1.12");
    let schema: Value = serde_json::from_str(&description.settings_schema).unwrap();
    assert_eq!(
        schema["properties"]["preserve_original_event"]["default"],
        true
    );
    let request: Value = serde_json::from_str(&mapper().request()).unwrap();
    assert_eq!(
        request,
        json!({"excludeGalaxy": 1, "noEventReports": 1, "noShadowAttributes": 1})
    );
}
