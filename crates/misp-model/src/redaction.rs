//! The redaction rule: what may be passed on of an attribute whose type is private.
//!
//! Every document, note, dead letter, diff and refusal is made from JSON that went through
//! [`redact`] or [`shown`]. The rule lists what passes: identifiers, flags and times in the form
//! that MISP gives them, the type, the category, tags, galaxies, and the event and object around
//! the attribute. Everything else is replaced, so that a member that a later MISP adds is private
//! until somebody decides otherwise. Proposals (`ShadowAttribute`) are attributes with a type of
//! their own; correlations (`RelatedAttribute`) and `warnings` that stand beside the attributes
//! and name no type count as private.

use std::borrow::Cow;

use serde::ser::{Serialize, Serializer};

use crate::{Json, Object, Text};

/// The text in place of a private value.
pub const REDACTED: &str = "[redacted]";

/// Says whether the values of an attribute type are private.
pub type IsPrivate<'f> = &'f dyn Fn(&str) -> bool;

/// What [`redact`] reports.
#[derive(Debug, Clone, Copy)]
pub enum Hidden<'j, 'a> {
    /// A private attribute, before anything in it is replaced.
    Attribute(&'j Object<'a>),
    /// A string, number or flag that is replaced.
    Value(&'j Json<'a>),
}

/// Replaces the private values in a record of any shape; returns whether there was one.
pub fn redact<'a>(
    json: &mut Json<'a>,
    is_private: IsPrivate<'_>,
    report: &mut dyn FnMut(Hidden<'_, 'a>),
) -> bool {
    let mut rule = Rule {
        is_private,
        report,
        found: false,
    };
    rule.value("", json, Mode::Plain);
    rule.found
}

/// The text of a record for a person, without private values. What is not valid JSON is withheld
/// if it names a private type, or holds correlations or hits on warninglists.
pub fn shown(record: &[u8], is_private: IsPrivate<'_>) -> String {
    match Json::parse(record) {
        Ok(mut json) => match redact(&mut json, is_private, &mut |_| ()) {
            true => serde_json::to_string(&json).unwrap_or_else(|_| withheld(record)),
            false => String::from_utf8_lossy(record).into_owned(),
        },
        Err(_) => shown_unread(record, is_private),
    }
}

/// The same of bytes that are not valid JSON, or nest too deeply to be read.
pub fn shown_unread(record: &[u8], is_private: IsPrivate<'_>) -> String {
    match may_be_private(record, is_private) {
        true => withheld(record),
        false => String::from_utf8_lossy(record).into_owned(),
    }
}

fn withheld(record: &[u8]) -> String {
    let length = record.len();
    format!("[withheld: {length} bytes that may hold a private value]")
}

/// How the members of an object are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything passes.
    Plain,
    /// Without a type of its own an object is private.
    Untyped,
    /// A member of a private attribute, or of what is counted of it.
    Private,
}

struct Rule<'f, 'r, 'a> {
    is_private: IsPrivate<'f>,
    report: &'r mut dyn FnMut(Hidden<'_, 'a>),
    found: bool,
}

impl<'a> Rule<'_, '_, 'a> {
    fn value(&mut self, key: &str, value: &mut Json<'a>, mode: Mode) {
        match value {
            Json::Array(items) => items
                .iter_mut()
                .for_each(|item| self.value(key, item, mode)),
            Json::Object(object) => self.object(object, mode),
            Json::String(_) | Json::Number(_) if mode != Mode::Plain => {
                if !self.passes(key, value) {
                    self.hide(key, value);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn hide(&mut self, key: &str, value: &mut Json<'a>) {
        self.found = true;
        self.report_values(value);
        *value = match key {
            // A text here would be the same identity for several attributes.
            "uuid" => Json::Null,
            _ => Json::String(Text::from(Cow::Borrowed(REDACTED))),
        };
    }

    fn report_values(&mut self, value: &Json<'a>) {
        match value {
            Json::Array(items) => items.iter().for_each(|item| self.report_values(item)),
            Json::Object(object) => object
                .iter()
                .for_each(|(_, member)| self.report_values(member)),
            scalar => (self.report)(Hidden::Value(scalar)),
        }
    }

    fn object(&mut self, object: &mut Object<'a>, around: Mode) {
        let kind = match object.get("type") {
            Some(Json::String(kind)) => Some((self.is_private)(kind)),
            _ => None,
        };
        let is_attribute = around != Mode::Private && kind == Some(true);
        if is_attribute {
            self.found = true;
            (self.report)(Hidden::Attribute(object));
        }
        let mode = match (around, kind) {
            (Mode::Private, _) | (_, Some(true)) => Mode::Private,
            (_, Some(false)) => Mode::Plain,
            (around, None) => around,
        };
        object.for_each_mut(|key, value| {
            let is_nested = matches!(value, Json::Array(_) | Json::Object(_));
            if !is_nested && mode == Mode::Plain {
                return;
            }
            let mode = match key {
                "Event" | "Object" | "Tag" | "Galaxy" if is_attribute && is_nested => Mode::Plain,
                "RelatedAttribute" | "warnings" if mode == Mode::Plain && kind.is_none() => {
                    Mode::Untyped
                }
                "Sighting" | "decay_score" => mode,
                _ if is_attribute && is_nested && !value.is_empty() => {
                    return self.hide(key, value);
                }
                _ => mode,
            };
            self.value(key, value, mode);
        });
    }

    /// Whether a member of a private attribute, or of what belongs to it, holds nothing of its
    /// value: by its key and its form.
    fn passes(&self, key: &str, value: &Json<'a>) -> bool {
        let is_number =
            |text: &str| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
        let Json::String(text) = value else {
            return NUMBERS.contains(&key);
        };
        match key {
            _ if text.is_empty() => true,
            // A relation is mostly called as its type.
            "type" | "object_relation" => is_number(text) || (self.is_private)(text),
            "category" => CATEGORIES.contains(&&**text),
            "first_seen" | "last_seen" => {
                let is_time = |byte: u8| byte.is_ascii_digit() || b"-:.+TZ ".contains(&byte);
                text.len() <= 40 && text.bytes().all(is_time)
            }
            "uuid" | "event_uuid" | "object_uuid" => is_uuid(text),
            _ => NUMBERS.contains(&key) && (is_number(text) || matches!(&**text, "true" | "false")),
        }
    }
}

/// Members that are numbers, or flags, and never a part of a value.
const NUMBERS: [&str; 24] = [
    "attribute_id",
    "base_score",
    "date_sighting",
    "decayed",
    "deleted",
    "disable_correlation",
    "distribution",
    "event_id",
    "event_org_id",
    "id",
    "locked",
    "object_id",
    "old_id",
    "org_id",
    "orgc_id",
    "proposal_to_delete",
    "published",
    "score",
    "sharing_group_id",
    "threshold",
    "timestamp",
    "to_ids",
    "type",
    "warninglist_id",
];

/// The categories of MISP 2.5.
const CATEGORIES: [&str; 16] = [
    "Antivirus detection",
    "Artifacts dropped",
    "Attribution",
    "External analysis",
    "Financial fraud",
    "Internal reference",
    "Network activity",
    "Other",
    "Payload delivery",
    "Payload installation",
    "Payload type",
    "Persistence mechanism",
    "Person",
    "Social network",
    "Support Tool",
    "Targeting data",
];

/// Whether a text has the form of a uuid.
pub fn is_uuid(text: &str) -> bool {
    let is_part = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_part)
}

/// Whether a private type, or a key whose value may name no type, stands between quotes anywhere,
/// its letters escaped or not.
fn may_be_private(text: &[u8], is_private: IsPrivate<'_>) -> bool {
    let text = String::from_utf8_lossy(text);
    // Only ASCII counts: no type has another letter.
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once("\\u00") {
        plain.push_str(before);
        let code = after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(code) => {
                plain.push(char::from(code));
                rest = after.get(2..).unwrap_or_default();
            }
            None => rest = after,
        }
    }
    plain.push_str(rest);
    plain.split('"').any(|word| {
        let word = word.trim_end_matches('\\');
        matches!(word, "RelatedAttribute" | "warnings")
            || is_private(word)
            || (word.contains("\\/") && is_private(&word.replace("\\/", "/")))
    })
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(flag) => serializer.serialize_bool(*flag),
            Json::Number(number) => number.serialize(serializer),
            Json::String(text) => serializer.serialize_str(text),
            Json::Array(items) => serializer.collect_seq(items),
            Json::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_private(kind: &str) -> bool {
        kind == "passport-number"
    }

    fn text(record: &str) -> String {
        shown(record.as_bytes(), &is_private)
    }

    #[test]
    fn a_private_attribute_keeps_its_identity_and_loses_every_text() {
        let attribute = r#"{"id":"12","type":"passport-number","category":"Person","to_ids":"0","uuid":"8a6a5ea4-27b6-4a5b-9d3a-0123456789ab","timestamp":1700000000,"first_seen":"2024-01-02T03:04:05+00:00","deleted":false,"comment":"C","value":"C","value1":4711,"value2":"","object_relation":"C","data":["C"],"warnings":[{"match":"C","warninglist_id":"7","type":"text"}],"Tag":[{"name":"tlp:red"}],"Event":{"info":"seen"}}"#;
        assert_eq!(
            text(attribute),
            r#"{"Event":{"info":"seen"},"Tag":[{"name":"tlp:red"}],"category":"Person","comment":"[redacted]","data":"[redacted]","deleted":false,"first_seen":"2024-01-02T03:04:05+00:00","id":"12","object_relation":"[redacted]","timestamp":1700000000,"to_ids":"0","type":"passport-number","uuid":"8a6a5ea4-27b6-4a5b-9d3a-0123456789ab","value":"[redacted]","value1":"[redacted]","value2":"","warnings":"[redacted]"}"#
        );
    }

    #[test]
    fn what_stands_where_an_identifier_should_is_replaced() {
        for key in [
            "id",
            "uuid",
            "event_uuid",
            "category",
            "timestamp",
            "first_seen",
            "to_ids",
        ] {
            let record = format!(r#"{{"type":"passport-number","{key}":"CANARY","Tag":"CANARY"}}"#);
            assert!(!text(&record).contains("CANARY"), "{key}");
        }
    }

    #[test]
    fn correlations_and_warnings_beside_attributes_are_judged_by_their_type() {
        let event = r#"{"Event":{"RelatedAttribute":{"12":[{"id":"5","info":"C","value":"C"},{"type":"md5","value":"seen"},{"type":"passport-number","value":"C"}]},"warnings":{"12":[{"value":"C"}]}}}"#;
        let shown = text(event);
        assert!(
            !shown.contains("\"C\"") && shown.contains("seen") && shown.contains(r#""id":"5""#)
        );
        let public = r#"{"type":"md5","value":"v","RelatedAttribute":[{"value":"v"}],"warnings":[{"match":"v"}]}"#;
        assert_eq!(text(public), public);
    }

    #[test]
    fn what_is_not_json_is_withheld_if_it_names_a_private_type() {
        for broken in [
            r#"{"type":"passport-number","value":"C"#,
            r#"{"type":"pass\u0070ort-number","value":"C"#,
            "{\"value\":\"C\u{1}\",\"type\":\"passport-number\"}",
        ] {
            assert!(text(broken).starts_with("[withheld: "), "{broken}");
        }
        assert_eq!(text(r#"{"type":"md5","#), r#"{"type":"md5","#);
    }
}
