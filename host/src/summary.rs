//! What a person reads after a pass: what came, what became of it, and why there is nothing if there is nothing.

use std::fmt::Write as _;
use std::time::Duration;

use pipeline::{Counts, Health, NoteKind, is_mapped};

/// How many rows a table shows before it sums up the rest.
const ROWS: usize = 12;

/// The summary of one instance.
pub(crate) fn summary(
    instance: &str,
    counts: &Counts,
    health: &Health,
    took: Duration,
    dead_letters: &str,
) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_summary(&mut text, instance, counts, health, took, dead_letters);
    text
}

fn write_summary(
    out: &mut String,
    instance: &str,
    counts: &Counts,
    health: &Health,
    took: Duration,
    dead_letters: &str,
) -> std::fmt::Result {
    let rate = counts.documents as f64 / took.as_secs_f64().max(0.001);
    writeln!(out, "{instance}")?;
    if let Some(matched) = counts.matched {
        writeln!(
            out,
            "  matched   {} at the source when the last poll began",
            thousands(matched)
        )?;
    }
    write!(
        out,
        "  fetched   {}",
        plural(counts.items - counts.seen_before, "event")
    )?;
    if counts.seen_before > 0 {
        write!(
            out,
            " (and {} more than once: pages overlap)",
            thousands(counts.seen_before)
        )?;
    }
    writeln!(
        out,
        " in {}, {}",
        plural(counts.pages, "page"),
        bytes(counts.bytes)
    )?;
    writeln!(
        out,
        "  mapped    {} documents in {:.1} s ({}/s)",
        thousands(counts.documents),
        took.as_secs_f64(),
        thousands(rate as u64)
    )?;
    types(out, counts)?;
    let unmapped = counts.unmapped();
    if !unmapped.is_empty() {
        let total: u64 = unmapped.iter().map(|(_, count)| count).sum();
        let names: Vec<String> = unmapped
            .iter()
            .take(ROWS)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let rest = unmapped.len().saturating_sub(ROWS);
        let more = if rest > 0 {
            format!(", {rest} more types")
        } else {
            String::new()
        };
        writeln!(
            out,
            "  unmapped  {}: no indicator type for {}{more} (the documents are written all the same)",
            thousands(total),
            names.join(", ")
        )?;
    }
    if counts.filtered > 0 {
        writeln!(
            out,
            "  filtered  {} excluded by `only` or `except`",
            thousands(counts.filtered)
        )?;
    }
    for (kind, count) in &counts.notes {
        let what = match kind {
            NoteKind::UnmappedType => continue,
            NoteKind::BadValue => "values that did not fit their field (see error.message)",
            NoteKind::Redacted => "values redacted",
            NoteKind::Truncated => {
                "lists cut to the mapping's limit (`transform --envelope` names each)"
            }
            NoteKind::Other => "other notes",
        };
        writeln!(out, "  noted     {} {what}", thousands(*count))?;
    }
    if counts.refused > 0 {
        writeln!(
            out,
            "  refused   {}: see {dead_letters}",
            thousands(counts.refused)
        )?;
    } else {
        writeln!(out, "  refused   none")?;
    }
    for (name, verdicts) in &counts.outputs {
        write!(out, "  written   {} to {name}", thousands(verdicts.stored))?;
        let others = [
            (verdicts.unchanged, "unchanged"),
            (verdicts.withdrawn, "withdrawn"),
            (verdicts.replaced, "of the former mapping deleted"),
            (verdicts.duplicate, "already there"),
            (verdicts.stale, "older than what is there"),
            (verdicts.skipped, "deletes left out"),
            (verdicts.rejected, "rejected"),
            (verdicts.missed, "not sent while it was behind"),
        ];
        for (count, what) in others.iter().filter(|(count, _)| *count > 0) {
            write!(out, ", {} {what}", thousands(*count))?;
        }
        writeln!(out)?;
    }
    for (name, error) in &counts.behind {
        writeln!(
            out,
            "  BEHIND    {name}: {error}; it gets what it missed when it answers again"
        )?;
    }
    if counts.unread > 0 {
        writeln!(
            out,
            "  NOT READ  {}: the server could not give {}; asked for again later, see the log or `misp-ecs status`",
            events(counts.unread),
            if counts.unread == 1 { "it" } else { "them" }
        )?;
    }
    for (name, why) in &counts.refilled {
        writeln!(
            out,
            "  REFILLED  {name}: {why}; everything is sent to it again"
        )?;
    }
    if let Some(sweep) = &counts.sweep {
        writeln!(
            out,
            "  swept     {} listed by the source, {} delivered before: {} missing, {} stale, {} orphaned",
            thousands(sweep.listed),
            thousands(sweep.held),
            thousands(sweep.missing),
            thousands(sweep.stale),
            thousands(sweep.orphaned)
        )?;
    }
    if counts.sweep_held_back > 0 {
        writeln!(
            out,
            "  HELD BACK {} that the sweep would have deleted: `misp-ecs sweep --confirm` if that is right",
            thousands(counts.sweep_held_back)
        )?;
    }
    if counts.selection_changed {
        writeln!(
            out,
            "  FILTERS   they have changed since the last start: everything is polled again and reconciled"
        )?;
    }
    if counts.expiry_held_back > 0 {
        writeln!(
            out,
            "  HELD BACK {} expired documents: check this host's clock, then run `misp-ecs sweep --confirm` to delete them",
            thousands(counts.expiry_held_back)
        )?;
    }
    if let Some(seconds) = counts.clocks_apart_s {
        writeln!(
            out,
            "  CLOCK     this host's clock is {} s {} the server's: no expired document is deleted until they agree",
            thousands(seconds.unsigned_abs()),
            if seconds > 0 { "ahead of" } else { "behind" }
        )?;
    }
    if counts.in_flight > 0 {
        writeln!(
            out,
            "  in flight {}: not acknowledged, they come again",
            thousands(counts.in_flight)
        )?;
    }
    match counts.balance() {
        Ok(()) => writeln!(
            out,
            "  account   {} received = {} documents + {} refused before them + {} in flight",
            thousands(counts.received),
            thousands(counts.documents),
            thousands(counts.received - counts.documents - counts.in_flight),
            thousands(counts.in_flight)
        )?,
        Err(error) => writeln!(
            out,
            "  account   DOES NOT BALANCE: {error}; please report this"
        )?,
    }
    match health {
        Health::Failed { error } | Health::Degraded { error, .. } => {
            writeln!(out, "  NOT FINISHED, more may match: {error}")?;
        }
        Health::Starting | Health::Running if counts.received == 0 => {
            writeln!(out, "{}", why_nothing(counts))?;
        }
        Health::Starting | Health::Running => {}
    }
    Ok(())
}

/// Attribute types by indicator type, most first.
fn types(out: &mut String, counts: &Counts) -> std::fmt::Result {
    let mut rows: Vec<(&str, &str, u64)> = counts
        .mapped
        .iter()
        .flat_map(|(kind, by)| {
            by.iter().filter_map(|(indicator, count)| {
                let indicator = indicator
                    .as_deref()
                    .filter(|indicator| is_mapped(Some(indicator)))?;
                Some((kind.as_str(), indicator, *count))
            })
        })
        .collect();
    rows.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    for (kind, indicator, count) in rows.iter().take(ROWS) {
        writeln!(out, "    {:>10}  {kind} -> {indicator}", thousands(*count))?;
    }
    let rest: u64 = rows.iter().skip(ROWS).map(|(_, _, count)| count).sum();
    if rest > 0 {
        writeln!(
            out,
            "    {:>10}  of {} more types",
            thousands(rest),
            rows.len() - ROWS
        )?;
    }
    Ok(())
}

fn why_nothing(counts: &Counts) -> &'static str {
    match (counts.matched, counts.items, counts.seen_before) {
        (_, items, seen) if items > 0 && items == seen => {
            "  nothing new: everything that matches was delivered before"
        }
        (Some(0), ..) => {
            "  nothing matched on the server: is something published, do the filters' tags and types exist, may the key's organisation see the events? `misp-ecs check` asks"
        }
        (None, ..) => "  nothing new: nothing has changed since the last poll",
        _ => "  nothing came: `misp-ecs check` asks the server what your filters would find",
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn events(count: u64) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{} event{end}", thousands(count))
}

/// `1 event`, `1,234 events`.
pub(crate) fn plural(count: u64, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{} {what}{end}", thousands(count))
}

fn bytes(count: u64) -> String {
    bytesize::ByteSize(count).display().iec_short().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn an_empty_pass_explains_itself() {
        let counts = Counts {
            matched: Some(0),
            ..Counts::default()
        };
        let text = summary(
            "lab",
            &counts,
            &Health::Running,
            Duration::from_secs(1),
            "dead-letters.ndjson",
        );
        assert!(text.contains("matched   0 at the source"), "{text}");
        assert!(text.contains("nothing matched on the server"), "{text}");
        let counts = Counts {
            items: 3,
            seen_before: 3,
            ..Counts::default()
        };
        let text = summary(
            "lab",
            &counts,
            &Health::Running,
            Duration::from_secs(1),
            "dead-letters.ndjson",
        );
        assert!(text.contains("delivered before"), "{text}");
        let failed = Health::Failed {
            error: "no answer".to_owned(),
        };
        let text = summary(
            "lab",
            &counts,
            &failed,
            Duration::from_secs(1),
            "dead-letters.ndjson",
        );
        assert!(
            text.contains("NOT FINISHED, more may match: no answer"),
            "{text}"
        );
    }
}
