//! Folders of inputs and what must come of them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pipeline::{Document, Mapped, Outcome};
use runtime::{Origin, Probe};
use serde_json::{Value, json};

use super::Subject;
use super::report::Report;

/// `now` of every case, UNIX milliseconds.
const NOW_MS: i64 = 1_700_001_234_567;

/// Holds every case of the folder against the mapping. With `accept` the answers are written instead.
pub(super) fn check(
    subject: &Subject,
    folder: &Path,
    accept: bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut cases: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    cases.retain(|case| case.join("input.json").is_file());
    cases.sort();
    if cases.is_empty() {
        report.fail(
            "golden",
            format!("no case in {}", folder.display()),
            "a case is a folder with input.json and expected.ndjson",
        );
        return Ok(());
    }
    let mut problems = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        match answer(subject, case) {
            Err(error) => problems.push(format!("{name}: {error:#}")),
            Ok(lines) if accept => {
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                std::fs::write(case.join("expected.ndjson"), text)?;
            }
            Ok(lines) => problems
                .extend(difference(case, &lines).map(|problem| format!("{name}: {problem}"))),
        }
    }
    report.none(
        "golden",
        &problems,
        format!(
            "{} cases {}",
            cases.len(),
            if accept { "written" } else { "as expected" }
        ),
        "mend the mapping; or, where the new answer is right, run again with --accept",
    );
    Ok(())
}

fn answer(subject: &Subject, case: &Path) -> anyhow::Result<Vec<Value>> {
    let optional = |name: &str| std::fs::read(case.join(name)).unwrap_or_default();
    let url = optional("url.txt");
    let url = std::str::from_utf8(&url)?.trim();
    let origin = Origin {
        name: "example".to_owned(),
        url: Some(url.to_owned()).filter(|url| !url.is_empty()),
        static_fields: optional("static-fields.json"),
    };
    let settings = optional("settings.json");
    let mut probe = Probe::start(&subject.engine, &subject.mapping, &settings, &origin)?;
    let input = std::fs::read(case.join("input.json"))?;
    lines(&probe.transform_any(&input, NOW_MS)?)
}

/// The first line that is not as expected.
fn difference(case: &Path, lines: &[Value]) -> Option<String> {
    let Ok(expected) = std::fs::read_to_string(case.join("expected.ndjson")) else {
        return Some("expected.ndjson is missing".to_owned());
    };
    let expected: Vec<&str> = expected.lines().collect();
    for (place, (line, expected)) in lines.iter().zip(&expected).enumerate() {
        let expected: Value = match serde_json::from_str(expected) {
            Ok(expected) => expected,
            Err(error) => return Some(format!("line {}: {error}", place + 1)),
        };
        if *line != expected {
            let at = first_difference("", line, &expected);
            return Some(format!("line {}: {at}", place + 1));
        }
    }
    (lines.len() != expected.len())
        .then(|| format!("{} lines, {} expected", lines.len(), expected.len()))
}

fn first_difference(path: &str, is: &Value, expected: &Value) -> String {
    if let (Value::Object(one), Value::Object(other)) = (is, expected) {
        let keys = one.keys().chain(other.keys());
        for key in keys {
            let (is, expected) = (one.get(key), other.get(key));
            if is != expected {
                let dot = if path.is_empty() { "" } else { "." };
                let null = Value::Null;
                let (is, expected) = (is.unwrap_or(&null), expected.unwrap_or(&null));
                return first_difference(&format!("{path}{dot}{key}"), is, expected);
            }
        }
    }
    format!("`{path}` is {is}, expected {expected}")
}

/// One line a document, and one for the rest.
fn lines(mapped: &Mapped) -> anyhow::Result<Vec<Value>> {
    let outcome: &Outcome = match mapped {
        Ok(outcome) => outcome,
        Err(reason) => return Ok(vec![json!({"kind": reason.kind, "text": reason.text})]),
    };
    let mut lines = outcome
        .documents
        .iter()
        .map(document)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let refused: Vec<Value> = outcome
        .refused
        .iter()
        .map(|refused| json!({"attribute": refused.attribute, "kind": refused.reason.kind, "text": refused.reason.text}))
        .collect();
    let tallies: Vec<Value> = outcome
        .tallies
        .iter()
        .map(|tally| json!([tally.attribute_type, tally.indicator_type, tally.count]))
        .collect();
    lines.push(json!({"event": outcome.event, "refused": refused, "tallies": tallies}));
    Ok(lines)
}

fn document(document: &Document) -> anyhow::Result<Value> {
    let body: Value = serde_json::from_slice(&document.body)?;
    Ok(json!({
        "id": document.id,
        "attribute": document.attribute,
        "attribute_timestamp": document.attribute_timestamp,
        "operation": document.operation,
        "dataset": document.dataset,
        "timestamp_ms": document.timestamp_ms,
        "modified_ms": document.modified_ms,
        "expires_ms": document.expires_ms,
        "facts": *document.facts,
        "fingerprint": format!("{:016x}", document.fingerprint),
        "notes": document.notes,
        "body": body,
    }))
}
