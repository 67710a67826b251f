//! Letters with one reason together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use pipeline::{DeadLetter, RefusalKind};
use serde::Serialize;
use serde_json::Value;

use crate::summary::{plural, thousands};

/// Types that are named in a line before the rest is summed up.
const TYPES: usize = 6;
/// What is kept of a reason.
const LONGEST_REASON: usize = 300;

/// What letters of one group share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Key {
    kind: RefusalKind,
    /// Without the values in it.
    reason: String,
    output: Option<String>,
    mapping: String,
}

impl Key {
    pub(super) fn of(letter: &DeadLetter) -> Self {
        Self {
            kind: letter.reason.kind,
            reason: general(&letter.reason.text),
            output: letter.output.clone(),
            mapping: format!("{} {}", letter.mapping.name, letter.mapping.version),
        }
    }
}

/// Letters with one reason.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Group {
    #[serde(flatten)]
    key: Key,
    count: u64,
    /// How many of each MISP attribute type, where the letter tells.
    types: BTreeMap<String, u64>,
    instances: BTreeMap<String, u64>,
    /// UNIX milliseconds.
    first_ms: i64,
    last_ms: i64,
    example_event: Option<String>,
    example_attribute: Option<String>,
    example_reason: String,
}

impl Group {
    pub(super) fn key(&self) -> Key {
        self.key.clone()
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<Key, Group>,
    /// Letters that the options leave out.
    pub(super) left_out: u64,
    /// Lines that are no letters.
    pub(super) unreadable: u64,
}

impl Groups {
    pub(super) fn add(&mut self, letter: &DeadLetter) {
        let key = Key::of(letter);
        let group = self.groups.entry(key.clone()).or_insert_with(|| Group {
            key,
            count: 0,
            types: BTreeMap::new(),
            instances: BTreeMap::new(),
            first_ms: letter.time_ms,
            last_ms: letter.time_ms,
            example_event: letter.event.clone(),
            example_attribute: letter.attribute.clone(),
            example_reason: letter.reason.text.clone(),
        });
        group.count += 1;
        group.first_ms = group.first_ms.min(letter.time_ms);
        group.last_ms = group.last_ms.max(letter.time_ms);
        *group.instances.entry(letter.instance.clone()).or_default() += 1;
        if let Some(kind) = attribute_type(&letter.input) {
            *group.types.entry(kind).or_default() += 1;
        }
    }

    /// The most frequent first.
    pub(super) fn sorted(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let sorted = self.sorted();
        let refused: u64 = sorted.iter().map(|group| group.count).sum();
        match refused {
            0 => writeln!(out, "nothing is refused")?,
            _ => writeln!(
                out,
                "{} refused, for {}",
                thousands(refused),
                plural(sorted.len() as u64, "reason")
            )?,
        }
        for (place, group) in sorted.iter().enumerate() {
            group.write(out, place + 1)?;
        }
        if self.left_out > 0 {
            writeln!(
                out,
                "{} left out: replayed, refused again later, or not asked for (--all)",
                plural(self.left_out, "letter")
            )?;
        }
        if self.unreadable > 0 {
            let lines = plural(self.unreadable, "line");
            writeln!(out, "{lines} of the file cannot be read as a letter")?;
        }
        if refused > 0 {
            writeln!(
                out,
                "`misp-ecs dead-letter show --group N` prints them whole; after a fix, `misp-ecs \
                 dead-letter replay` sends them again"
            )?;
        }
        Ok(())
    }
}

impl Group {
    fn write(&self, out: &mut String, number: usize) -> std::fmt::Result {
        let who = match &self.key.output {
            Some(output) => format!("output {output}"),
            None => format!("mapping {}", self.key.mapping),
        };
        writeln!(
            out,
            "  {number}. {:>8}  {who}: {}",
            thousands(self.count),
            self.key.reason
        )?;
        let mut types: Vec<(&String, &u64)> = self.types.iter().collect();
        types.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let named: Vec<String> = types
            .iter()
            .take(TYPES)
            .map(|(kind, count)| format!("{kind} {}", thousands(**count)))
            .collect();
        if !named.is_empty() {
            let rest = types.len().saturating_sub(TYPES);
            let more = match rest {
                0 => String::new(),
                rest => format!(", {rest} more types"),
            };
            writeln!(out, "               of {}{more}", named.join(", "))?;
        }
        let instances: Vec<&str> = self.instances.keys().map(String::as_str).collect();
        writeln!(
            out,
            "               {}, {} to {}",
            instances.join(", "),
            time(self.first_ms),
            time(self.last_ms)
        )?;
        if self.example_reason != self.key.reason {
            // The words that were taken out of the reason are often the ones that help.
            let reason: String = self.example_reason.chars().take(LONGEST_REASON).collect();
            let reason = reason.replace(['\n', '\r', '\t'], " ");
            writeln!(out, "               for example: {reason}")?;
        }
        if let Some(event) = &self.example_event {
            let attribute = self.example_attribute.as_deref();
            writeln!(
                out,
                "               such as event {event}{}",
                attribute.map_or_else(String::new, |uuid| format!(", attribute {uuid}"))
            )?;
        }
        Ok(())
    }
}

fn time(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// MISP's type of the attribute that was refused, or of which the refused document was made.
fn attribute_type(input: &str) -> Option<String> {
    let input: Value = serde_json::from_str(input).ok()?;
    let kind = ["/misp/attribute/type", "/type"]
        .iter()
        .find_map(|at| input.pointer(at)?.as_str());
    kind.map(str::to_owned)
}

/// A reason without the values in it: what stands in quotes, and numbers, differ from letter to
/// letter.
fn general(text: &str) -> String {
    let mut general = String::new();
    let mut chars = text.chars().peekable();
    while let Some(letter) = chars.next() {
        if general.len() >= LONGEST_REASON {
            general.push('…');
            break;
        }
        match letter {
            '\'' | '"' | '`' => {
                // An apostrophe within a word begins no quotation.
                let in_word = general.ends_with(char::is_alphanumeric);
                if letter == '\'' && in_word {
                    general.push(letter);
                    continue;
                }
                general.push(letter);
                if chars.by_ref().any(|end| end == letter) {
                    general.push('…');
                }
                general.push(letter);
            }
            '0'..='9' if !general.ends_with(char::is_alphanumeric) => {
                while chars.next_if(char::is_ascii_digit).is_some() {}
                general.push('N');
            }
            '\n' | '\r' | '\t' => general.push(' '),
            other => general.push(other),
        }
    }
    general
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_general_without_its_values() {
        for (text, expected) in [
            (
                "failed to parse field [threat.indicator.ip] of type [long] in document with id 'x-1'. Preview of field's value: '192.0.2.1'",
                "failed to parse field [threat.indicator.ip] of type [long] in document with id '…'. Preview of field's value: '…'",
            ),
            ("400: line 17, column 3", "N: line N, column N"),
            ("sha256 of \"a", "sha256 of \"\""),
            ("a\nb", "a b"),
            ("", ""),
        ] {
            assert_eq!(general(text), expected);
        }
        assert!(general(&"long ".repeat(1_000)).len() < LONGEST_REASON + 8);
    }
}
