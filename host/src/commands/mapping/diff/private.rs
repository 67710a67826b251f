//! What may not be shown: the values of the types that a mapping calls private.

use std::collections::{BTreeMap, BTreeSet};

use misp_model::redaction::{self, Hidden, REDACTED};
use misp_model::{Json, Object};
use serde_json::Value;
use splitter::Record;

/// The private types of both mappings.
#[derive(Debug)]
pub(super) struct Private(BTreeSet<String>);

/// A record's attributes: their types, and the values that may not be shown.
#[derive(Debug, Default)]
pub(super) struct Known {
    types: BTreeMap<String, String>,
    private: BTreeSet<String>,
    /// Lower case, as they are and as they stand in JSON.
    values: BTreeSet<String>,
}

impl Private {
    pub(super) fn new(types: Vec<String>) -> Self {
        Self(types.into_iter().collect())
    }

    /// Looks for them in a record.
    pub(super) fn of(&self, record: &Record) -> Known {
        let mut known = Known::default();
        if let Ok(mut json) = Json::parse(&record.json) {
            types(&json, &mut known);
            let is_private = |kind: &str| self.0.contains(kind);
            redaction::redact(&mut json, &is_private, &mut |hidden| match hidden {
                Hidden::Attribute(attribute) => {
                    if let Some(uuid) = text(attribute, "uuid") {
                        known.private.insert(uuid.to_owned());
                    }
                }
                Hidden::Value(value) => known.hide(&value.text().unwrap_or_default()),
            });
        }
        known
    }
}

/// Notes the types of all attributes.
fn types(value: &Json<'_>, known: &mut Known) {
    match value {
        Json::Object(object) => {
            if let (Some(kind), Some(uuid)) = (text(object, "type"), text(object, "uuid")) {
                known.types.insert(uuid.to_owned(), kind.to_owned());
            }
            object.iter().for_each(|(_, value)| types(value, known));
        }
        Json::Array(list) => list.iter().for_each(|value| types(value, known)),
        _ => {}
    }
}

fn text<'j>(object: &'j Object<'_>, key: &str) -> Option<&'j str> {
    match object.get(key) {
        Some(Json::String(text)) => Some(text),
        _ => None,
    }
}

impl Known {
    fn hide(&mut self, value: &str) {
        let value = value.to_lowercase();
        if value.is_empty() {
            return;
        }
        // As it stands in JSON, and in JSON that stands in a text, as `event.original` does.
        let once = escaped(&value);
        self.values.insert(escaped(&once));
        self.values.insert(once);
        self.values.insert(value);
    }

    /// The type of an attribute.
    pub(super) fn kind(&self, attribute: Option<&str>) -> &str {
        match attribute {
            None => "(event)",
            Some(uuid) => self.types.get(uuid).map_or("(unknown)", String::as_str),
        }
    }

    /// A text of the record as it may be shown.
    pub(super) fn shown_text(&self, text: &str) -> String {
        match self.shown(None, &Value::from(text)) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// The value as it may be shown in a document of this attribute.
    pub(super) fn shown(&self, attribute: Option<&str>, value: &Value) -> Value {
        let is_private = attribute.is_some_and(|uuid| self.private.contains(uuid));
        let text = value.to_string().to_lowercase();
        let bare = text.trim_matches('"');
        // Shorter ones are in every second text.
        let holds =
            |private: &String| bare == private || (private.len() > 2 && text.contains(private));
        if is_private || self.values.iter().any(holds) {
            return Value::from(REDACTED);
        }
        value.clone()
    }
}

/// A text as JSON has it between the quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(&quoted).to_owned()
}

#[cfg(test)]
mod tests {
    use splitter::{Body, Records, SplitLimits};

    use super::*;

    /// Whatever a mapping writes of a private attribute: wherever it stands, it is not shown.
    #[test]
    fn no_text_of_a_private_attribute_is_shown() {
        let private = Private::new(vec!["pgp-private-key".to_owned()]);
        let mut count = 0;
        for text in misp_ecs_tests::events::with_canary("pgp-private-key", "Canary \"one\"") {
            let body = Body::from(text.into_bytes());
            let records = Records::from_input(body, SplitLimits::default()).unwrap();
            for record in records.map(Result::unwrap) {
                let known = private.of(&record);
                if !String::from_utf8_lossy(&record.json).contains("Canary") {
                    continue;
                }
                for value in [
                    Value::from("Canary \"one\""),
                    serde_json::json!(["x", "a Canary \"one\" b"]),
                    Value::from(r#"{"value":"Canary \"one\""}"#),
                ] {
                    count += 1;
                    let shown = known.shown(None, &value).to_string();
                    assert!(!shown.contains("Canary"), "{shown}");
                }
            }
        }
        assert!(count > 200, "{count}");
    }
}
