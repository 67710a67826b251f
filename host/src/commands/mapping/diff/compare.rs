//! Two answers to the same record, document by document.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::{Document, Mapped, MappingIdentity, Outcome, Reason};
use serde::Serialize;
use serde_json::{Value, json};

use super::private::Known;

/// What became of documents, or of refusals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) same: u64,
    pub(super) changed: u64,
    pub(super) only_old: u64,
    pub(super) only_new: u64,
}

impl Counts {
    pub(super) fn differ(self) -> bool {
        self.changed + self.only_old + self.only_new > 0
    }

    pub(super) fn total(self) -> u64 {
        self.same + self.changed + self.only_old + self.only_new
    }
}

/// In how many documents a field came, went, or has another value.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct FieldCounts {
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) changed: u64,
}

/// One document that is another one.
#[derive(Debug, Serialize)]
pub(super) struct Example {
    pub(super) what: &'static str,
    pub(super) event: String,
    pub(super) attribute: Option<String>,
    pub(super) attribute_type: String,
    pub(super) fields: Vec<Change>,
}

/// A field before and after; `None` is absent.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) field: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) old: MappingIdentity,
    pub(super) new: MappingIdentity,
    pub(super) documents: Counts,
    pub(super) by_type: BTreeMap<String, Counts>,
    pub(super) fields: BTreeMap<String, FieldCounts>,
    pub(super) refused: Counts,
    /// Documents that are the same and have another fingerprint: they go out once more.
    pub(super) sent_again: u64,
    /// Parts of the input that are no record; no mapping saw them.
    pub(super) unreadable: u64,
    pub(super) examples: Vec<Example>,
}

impl Report {
    /// Is there any difference?
    pub(super) fn differs(&self) -> bool {
        self.documents.differ() || self.refused.differ()
    }
}

/// Counts as records come.
#[derive(Debug)]
pub(super) struct Comparison {
    documents: Counts,
    by_type: BTreeMap<String, Counts>,
    fields: BTreeMap<String, FieldCounts>,
    refused: Counts,
    sent_again: u64,
    wanted: usize,
    /// The same fields changed: one example is enough.
    seen: BTreeSet<Vec<String>>,
    examples: Vec<Example>,
}

/// An attribute, and which of its documents: the same one may come twice.
type Key<'a> = (Option<&'a str>, usize);

impl Comparison {
    pub(super) fn new(examples: usize) -> Self {
        Self {
            documents: Counts::default(),
            by_type: BTreeMap::new(),
            fields: BTreeMap::new(),
            refused: Counts::default(),
            sent_again: 0,
            wanted: examples,
            seen: BTreeSet::new(),
            examples: Vec::new(),
        }
    }

    pub(super) fn report(
        self,
        old: &MappingIdentity,
        new: &MappingIdentity,
        unreadable: u64,
    ) -> Report {
        Report {
            old: old.clone(),
            new: new.clone(),
            documents: self.documents,
            by_type: self.by_type,
            fields: self.fields,
            refused: self.refused,
            sent_again: self.sent_again,
            unreadable,
            examples: self.examples,
        }
    }

    /// One record's answers.
    pub(super) fn record(&mut self, known: &Known, old: &Mapped, new: &Mapped) {
        let (before, after) = (documents(old), documents(new));
        let keys: BTreeSet<Key<'_>> = before.keys().chain(after.keys()).copied().collect();
        let event = [old, new]
            .into_iter()
            .flatten()
            .map(|outcome| outcome.event.as_str())
            .find(|event| !event.is_empty())
            .unwrap_or_default();
        for key in keys {
            self.pair(known, event, key.0, before.get(&key), after.get(&key));
        }
        let (before, after) = (refusals(old), refusals(new));
        let keys: BTreeSet<Key<'_>> = before.keys().chain(after.keys()).copied().collect();
        for key in keys {
            let (old, new) = (before.get(&key), after.get(&key));
            *self.refused.of(old, new) += 1;
            if old != new {
                let reason = |reason: Option<&&Reason>| {
                    reason.map(|reason| json!(format!("{}", reason.text)))
                };
                let change = Change {
                    field: "(refused)".to_owned(),
                    before: reason(old),
                    after: reason(new),
                };
                self.example("refused otherwise", known, event, key.0, vec![change]);
            }
        }
    }

    fn pair(
        &mut self,
        known: &Known,
        event: &str,
        attribute: Option<&str>,
        old: Option<&&Document>,
        new: Option<&&Document>,
    ) {
        let changes = match (old, new) {
            (Some(old), Some(new)) => changes(old, new),
            _ => Vec::new(),
        };
        let same = old.is_some() && new.is_some() && changes.is_empty();
        let fingerprints = old.map(|old| old.fingerprint) == new.map(|new| new.fingerprint);
        self.sent_again += u64::from(same && !fingerprints);
        let (what, place): (_, fn(&mut Counts) -> &mut u64) = match (old, new) {
            _ if same => ("same", |counts| &mut counts.same),
            (Some(_), None) => ("only in old", |counts| &mut counts.only_old),
            (None, Some(_)) => ("only in new", |counts| &mut counts.only_new),
            _ => ("changed", |counts| &mut counts.changed),
        };
        *place(&mut self.documents) += 1;
        let by_type = self.by_type.entry(known.kind(attribute).to_owned());
        *place(by_type.or_default()) += 1;
        for change in &changes {
            let counts = self.fields.entry(change.field.clone()).or_default();
            match (&change.before, &change.after) {
                (None, _) => counts.added += 1,
                (_, None) => counts.removed += 1,
                _ => counts.changed += 1,
            }
        }
        if !same {
            self.example(what, known, event, attribute, changes);
        }
    }

    fn example(
        &mut self,
        what: &'static str,
        known: &Known,
        event: &str,
        attribute: Option<&str>,
        mut changes: Vec<Change>,
    ) {
        if self.examples.len() >= self.wanted {
            return;
        }
        let mut sort: Vec<String> = changes.iter().map(|change| change.field.clone()).collect();
        sort.push(what.to_owned());
        if !self.seen.insert(sort) {
            return;
        }
        for change in &mut changes {
            for value in [&mut change.before, &mut change.after]
                .into_iter()
                .flatten()
            {
                *value = known.shown(attribute, value);
            }
        }
        self.examples.push(Example {
            what,
            event: known.shown_text(event),
            attribute: attribute.map(|uuid| known.shown_text(uuid)),
            attribute_type: known.kind(attribute).to_owned(),
            fields: changes,
        });
    }
}

impl Counts {
    fn of<T: PartialEq>(&mut self, old: Option<T>, new: Option<T>) -> &mut u64 {
        match (old, new) {
            (Some(old), Some(new)) if old == new => &mut self.same,
            (Some(_), None) => &mut self.only_old,
            (None, Some(_)) => &mut self.only_new,
            _ => &mut self.changed,
        }
    }
}

fn documents(mapped: &Mapped) -> BTreeMap<Key<'_>, &Document> {
    let documents = mapped
        .iter()
        .flat_map(|outcome: &Outcome| &outcome.documents);
    numbered(documents.map(|document| (document.attribute.as_deref(), document)))
}

fn refusals(mapped: &Mapped) -> BTreeMap<Key<'_>, &Reason> {
    match mapped {
        Err(reason) => BTreeMap::from([((None, 0), reason)]),
        Ok(outcome) => {
            let refused = outcome.refused.iter();
            numbered(refused.map(|refused| (refused.attribute.as_deref(), &refused.reason)))
        }
    }
}

fn numbered<'a, T>(items: impl Iterator<Item = (Option<&'a str>, T)>) -> BTreeMap<Key<'a>, T> {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    items
        .map(|(attribute, item)| {
            let count = counts.entry(attribute).or_default();
            *count += 1;
            ((attribute, *count), item)
        })
        .collect()
}

/// What is not the same in two documents. What the host acts on has names in brackets.
fn changes(old: &Document, new: &Document) -> Vec<Change> {
    let (before, after) = (leaves(old), leaves(new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Change {
            field: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

fn leaves(document: &Document) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    let body = serde_json::from_slice::<Value>(&document.body).unwrap_or_default();
    flatten("", body, &mut leaves);
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            leaves.insert(name.to_owned(), value);
        }
    };
    add("(id)", json!(document.id));
    add("(operation)", json!(document.operation));
    add("(dataset)", json!(document.dataset));
    add("(timestamp_ms)", json!(document.timestamp_ms));
    add("(modified_ms)", json!(document.modified_ms));
    add("(expires_ms)", json!(document.expires_ms));
    add("(attribute_timestamp)", json!(document.attribute_timestamp));
    if !document.notes.is_empty() {
        add("(notes)", json!(document.notes));
    }
    leaves
}

fn flatten(name: &str, value: Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            let dot = if name.is_empty() { "" } else { "." };
            for (key, value) in members {
                flatten(&format!("{name}{dot}{key}"), value, leaves);
            }
        }
        value => {
            leaves.insert(name.to_owned(), value);
        }
    }
}
