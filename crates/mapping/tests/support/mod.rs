//! For the tests of every mapping: the golden folders, and one mapped record in a form
//! a person can read. They include it by its path.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests call it")]

pub(crate) mod any;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ecs_model::DataType;
use ecs_model::check::Checker;
use mapping::{Document, Facts, Mapping, NoteKind, Operation, Origin, Outcome, Rejection, Tlp};
use serde_json::{Value, json};

/// `now` of every test, UNIX milliseconds.
pub(crate) const NOW_MS: i64 = 1_700_001_234_567;

/// One golden folder.
pub(crate) struct Case<M> {
    pub(crate) folder: PathBuf,
    pub(crate) input: Vec<u8>,
    pub(crate) mapper: M,
}

impl<M: Mapping> Case<M> {
    /// The folders of the crate that is tested, sorted.
    pub(crate) fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let mut folders: Vec<_> = std::fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        folders.sort();
        folders.into_iter().map(Self::read).collect()
    }

    fn read(folder: PathBuf) -> Self {
        let optional = |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
        let origin = Origin {
            name: "example".to_owned(),
            url: std::fs::read_to_string(folder.join("url.txt"))
                .ok()
                .map(|url| url.trim().to_owned()),
            static_fields: optional("static-fields.json"),
        };
        let mapper = M::new(&optional("settings.json"), origin).unwrap();
        Self {
            input: std::fs::read(folder.join("input.json")).unwrap(),
            mapper,
            folder,
        }
    }

    pub(crate) fn map(&self) -> Outcome {
        self.mapper.transform(&self.input, NOW_MS).unwrap()
    }
}

/// A mapper without static fields, of an instance without name and URL.
pub(crate) fn mapper_with<M: Mapping>(settings: &str) -> M {
    M::new(settings.as_bytes(), Origin::default()).unwrap()
}

/// The catalogue, and what the golden folders' static fields add.
pub(crate) fn checker<M: Mapping>() -> Checker {
    let host = [
        "agent.id",
        "agent.type",
        "data_stream.dataset",
        "data_stream.namespace",
        "data_stream.type",
        "event.dataset",
        "event.module",
        "host.name",
        "input.type",
    ];
    let own = M::describe().fields.into_iter();
    let own = own.map(|field| (field.name, DataType::from_name(&field.data_type).unwrap()));
    let host_fields = host.map(|name| (name.to_owned(), DataType::Keyword));
    Checker::new(
        own.chain(host_fields)
            .chain([("host.ip".to_owned(), DataType::Ip)]),
    )
}

/// The documents, each with its facts instead of their index.
pub(crate) fn with_facts(outcome: &Outcome) -> Vec<(Document, Facts)> {
    let with_facts = |document: &Document| {
        let facts = outcome.facts_of(document).unwrap().clone();
        let mut document = document.clone();
        document.facts = 0;
        (document, facts)
    };
    outcome.documents.iter().map(with_facts).collect()
}

pub(crate) fn body(document: &Document) -> Value {
    serde_json::from_slice(&document.body).unwrap()
}

/// Maps records of every shape with a private attribute of this type: nothing that comes out
/// holds any of its strings.
pub(crate) fn no_canary(mapper: &impl Mapping, kind: &str) {
    const CANARY: &str = "CANARY \"of\" \\a person";
    let mut documents = 0;
    for record in misp_ecs_events::with_canary(kind, CANARY) {
        let outcome = mapper.transform(record.as_bytes(), NOW_MS).unwrap();
        documents += outcome.documents.len();
        for document in &outcome.documents {
            let text = String::from_utf8_lossy(&document.body);
            assert!(!text.contains("CANARY"), "{text}\n{record}");
        }
        let rest = Outcome {
            documents: outcome
                .documents
                .into_iter()
                .map(|document| Document {
                    body: Vec::new(),
                    ..document
                })
                .collect(),
            ..outcome
        };
        let rest = format!("{rest:?}");
        assert!(!rest.contains("CANARY"), "{rest}\n{record}");
    }
    assert!(documents > 200, "only {documents} documents");
}

/// One line a document, and one for the rest.
pub(crate) fn lines(outcome: &Outcome) -> Vec<Value> {
    let documents = with_facts(outcome);
    let documents = documents.iter();
    let mut lines: Vec<_> = documents.map(|(one, facts)| document(one, facts)).collect();
    let refused = outcome.refused.iter().map(|refused| {
        let (kind, text) = match &refused.reason {
            Rejection::Malformed(text) => ("malformed", text),
            Rejection::Unsupported(text) => ("unsupported", text),
            Rejection::Invalid(text) => ("invalid", text),
            Rejection::Other(text) => ("other", text),
        };
        json!({"attribute": refused.attribute, "kind": kind, "text": text})
    });
    let tallies = outcome
        .tallies
        .iter()
        .map(|tally| json!([tally.attribute_type, tally.indicator_type, tally.count]));
    lines.push(json!({
        "event": outcome.event,
        "refused": refused.collect::<Vec<_>>(),
        "tallies": tallies.collect::<Vec<_>>(),
    }));
    lines
}

fn facts(facts: &Facts) -> Value {
    let tlp = facts.tlp.map(|tlp| match tlp {
        Tlp::Clear => "clear",
        Tlp::Green => "green",
        Tlp::Amber => "amber",
        Tlp::AmberStrict => "amber+strict",
        Tlp::Red => "red",
    });
    json!({
        "attribute_type": facts.attribute_type,
        "category": facts.category,
        "to_ids": facts.to_ids,
        "tags": facts.tags,
        "tlp": tlp,
        "organisation": facts.organisation,
        "organisation_uuid": facts.organisation_uuid,
        "confidence": facts.confidence,
    })
}

fn document(document: &Document, of_document: &Facts) -> Value {
    let notes = document.notes.iter().map(|note| {
        let kind = match note.kind {
            NoteKind::UnmappedType => "unmapped-type",
            NoteKind::BadValue => "bad-value",
            NoteKind::Redacted => "redacted",
            NoteKind::Truncated => "truncated",
            NoteKind::Other => "other",
        };
        json!({"kind": kind, "field": note.field, "text": note.text})
    });
    json!({
        "id": document.id,
        "attribute": document.attribute,
        "attribute_timestamp": document.attribute_timestamp,
        "operation": if document.operation == Operation::Put { "put" } else { "delete" },
        "dataset": document.dataset,
        "timestamp_ms": document.timestamp_ms,
        "modified_ms": document.modified_ms,
        "expires_ms": document.expires_ms,
        "facts": facts(of_document),
        "fingerprint": format!("{:016x}", document.fingerprint),
        "notes": notes.collect::<Vec<_>>(),
        "body": body(document),
    })
}

/// Maps every folder and compares; with `UPDATE_GOLDEN` writes instead. `same` makes
/// comparable what cannot be the same everywhere.
pub(crate) fn golden_folders<M: Mapping>(same: impl Fn(&mut Value)) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for case in Case::<M>::all() {
        let path = case.folder.join("expected.ndjson");
        let found = lines(&case.map());
        if update {
            let text: String = found.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(&path, text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let parse = |line: &str| serde_json::from_str(line).unwrap();
        let expected: Vec<Value> = expected.lines().map(parse).collect();
        for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let (mut found, mut expected) = (found.clone(), expected.clone());
            same(&mut found);
            same(&mut expected);
            let place = format!("{} line {}", case.folder.display(), number + 1);
            assert_eq!(found.to_string(), expected.to_string(), "{place}");
        }
        assert_eq!(found.len(), expected.len(), "{}", case.folder.display());
    }
}

/// Every document of the folders is valid and one line; returns the fields they hold.
pub(crate) fn produced_fields<M: Mapping>() -> BTreeSet<String> {
    let checker = checker::<M>();
    let mut produced = BTreeSet::new();
    for case in Case::<M>::all() {
        for document in case.map().documents {
            let names = checker.check(&document.body);
            produced.extend(names.unwrap_or_else(|wrong| {
                panic!("{}: {wrong:?}", case.folder.display());
            }));
            let text = std::str::from_utf8(&document.body).unwrap();
            assert_eq!(text.lines().count(), 1);
            assert!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}']));
        }
    }
    produced
}
