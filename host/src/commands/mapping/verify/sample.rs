//! The made-up sample through the mapping, and what came out held against the contract.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use pipeline::{Document, Mapped};
use runtime::{Fault, Field};
use serde_json::Value;
use splitter::Record;

use super::Subject;
use super::behaviour;
use super::catalogue::Checker;
use super::report::Report;
use crate::sample;
use crate::summary::plural;

/// The clock of the sample, UNIX milliseconds.
pub(super) const NOW_MS: i64 = 1_780_000_000_000;

pub(super) fn check(subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let records = sample::records()?;
    let mut probe = subject.start()?;
    let started = Instant::now();
    let mapped = match probe.transform(&records, NOW_MS) {
        Ok(mapped) => mapped,
        Err(fault) => {
            report.fail(
                "sample",
                blamed(subject, &records, &fault)?,
                "the host would put it in the dead letters: mend it, the checks on the documents were not made",
            );
            return Ok(());
        }
    };
    let attributes: u32 = records.iter().map(|record| record.attributes).sum();
    report.ok(
        "sample",
        format!(
            "{} events with {attributes} attributes in {:.0} ms",
            records.len(),
            started.elapsed().as_secs_f64() * 1000.0
        ),
    );
    counted(&records, &mapped, report);
    ids(&records, &mapped, report);
    documents(subject, &mapped, report);
    behaviour::check(subject, &mut probe, &records, &mapped, report)
}

/// The record that faults, by itself.
fn blamed(subject: &Subject, records: &[Record], whole: &Fault) -> anyhow::Result<String> {
    for record in records {
        if let Err(fault) = subject
            .start()?
            .transform(std::slice::from_ref(record), NOW_MS)
        {
            return Ok(format!("on the event {}: {fault}", record.head.uuid));
        }
    }
    Ok(whole.to_string())
}

fn counted(records: &[Record], mapped: &[Mapped], report: &mut Report) {
    let mut problems = Vec::new();
    let (mut documents, mut refused) = (0, 0);
    for (record, mapped) in records.iter().zip(mapped) {
        let event = &record.head.uuid;
        match mapped {
            Err(reason) => problems.push(format!("the event {event} is refused: {}", reason.text)),
            Ok(outcome) => {
                documents += outcome.documents.len();
                refused += outcome.refused.len();
                let came = outcome.documents.len() + outcome.refused.len();
                let went = record.attributes.max(1);
                if u32::try_from(came) != Ok(went) {
                    problems.push(format!(
                        "{went} attributes of the event {event} came out as {came}"
                    ));
                }
                if outcome.event != *event {
                    problems.push(format!(
                        "the outcome of {event} names the event {:?}",
                        outcome.event
                    ));
                }
                let tallied: u64 = outcome
                    .tallies
                    .iter()
                    .map(|tally| u64::from(tally.count))
                    .sum();
                if tallied != outcome.documents.len() as u64 {
                    problems.push(format!(
                        "the tallies of {event} count {tallied}, there are {} documents",
                        outcome.documents.len()
                    ));
                }
            }
        }
    }
    report.none(
        "count",
        &problems,
        format!("{documents} documents + {refused} refused"),
        "each attribute, object attributes included, is one document or one refusal; an event without any is one document",
    );
}

fn ids(records: &[Record], mapped: &[Mapped], report: &mut Report) {
    let mut known = BTreeSet::new();
    for record in records {
        if let Ok(json) = serde_json::from_slice::<Value>(&record.json) {
            attributes(&json, &mut known);
        }
    }
    let mut problems = Vec::new();
    let mut seen: BTreeMap<&str, &Document> = BTreeMap::new();
    for document in all(mapped) {
        let named = document.attribute.as_deref().unwrap_or("none");
        if let Some(first) = seen.insert(&document.id, document) {
            problems.push(format!(
                "the attributes {} and {named} have the same id {:?}",
                first.attribute.as_deref().unwrap_or("none"),
                document.id
            ));
        }
        if document
            .attribute
            .as_ref()
            .is_some_and(|uuid| !known.contains(uuid))
        {
            problems.push(format!("there is no attribute {named} in the input"));
        }
    }
    let named = all(mapped)
        .filter(|document| document.attribute.is_some())
        .count();
    let events = records
        .iter()
        .filter(|record| record.attributes == 0)
        .count();
    let without = seen.len().saturating_sub(named);
    if without > events {
        problems.push(format!(
            "{without} documents do not say of which attribute they are, and only {events} events have none"
        ));
    }
    report.none(
        "ids",
        &problems,
        format!("{} ids, all different", seen.len()),
        "make `id` of what never changes, such as the uuids, and copy the attribute's uuid to `attribute`",
    );
}

/// The uuids of everything in the input that has a type: attributes.
fn attributes(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let uuid = members.get("uuid").and_then(Value::as_str);
            if let (Some(uuid), true) = (uuid, members.contains_key("type")) {
                found.insert(uuid.to_owned());
            }
            members.values().for_each(|value| attributes(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| attributes(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is wrong with the documents: fields that the catalogue does not list, or of another type.
pub(crate) fn document_problems(fields: &[Field], mapped: &[Mapped]) -> Vec<String> {
    let checker = Checker::new(&crate::catalogue::whole(fields));
    // The same mistake in a hundred documents is one mistake.
    let mut problems: BTreeMap<String, u64> = BTreeMap::new();
    for problem in all(mapped).flat_map(|document| checker.problems(&document.body)) {
        *problems.entry(problem).or_default() += 1;
    }
    problems
        .into_iter()
        .map(|(problem, count)| format!("{problem} ({})", plural(count, "document")))
        .collect()
}

fn documents(subject: &Subject, mapped: &[Mapped], report: &mut Report) {
    report.none(
        "documents",
        &document_problems(&subject.mapping.description().fields, mapped),
        "one JSON object a line, UTF-8, every field listed and of its type",
        "list the field in describe().fields, mend its type, or leave the value out with a note",
    );
    let given: Value = serde_json::from_slice(&subject.origin.static_fields).unwrap_or_default();
    let missing: Vec<String> = all(mapped)
        .filter(|document| {
            let body = serde_json::from_slice::<Value>(&document.body).unwrap_or_default();
            !holds(&body, &given)
        })
        .map(|document| format!("the document {:?} lacks a static field", document.id))
        .collect();
    report.none(
        "static fields",
        &missing,
        "in every document",
        "merge origin.static-fields into each document, at every depth",
    );
}

/// Does a document have all of these keys?
fn holds(document: &Value, given: &Value) -> bool {
    match given {
        Value::Object(members) => members
            .iter()
            .all(|(key, value)| document.get(key).is_some_and(|inner| holds(inner, value))),
        _ => true,
    }
}

/// The documents of all outcomes.
pub(super) fn all(mapped: &[Mapped]) -> impl Iterator<Item = &Document> {
    mapped
        .iter()
        .flatten()
        .flat_map(|outcome| &outcome.documents)
}
