//! The fields of an index beside those of its template.

use serde_json::{Map, Value};

use super::error::ElasticError;
use super::options::ElasticMode;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wrong {
    field: String,
    found: String,
    wanted: String,
}

/// Where an index is not as its template would make it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Of another type, or indexed in another way: these cannot be changed.
    wrong: Vec<Wrong>,
    /// Not there: these can be added.
    missing: Vec<String>,
}

impl Fields {
    /// Compares the `mappings` of a template with those of an index. What the index has beyond the
    /// template does no harm.
    pub(super) fn compare(wanted: &Value, found: &Value) -> Self {
        let mut fields = Self::default();
        fields.compare_setting("dynamic", wanted, found, "true");
        fields.compare_properties("", wanted, found);
        fields
    }

    /// The error to report if a field cannot be put right.
    pub(super) fn wrong(&self, mode: ElasticMode, index: &str) -> Option<ElasticError> {
        let first = self.wrong.first()?;
        Some(ElasticError::WrongFields {
            index: index.to_owned(),
            field: first.field.clone(),
            found: first.found.clone(),
            wanted: first.wanted.clone(),
            more: self.wrong.len() - 1,
            repair: match mode {
                ElasticMode::Latest => {
                    "`misp-ecs setup elasticsearch --recreate` deletes it and makes the right one, \
                     and the next poll sends everything again"
                }
                ElasticMode::Append => {
                    "`misp-ecs setup elasticsearch` rolls the data stream over to a new one"
                }
            },
        })
    }

    /// The error to report if fields can be added.
    pub(super) fn missing(&self, index: &str) -> Option<ElasticError> {
        let first = self.missing.first()?;
        Some(ElasticError::MissingFields {
            index: index.to_owned(),
            field: first.clone(),
            count: self.missing.len(),
        })
    }

    fn compare_properties(&mut self, above: &str, wanted: &Value, found: &Value) {
        let none = Map::new();
        let properties = |of: &'_ Value| of.get("properties").and_then(Value::as_object).cloned();
        let found = properties(found).unwrap_or_default();
        for (name, wanted) in &properties(wanted).unwrap_or(none) {
            let field = format!("{above}{name}");
            match found.get(name) {
                None => self.missing_below(field, wanted),
                Some(found) => self.compare_field(&field, wanted, found),
            }
        }
    }

    fn missing_below(&mut self, field: String, wanted: &Value) {
        match wanted.get("properties").and_then(Value::as_object) {
            Some(below) => {
                for (name, wanted) in below {
                    self.missing_below(format!("{field}.{name}"), wanted);
                }
            }
            None => self.missing.push(field),
        }
    }

    fn compare_field(&mut self, field: &str, wanted: &Value, found: &Value) {
        let kind = |of: &'_ Value| {
            let kind = of.get("type").and_then(Value::as_str);
            kind.unwrap_or("object").to_owned()
        };
        let (kind, other) = (kind(wanted), kind(found));
        if kind != other {
            return self.wrong.push(Wrong {
                field: field.to_owned(),
                found: format!("`{other}`"),
                wanted: format!("`{kind}`"),
            });
        }
        self.compare_setting_of(field, "index", wanted, found, "true");
        // A `wildcard` has none on OpenSearch unless it is asked for.
        let default = wanted.get("doc_values").map_or("true", |_| {
            if kind == "wildcard" { "false" } else { "true" }
        });
        self.compare_setting_of(field, "doc_values", wanted, found, default);
        self.compare_properties(&format!("{field}."), wanted, found);
    }

    fn compare_setting(&mut self, setting: &str, wanted: &Value, found: &Value, default: &str) {
        self.compare_values(setting.to_owned(), setting, wanted, found, default);
    }

    fn compare_setting_of(
        &mut self,
        field: &str,
        setting: &str,
        wanted: &Value,
        found: &Value,
        default: &str,
    ) {
        self.compare_values(
            format!("{field}.{setting}"),
            setting,
            wanted,
            found,
            default,
        );
    }

    fn compare_values(
        &mut self,
        field: String,
        setting: &str,
        wanted: &Value,
        found: &Value,
        default: &str,
    ) {
        // Servers write `false` and `"false"` alike.
        let text = |of: &Value| match of.get(setting) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => default.to_owned(),
        };
        let (wanted, found) = (text(wanted), text(found));
        if wanted != found {
            self.wrong.push(Wrong {
                field,
                found: format!("`{found}`"),
                wanted: format!("`{wanted}`"),
            });
        }
    }
}
