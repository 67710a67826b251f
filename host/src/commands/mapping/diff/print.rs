//! The differences as a person reads them.

use std::fmt::Write as _;

use serde_json::Value;

use super::compare::{Counts, Example, Report};
use crate::summary::thousands;

/// Characters of a value that are shown.
const WIDTH: usize = 120;

/// The whole text.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    for (side, mapping) in [("old", &report.old), ("new", &report.new)] {
        let digest = mapping.digest.get(..12).unwrap_or(&mapping.digest);
        writeln!(
            out,
            "{side}        {} {} sha256:{digest}",
            mapping.name, mapping.version
        )?;
    }
    writeln!(out, "documents  {}", counts(report.documents))?;
    writeln!(out, "refused    {}", counts(report.refused))?;
    if report.sent_again > 0 {
        writeln!(
            out,
            "sent again {}: the same document with another fingerprint",
            thousands(report.sent_again)
        )?;
    }
    if report.unreadable > 0 {
        writeln!(out, "unreadable {}", thousands(report.unreadable))?;
    }
    if !report.differs() {
        return writeln!(out, "no difference");
    }
    for (place, (field, counts)) in report.fields.iter().enumerate() {
        if place == 0 {
            writeln!(out, "\nby field {:<32} added  removed  changed", "")?;
        }
        writeln!(
            out,
            "  {field:<36} {:>8} {:>8} {:>8}",
            thousands(counts.added),
            thousands(counts.removed),
            thousands(counts.changed)
        )?;
    }
    let different = report.by_type.iter().filter(|(_, counts)| counts.differ());
    for (place, (kind, by_type)) in different.enumerate() {
        if place == 0 {
            writeln!(out, "\nby attribute type")?;
        }
        writeln!(out, "  {kind:<28} {}", counts(*by_type))?;
    }
    for (place, shown) in report.examples.iter().enumerate() {
        if place == 0 {
            writeln!(out, "\nexamples")?;
        }
        example(shown, out)?;
    }
    Ok(())
}

fn counts(counts: Counts) -> String {
    let mut text = thousands(counts.total());
    let parts = [
        (counts.same, "same"),
        (counts.changed, "changed"),
        (counts.only_old, "only in old"),
        (counts.only_new, "only in new"),
    ];
    let mut separator = ": ";
    for (count, name) in parts.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("{separator}{} {name}", thousands(count)));
        separator = ", ";
    }
    text
}

fn example(example: &Example, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "  {}: {} {} of event {}",
        example.what,
        example.attribute_type,
        example.attribute.as_deref().unwrap_or("-"),
        example.event
    )?;
    for change in &example.fields {
        writeln!(out, "    {}", change.field)?;
        for (sign, value) in [('-', &change.before), ('+', &change.after)] {
            if let Some(value) = value {
                writeln!(out, "      {sign} {}", shortened(value))?;
            }
        }
    }
    Ok(())
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!(
            "{}.. ({} characters)",
            text.get(..end).unwrap_or_default(),
            text.chars().count()
        ),
        None => text,
    }
}
