//! What the output says: its lines folded by id, and the account that a pass gives.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::common::Setup;

/// What of an attribute is compared, by its uuid: event, value, comment, tags of the editor.
pub(crate) type Shown = BTreeMap<String, Value>;

/// One of them.
pub(crate) fn what(event: &str, value: &str, comment: &str, tags: &BTreeSet<&str>) -> Value {
    json!({"event": event, "value": value, "comment": comment, "tags": tags})
}

fn words(document: &Value, pointer: &str) -> String {
    let found = document.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

/// The lines folded by id: the last one counts, deletes remove, versions never fall.
pub(crate) fn standing(setup: &Setup) -> Shown {
    let lines = std::fs::read_to_string(setup.folder.path().join("out.ndjson")).unwrap();
    let mut versions = BTreeMap::new();
    let mut documents = BTreeMap::new();
    for line in lines.lines() {
        let document: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let id = words(&document, "/misp_ecs/id");
        let version = document["misp_ecs"]["version"].as_u64().unwrap();
        let before = versions.insert(id.clone(), version);
        assert!(before.is_none_or(|before| before <= version), "{line}");
        if document["misp_ecs"]["operation"] == "delete" {
            documents.remove(&id);
        } else {
            documents.insert(id, document);
        }
    }
    shown(documents.values())
}

/// What documents show, each attribute once.
pub(crate) fn shown<'a>(documents: impl Iterator<Item = &'a Value>) -> Shown {
    let mut shown = Shown::new();
    for document in documents {
        let uuid = words(document, "/misp/attribute/uuid");
        // The document of an event without attributes.
        if uuid.is_empty() {
            continue;
        }
        let tags = document["tags"].as_array().into_iter().flatten();
        let tags = tags.filter_map(Value::as_str);
        // Where `ecs-9` has it, or `ecs-1.12`.
        let event = words(document, "/misp/event/uuid") + &words(document, "/misp/uuid");
        let what = what(
            &event,
            &words(document, "/threat/indicator/url/domain"),
            &words(document, "/misp/attribute/comment"),
            &tags.filter(|tag| tag.starts_with("lab:")).collect(),
        );
        let twice = shown.insert(uuid.clone(), what);
        assert!(twice.is_none(), "two documents of {uuid}");
    }
    shown
}

/// Holds that both have the same keys with the same values.
pub(crate) fn same(wanted: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>, said: &str) {
    let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let mut differences = Vec::new();
    for key in keys {
        differ(key, wanted.get(key), found.get(key), &mut differences);
    }
    let all = differences.len();
    differences.truncate(10);
    assert_eq!(all, 0, "differences, such as {differences:#?}\n{said}");
}

/// The places below `at` where two values differ.
fn differ(at: &str, wanted: Option<&Value>, found: Option<&Value>, differences: &mut Vec<String>) {
    match (wanted, found) {
        (Some(Value::Object(wanted)), Some(Value::Object(found))) => {
            let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
            for key in keys {
                let at = format!("{at} {key}");
                differ(&at, wanted.get(key), found.get(key), differences);
            }
        }
        _ if wanted == found => {}
        _ => differences.push(format!("{at}: {wanted:?} is wanted and {found:?} found")),
    }
}

/// Lines in the output, also if a kill cut the last one.
pub(crate) fn written(setup: &Setup) -> usize {
    let bytes = std::fs::read(setup.folder.path().join("out.ndjson")).unwrap_or_default();
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// Bytes in the output.
pub(crate) fn length(setup: &Setup) -> u64 {
    std::fs::metadata(setup.folder.path().join("out.ndjson")).map_or(0, |found| found.len())
}

/// The account of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// What was sent and taken.
    pub(crate) stored: u64,
    /// As the host says it.
    pub(crate) text: String,
}

/// Holds that received = documents + refused + in flight, that nothing is in flight nor refused,
/// and that the output has a verdict for every document.
pub(crate) fn account(said: &str) -> Account {
    let find = |label: &str| {
        let line = said.lines().find(|line| line.contains(label));
        line.unwrap_or_else(|| panic!("no{label}: {said}"))
    };
    let (account, written) = (find("  account   "), find("  written   "));
    let [received, documents, refused, in_flight] = numbers(account)[..] else {
        panic!("{account}");
    };
    assert_eq!(received, documents + refused + in_flight, "{account}");
    assert_eq!((refused, in_flight), (0, 0), "{account}");
    // `written   1,234 to siem, 5 unchanged`; what is withdrawn is no document of the pass.
    let verdicts = written
        .split(", ")
        .filter(|part| !part.contains("withdrawn") && !part.contains("former mapping"));
    let verdicts: Vec<u64> = verdicts.flat_map(numbers).collect();
    assert_eq!(verdicts.iter().sum::<u64>(), documents, "{written}");
    assert!(!written.contains("rejected"), "{written}");
    Account {
        stored: verdicts[0],
        text: format!("{}; {}", account.trim(), written.trim()),
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.replace(',', "")
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}
