use serde_json::json;

use super::bulk::{Action, Operation, operations};
use super::faults::ElasticHabits;
use super::store::{ElasticStore, matches};

fn operation(action: Action, index: &str, id: &str, version: Option<u64>) -> Operation {
    let source = (action != Action::Delete).then(|| json!({"@timestamp": 1, "n": version}));
    Operation {
        action,
        index: index.to_owned(),
        id: id.to_owned(),
        version,
        text: source
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        source,
        require_alias: false,
    }
}

#[test]
fn external_versions_are_kept_beyond_a_delete() {
    let mut store = ElasticStore::default();
    let habits = ElasticHabits::default();
    let mut apply = |action, version| {
        store.apply(&operation(action, "i", "a", Some(version)), &habits)["status"].clone()
    };
    assert_eq!(apply(Action::Index, 5), 201);
    assert_eq!(apply(Action::Index, 5), 200);
    assert_eq!(apply(Action::Index, 4), 409);
    assert_eq!(apply(Action::Delete, 4), 409);
    assert_eq!(apply(Action::Delete, 6), 200);
    assert_eq!(apply(Action::Delete, 6), 404);
    assert_eq!(apply(Action::Index, 5), 409);
    assert_eq!(apply(Action::Index, 7), 201);
}

#[test]
fn what_looks_like_a_log_is_a_data_stream_without_a_template() {
    let mut store = ElasticStore::default();
    let habits = ElasticHabits::default();
    let mut status = |action, index, version| {
        store.apply(&operation(action, index, "a", version), &habits)["status"].clone()
    };
    assert_eq!(status(Action::Index, "logs-a-b", Some(1)), 400);
    assert_eq!(status(Action::Create, "logs-a-b", None), 201);
    assert_eq!(status(Action::Create, "logs-a-b", None), 409);
}

#[test]
fn a_body_that_is_no_bulk_is_refused() {
    let header = r#"{"index":{"_index":"i","_id":"a"}}"#;
    for body in [
        format!("{header}\n{{}}"),
        "{}\n".to_owned(),
        "no json\n".to_owned(),
        header.replace("\"a\"", &format!("\"{}\"", "a".repeat(513))) + "\n{}\n",
    ] {
        operations(body.as_bytes()).unwrap_err();
    }
    let sound = operations(format!("{header}\n{{}}\n").as_bytes()).unwrap();
    assert_eq!((sound.len(), sound[0].version), (1, None));
}

#[test]
fn stars_stand_for_anything() {
    for (pattern, name, expected) in [
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*", "b", false),
        ("*-*", "a-b", true),
        ("*-*", "ab", false),
        ("abc", "abcd", false),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}
