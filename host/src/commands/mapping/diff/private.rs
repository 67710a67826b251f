//! What may not be shown: the values of the types that a mapping calls private.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use splitter::Record;

/// What is shown in place of a private value.
pub(super) const REDACTED: &str = "[redacted]";

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
        if let Ok(json) = serde_json::from_slice::<Value>(&record.json) {
            self.walk(&json, &mut known);
        }
        known
    }

    fn walk(&self, value: &Value, known: &mut Known) {
        match value {
            Value::Object(members) => {
                let text = |key: &str| members.get(key).and_then(Value::as_str);
                if let Some(kind) = text("type") {
                    let private = self.0.contains(kind);
                    if let Some(uuid) = text("uuid") {
                        known.types.insert(uuid.to_owned(), kind.to_owned());
                        if private {
                            known.private.insert(uuid.to_owned());
                        }
                    }
                    let keys = ["value", "value1", "value2", "data"];
                    for value in keys.into_iter().filter_map(text).filter(|_| private) {
                        known.hide(value);
                    }
                }
                members.values().for_each(|value| self.walk(value, known));
            }
            Value::Array(list) => list.iter().for_each(|value| self.walk(value, known)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

impl Known {
    fn hide(&mut self, value: &str) {
        let value = value.to_lowercase();
        if value.is_empty() {
            return;
        }
        let escaped = Value::from(value.as_str()).to_string();
        self.values.insert(escaped.trim_matches('"').to_owned());
        self.values.insert(value);
    }

    /// The type of an attribute.
    pub(super) fn kind(&self, attribute: Option<&str>) -> &str {
        match attribute {
            None => "(event)",
            Some(uuid) => self.types.get(uuid).map_or("(unknown)", String::as_str),
        }
    }

    /// The value as it may be shown in a document of this attribute.
    pub(super) fn shown(&self, attribute: Option<&str>, value: &Value) -> Value {
        let is_private = attribute.is_some_and(|uuid| self.private.contains(uuid));
        let text = value.to_string().to_lowercase();
        if is_private || self.values.iter().any(|private| text.contains(private)) {
            return Value::from(REDACTED);
        }
        value.clone()
    }
}
