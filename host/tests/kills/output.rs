//! What the output says: its lines folded by id, and the account that a pass gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

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
        // Where `ecs-9` has it, or `ecs-1.12`.
        let event = words(document, "/misp/event/uuid") + &words(document, "/misp/uuid");
        let what = What {
            event,
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

/// Holds that both have the same keys with the same values.
pub(crate) fn same<T: PartialEq + Debug>(
    wanted: &BTreeMap<String, T>,
    found: &BTreeMap<String, T>,
    said: &str,
) {
    let keys: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let differ = keys.into_iter().filter_map(|key| {
        let (wanted, found) = (wanted.get(key), found.get(key));
        (wanted != found).then_some((key, wanted, found))
    });
    let differ: Vec<_> = differ.take(5).collect();
    assert!(differ.is_empty(), "wanted and found differ: {differ:#?}\n{said}");
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) received: u64,
    /// What was sent and taken.
    pub(crate) stored: u64,
}

/// Holds that received = documents + refused + in flight, that nothing is in flight nor refused,
/// and that the output has a verdict for every document.
pub(crate) fn account(said: &str) -> Account {
    let line = said
        .lines()
        .find(|line| line.contains("  account   "))
        .unwrap_or_else(|| panic!("no account: {said}"));
    let numbers = numbers(line);
    let [received, documents, refused, in_flight] = numbers[..] else {
        panic!("{line}");
    };
    assert_eq!(received, documents + refused + in_flight, "{line}");
    assert_eq!((refused, in_flight), (0, 0), "{line}");
    let line = said
        .lines()
        .find(|line| line.contains("  written   "))
        .unwrap_or_else(|| panic!("nothing about an output: {said}"));
    // `written   1,234 to siem, 5 unchanged`; what is withdrawn is no document of the pass.
    let verdicts = line.split(", ").filter(|part| !part.contains("withdrawn"));
    let verdicts: Vec<u64> = verdicts.flat_map(self::numbers).collect();
    assert_eq!(verdicts.iter().sum::<u64>(), documents, "{line}");
    assert!(!line.contains("rejected"), "{line}");
    Account {
        received,
        stored: verdicts[0],
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.replace(',', "")
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}
