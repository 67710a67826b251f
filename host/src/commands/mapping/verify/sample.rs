//! The made-up sample through the mapping, and what came out held against the contract.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use pipeline::{Document, Mapped};
use runtime::{Fault, Probe};
use serde_json::{Value, json};
use splitter::{Record, SplitLimits};

use super::super::sample;
use super::Subject;
use super::catalogue::Checker;
use super::report::Report;

/// The clock of the sample, UNIX milliseconds.
const NOW_MS: i64 = 1_780_000_000_000;

/// Inputs that are no record, or a poor one: each may be refused, none may be a fault.
const ODD: &[&str] = &[
    "",
    "{",
    "null",
    "[]",
    "{}",
    "\"text\"",
    "{\"Event\":null}",
    "{\"Event\":{\"uuid\":1,\"info\":[],\"Tag\":\"x\",\"Attribute\":{},\"Object\":null}}",
    "{\"Event\":{\"uuid\":\"e\",\"Attribute\":[{\"uuid\":\"a\",\"type\":7,\"value\":null,\"timestamp\":\"x\",\"Tag\":[null]}],\"Object\":[]}}",
    "{\"Event\":{\"uuid\":\"e\",\"Attribute\":[{\"uuid\":\"a\",\"type\":\"domain|ip\",\"value\":\"|\",\"timestamp\":\"99999999999999999999\"}],\"Object\":[]}}",
    "{\"Event\":{\"uuid\":\"e\",\"Attribute\":[{\"uuid\":\"a\",\"type\":\"text\",\"value\":\"\\ud800\"}],\"Object\":[]}}",
    "{\"Event\":{\"uuid\":\"e\",\"Attribute\":[{\"uuid\":\"a\",\"type\":\"text\",\"value\":\"\u{fffe}\u{2028}\\u0000\"}],\"Object\":[]}}",
];

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
    slices(subject, &mapped, report)?;
    same_again(subject, &mut probe, &records, &mapped, report)?;
    fingerprints(subject, &mapped, report)?;
    odd(subject, report)?;
    full_slice(subject, report)
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

fn documents(subject: &Subject, mapped: &[Mapped], report: &mut Report) {
    let fields = crate::catalogue::whole(&subject.mapping.description().fields);
    let checker = Checker::new(&fields);
    // The same mistake in a hundred documents is one mistake.
    let mut problems: BTreeMap<String, usize> = BTreeMap::new();
    for problem in all(mapped).flat_map(|document| checker.problems(&document.body)) {
        *problems.entry(problem).or_default() += 1;
    }
    let problems: Vec<String> = problems
        .into_iter()
        .map(|(problem, count)| format!("{problem} ({count} documents)"))
        .collect();
    report.none(
        "documents",
        &problems,
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

/// An event in slices is the event.
fn slices(subject: &Subject, mapped: &[Mapped], report: &mut Report) -> anyhow::Result<()> {
    let limits = SplitLimits {
        attributes: 3,
        ..SplitLimits::default()
    };
    let sliced = sample::records_of(sample::page(), limits)?;
    let name = "slices";
    let advice = "a document may depend on its attribute, its object and the event's head, on nothing else of the event";
    match subject.start()?.transform(&sliced, NOW_MS) {
        Err(fault) => report.fail(name, fault, advice),
        Ok(parts) => {
            let problems = differences(mapped, &parts);
            let found = format!("{} slices give the same documents", sliced.len());
            report.none(name, &problems, found, advice);
        }
    }
    Ok(())
}

fn differences(one: &[Mapped], other: &[Mapped]) -> Vec<String> {
    let (ones, others): (Vec<_>, Vec<_>) = (all(one).collect(), all(other).collect());
    if ones.len() != others.len() {
        return vec![format!("{} documents, then {}", ones.len(), others.len())];
    }
    ones.iter()
        .zip(&others)
        .filter(|(one, other)| one != other)
        .map(|(one, _)| format!("the document {:?} is another one", one.id))
        .collect()
}

/// The same input gives the same bytes.
fn same_again(
    subject: &Subject,
    used: &mut Probe,
    records: &[Record],
    mapped: &[Mapped],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    for (instance, answer) in [
        ("the same instance", used.transform(records, NOW_MS)),
        (
            "a fresh instance",
            subject.start()?.transform(records, NOW_MS),
        ),
    ] {
        match answer {
            Ok(again) if again == mapped => {}
            Ok(again) => {
                let first = differences(mapped, &again).into_iter().next();
                let first = first.unwrap_or_else(|| "refusals or tallies differ".to_owned());
                problems.push(format!("on {instance}: {first}"));
            }
            Err(fault) => problems.push(format!("on {instance}: {fault}")),
        }
    }
    report.none(
        "determinism",
        &problems,
        "same bytes again, on the same instance and on a fresh one",
        "keep nothing between records, and use maps with an order",
    );
    Ok(())
}

/// A fingerprint stays when only clocks move, and moves when the value does.
fn fingerprints(subject: &Subject, mapped: &[Mapped], report: &mut Report) -> anyhow::Result<()> {
    let name = "fingerprints";
    let advice = "hash the body without the event's clocks and counters, event.original, host.*, agent.* and the time of mapping";
    let mut page: Value = serde_json::from_slice(sample::page())?;
    for event in page
        .pointer_mut("/response")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(event) = event.pointer_mut("/Event").and_then(Value::as_object_mut) {
            for clock in ["timestamp", "publish_timestamp", "sighting_timestamp"] {
                event.insert(clock.to_owned(), Value::from("1790000000"));
            }
            event.insert("attribute_count".to_owned(), Value::from("4711"));
            event.insert("published".to_owned(), Value::from(true));
        }
    }
    let moved = sample::records_of(page.to_string().as_bytes(), SplitLimits::default())?;
    let mut probe = subject.start()?;
    let later = match probe.transform(&moved, NOW_MS + 86_400_000) {
        Ok(later) => later,
        Err(fault) => {
            report.fail(name, fault, advice);
            return Ok(());
        }
    };
    let mut problems: Vec<String> = all(mapped)
        .zip(all(&later))
        .filter(|(one, other)| one.id == other.id && one.fingerprint != other.fingerprint)
        // An event without attributes has no other clock than the event's.
        .filter(|(one, _)| one.attribute.is_some())
        .map(|(one, _)| format!("that of {:?} moves with the event's clocks", one.id))
        .collect();
    let value = |value: &str| {
        let attribute = json!({"uuid": "0a4b5c6d-0001-5001-8001-000000000001", "type": "domain", "category": "Network activity", "value": value, "to_ids": true, "timestamp": "1767225600"});
        let event = json!({"Event": {"uuid": "0a4b5c6d-0001-5001-8001-000000000002", "info": "x", "timestamp": "1767225600", "Attribute": [attribute], "Object": []}});
        sample::records_of(event.to_string().as_bytes(), SplitLimits::default())
    };
    let one = probe.transform(&value("one.example.org")?, NOW_MS);
    let other = probe.transform(&value("other.example.org")?, NOW_MS);
    if let (Ok(one), Ok(other)) = (one, other) {
        for (one, other) in all(&one).zip(all(&other)) {
            if one.id != other.id {
                problems.push("an attribute with another value has another id".to_owned());
            } else if one.fingerprint == other.fingerprint && one.body != other.body {
                problems.push(
                    "two values have the same fingerprint: the host would not send the second"
                        .to_owned(),
                );
            }
        }
    }
    report.none(
        name,
        &problems,
        "stay when only clocks move, move with the value",
        advice,
    );
    Ok(())
}

/// Whatever a record holds, the answer is an outcome or a rejection.
fn odd(subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let mut inputs: Vec<Vec<u8>> = ODD.iter().map(|text| text.as_bytes().to_vec()).collect();
    inputs.push(
        b"{\"Event\":{\"uuid\":\"e\",\"Attribute\":[{\"uuid\":\"a\",\"value\":\"\xff\"}]}}"
            .to_vec(),
    );
    let deep = format!("{}1{}", "[".repeat(90), "]".repeat(90));
    inputs.push(
        format!("{{\"Event\":{{\"uuid\":\"e\",\"x\":{deep},\"Attribute\":[]}}}}").into_bytes(),
    );
    let mut problems = Vec::new();
    let mut refused = 0;
    for input in &inputs {
        match subject.start()?.transform_any(input, NOW_MS) {
            Ok(mapped) => refused += usize::from(mapped.is_err()),
            Err(fault) => {
                let shown: String = String::from_utf8_lossy(input).chars().take(80).collect();
                problems.push(format!("{shown}: {fault}"));
            }
        }
    }
    report.none(
        "odd input",
        &problems,
        format!("{} inputs, {refused} of them refused, no fault", inputs.len()),
        "answer with an outcome or a rejection whatever the input is: a trap costs time and the attribute",
    );
    Ok(())
}

/// The largest record there is, within the host's limits.
fn full_slice(subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let options = subject.engine.options();
    let limits = SplitLimits::default();
    let attributes: Vec<Value> = (0..limits.attributes)
        .map(|n| json!({"uuid": format!("0a4b5c6d-0001-5001-8001-{n:012}"), "type": "domain", "category": "Network activity", "value": format!("host-{n}.example.org"), "comment": "x".repeat(1_000), "to_ids": true, "timestamp": "1767225600"}))
        .collect();
    let event = json!({"Event": {"uuid": "0a4b5c6d-0001-5001-8001-000000000002", "info": "y".repeat(20_000), "timestamp": "1767225600", "Attribute": attributes, "Object": []}});
    let records = sample::records_of(event.to_string().as_bytes(), limits)?;
    let mut probe = subject.start()?;
    let started = Instant::now();
    for record in &records {
        if let Err(fault) = probe.transform(std::slice::from_ref(record), NOW_MS) {
            report.fail(
                "limits",
                format!(
                    "{} attributes and {} bytes: {fault}",
                    record.attributes,
                    record.json.len()
                ),
                "a slice has up to 1,000 attributes and 4 MiB: map it within the host's limits",
            );
            return Ok(());
        }
    }
    report.ok(
        "limits",
        format!(
            "1,000 attributes and a head of 20 kB in {:.0} ms with {:.1} MiB of memory; the host allows {} s and {} MiB",
            started.elapsed().as_secs_f64() * 1000.0,
            mebibytes(probe.memory_bytes()),
            options.call_timeout.as_secs(),
            options.memory_bytes >> 20
        ),
    );
    Ok(())
}

fn all(mapped: &[Mapped]) -> impl Iterator<Item = &Document> {
    mapped
        .iter()
        .flatten()
        .flat_map(|outcome| &outcome.documents)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
