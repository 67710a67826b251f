//! What a mapping does when the same comes again, in pieces, later, or as nonsense.

use std::time::Instant;

use pipeline::Mapped;
use runtime::Probe;
use serde_json::{Value, json};
use splitter::{Record, SplitLimits};

use super::Subject;
use super::report::Report;
use super::sample::{NOW_MS, all};
use crate::sample;

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

/// `used` has mapped `records` to `mapped` once.
pub(super) fn check(
    subject: &Subject,
    used: &mut Probe,
    records: &[Record],
    mapped: &[Mapped],
    report: &mut Report,
) -> anyhow::Result<()> {
    slices(subject, mapped, report)?;
    same_again(subject, used, records, mapped, report)?;
    fingerprints(subject, mapped, report)?;
    odd_input(subject, report)?;
    full_slice(subject, report)
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
fn odd_input(subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
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

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
