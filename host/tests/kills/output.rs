//! What the output says: its lines folded by id, and the account that a pass gives.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::common::Setup;

/// What of an attribute is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct What {
    pub(crate) event: String,
    pub(crate) value: String,
    pub(crate) comment: String,
    pub(crate) tags: BTreeSet<String>,
}

/// By attribute uuid.
pub(crate) type Shown = BTreeMap<String, What>;

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
    let mut shown = Shown::new();
    for document in documents.values() {
        let uuid = words(document, "/misp/attribute/uuid");
        // The document of an event without attributes.
        if uuid.is_empty() {
            continue;
        }
        let tags = document["tags"].as_array().into_iter().flatten();
        let what = What {
            event: words(document, "/misp/event/uuid"),
            value: words(document, "/threat/indicator/url/domain"),
            comment: words(document, "/misp/attribute/comment"),
            tags: tags
                .filter_map(Value::as_str)
                .filter(|tag| tag.starts_with("lab:"))
                .map(str::to_owned)
                .collect(),
        };
        let twice = shown.insert(uuid.clone(), what);
        assert!(twice.is_none(), "two documents of {uuid}");
    }
    shown
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

/// Holds that received = documents + refused + in flight, and that nothing is in flight.
pub(crate) fn account(said: &str) {
    let line = said
        .lines()
        .find(|line| line.contains("  account   "))
        .unwrap_or_else(|| panic!("no account: {said}"));
    let numbers: Vec<u64> = line
        .replace(',', "")
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [received, documents, refused, in_flight] = numbers[..] else {
        panic!("{line}");
    };
    assert_eq!(received, documents + refused + in_flight, "{line}");
    assert_eq!((refused, in_flight), (0, 0), "{line}");
}
