//! Records of every shape that hold a private attribute with a canary in each of its strings.

#![allow(clippy::indexing_slicing, reason = "only tests call it")]

use serde_json::{Map, Value, json};

/// Members of an attribute that hold text in MISP, in any version.
const TEXTS: [&str; 9] = [
    "comment",
    "data",
    "object_relation",
    "validationIssue",
    "value",
    "value1",
    "value2",
    "x_of_a_later_version",
    "old_value",
];
/// Members that identify an attribute, tell when and for whom it is.
const FACTS: [&str; 16] = [
    "category",
    "deleted",
    "disable_correlation",
    "distribution",
    "event_id",
    "event_uuid",
    "first_seen",
    "id",
    "last_seen",
    "object_id",
    "org_id",
    "sharing_group_id",
    "timestamp",
    "to_ids",
    "uuid",
    "old_id",
];

/// Private attributes of a type: with the canary in every text, in what should be a fact, in
/// values that are no text, and nested.
fn attributes(kind: &str, canary: &str) -> Vec<Value> {
    let with = |keys: &[&str]| -> Map<String, Value> {
        let mut members: Map<String, Value> = keys
            .iter()
            .map(|key| ((*key).to_owned(), Value::from(canary)))
            .collect();
        members.insert("type".to_owned(), kind.into());
        members
    };
    let mut real = with(&TEXTS);
    for (key, value) in [
        ("id", json!("12")),
        ("uuid", json!("8a6a5ea4-27b6-4a5b-9d3a-0123456789ab")),
        ("timestamp", json!("1700000000")),
        ("category", json!("Person")),
        ("to_ids", json!(false)),
    ] {
        real.insert(key.to_owned(), value);
    }
    let mut nested = real.clone();
    for (key, value) in [
        ("value", json!([canary, {"x": canary}])),
        (
            "warnings",
            json!([{"match": canary, "value": canary, "warninglist_name": canary, "warninglist_id": "1"}]),
        ),
        (
            "RelatedAttribute",
            json!([{"type": "text", "value": canary, "Event": {"info": canary}}]),
        ),
        (
            "ShadowAttribute",
            json!([{"type": "text", "value": canary, "value1": canary, "value2": canary}]),
        ),
        (
            "Sighting",
            json!([{"type": "0", "source": canary, "Organisation": {"name": canary}}]),
        ),
        (
            "decay_score",
            json!([{"score": 1, "DecayingModel": {"id": "1", "name": canary}}]),
        ),
        ("Note", json!([{"note": canary}])),
        ("Feed", json!({"1": {"name": canary}})),
    ] {
        nested.insert(key.to_owned(), value);
    }
    let facts = [&TEXTS[..], &FACTS[..]].concat();
    vec![
        real.into(),
        nested.into(),
        with(&facts).into(),
        with(&FACTS).into(),
    ]
}

/// Records, as JSON, of every shape; valid but for those that end in the middle.
pub fn with_canary(kind: &str, canary: &str) -> Vec<String> {
    let plain = json!({"type": "text", "value": "plain", "uuid": "1f2c4ac5-9a4c-4f0e-8f1a-0123456789ab", "timestamp": "1700000000"});
    let head = json!({"id": "3", "info": "an event", "uuid": "5b6f6d9c-6a92-4a42-8e0f-0123456789ab", "timestamp": "1700000000"});
    let event = |members: &[(&str, Value)]| {
        let mut event = head.clone();
        for (key, value) in members {
            event[*key] = value.clone();
        }
        event
    };
    let mut records = Vec::new();
    for private in attributes(kind, canary) {
        let sparse = json!({"0": plain, "7": private});
        let object = json!({"name": "person", "uuid": "3d1e0d2a-4f5f-4c8e-9f58-0123456789ab", "Attribute": [plain, private]});
        let object_of_one = json!({"name": "person", "Attribute": private});
        let mut public = plain.clone();
        public["ShadowAttribute"] = json!([private]);
        public["RelatedAttribute"] = json!([private]);
        let mut loose = private.clone();
        loose["Event"] = head.clone();
        loose["Object"] = json!({"name": "person", "id": "4"});
        let events = [
            event(&[("Attribute", json!([plain, private, private]))]),
            event(&[("Attribute", sparse.clone())]),
            event(&[
                ("Attribute", json!([])),
                ("Object", json!([object, object])),
            ]),
            event(&[("Object", json!({"0": object, "3": object}))]),
            event(&[("Object", json!([{"name": "person", "Attribute": sparse}]))]),
            // Split by another shipper.
            event(&[("Attribute", private.clone())]),
            event(&[("Object", object_of_one.clone())]),
            event(&[
                ("Attribute", private.clone()),
                ("Object", json!({"Attribute": plain})),
            ]),
            event(&[("Attribute", plain.clone()), ("Object", object_of_one)]),
            // Proposals and correlations.
            event(&[
                ("Attribute", json!([public])),
                ("ShadowAttribute", json!([private])),
            ]),
            event(&[
                ("Attribute", public.clone()),
                ("ShadowAttribute", json!({"1": private})),
            ]),
            event(&[
                ("Attribute", plain.clone()),
                (
                    "RelatedAttribute",
                    json!({"12": [{"id": "9", "value": canary, "info": canary}]}),
                ),
            ]),
            event(&[
                ("Attribute", plain.clone()),
                (
                    "warnings",
                    json!({"12": [{"value": canary, "match": canary}]}),
                ),
            ]),
        ];
        records.extend(events.iter().map(|event| json!({"Event": event})));
        records.extend(events.iter().cloned());
        records.push(json!({"response": events.iter().map(|event| json!({"Event": event})).collect::<Vec<_>>()}));
        records.push(json!([{"Event": events[0]}, {"Event": events[5]}]));
        records.extend([
            private.clone(),
            loose.clone(),
            json!({"Attribute": private}),
            json!({"Attribute": private, "Event": head}),
            json!({"Attribute": [private, plain], "Event": head}),
            json!({"response": {"Attribute": [loose, plain, private]}}),
            public,
        ]);
    }
    let mut texts: Vec<String> = records.iter().map(Value::to_string).collect();
    // Keys given twice: what the first held is not seen by most readers.
    for hidden in attributes(kind, canary) {
        texts.push(format!(
            r#"{{"Event":{{"info":"x","Attribute":{plain},"ShadowAttribute":[{hidden}],"ShadowAttribute":[]}}}}"#
        ));
    }
    texts
}
