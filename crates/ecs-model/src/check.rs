//! Is a finished document valid against a catalogue? For tests.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::{DataType, date};

/// What a document may hold: dotted names and types.
#[derive(Debug, Clone, Default)]
pub struct Checker(BTreeMap<String, DataType>);

impl Checker {
    /// A checker for these fields.
    pub fn new<N: Into<String>>(fields: impl IntoIterator<Item = (N, DataType)>) -> Self {
        Self(
            fields
                .into_iter()
                .map(|(name, kind)| (name.into(), kind))
                .collect(),
        )
    }

    /// The dotted names of all values in a document: each is a listed field, and
    /// its value one that Elasticsearch takes for the field's type.
    ///
    /// # Errors
    /// One text for each thing that is wrong.
    pub fn check(&self, document: &[u8]) -> Result<Vec<String>, Vec<String>> {
        let document: Value = match serde_json::from_slice(document) {
            Ok(document @ Value::Object(_)) => document,
            Ok(_) => return Err(vec!["not an object".to_owned()]),
            Err(error) => return Err(vec![error.to_string()]),
        };
        let mut names = Vec::new();
        let mut wrong = Vec::new();
        self.walk("", &document, &mut names, &mut wrong);
        if wrong.is_empty() {
            Ok(names)
        } else {
            Err(wrong)
        }
    }

    fn walk(&self, name: &str, value: &Value, names: &mut Vec<String>, wrong: &mut Vec<String>) {
        if let Value::Object(members) = value {
            if members.is_empty() {
                wrong.push(format!("`{name}` is an empty object"));
            }
            for (key, value) in members {
                let dot = if name.is_empty() { "" } else { "." };
                self.walk(&format!("{name}{dot}{key}"), value, names, wrong);
            }
            return;
        }
        names.push(name.to_owned());
        let Some(kind) = self.0.get(name) else {
            wrong.push(format!("`{name}` is not in the catalogue"));
            return;
        };
        let values = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values.iter().filter(|value| !fits(*kind, value)) {
            wrong.push(format!(
                "`{name}` cannot be {value}: it is a {}",
                kind.name()
            ));
        }
    }
}

fn fits(kind: DataType, value: &Value) -> bool {
    match kind {
        DataType::Keyword | DataType::Wildcard | DataType::MatchOnlyText => value.is_string(),
        DataType::Long => value.is_i64(),
        DataType::Double => value.is_number(),
        DataType::Boolean => value.is_boolean(),
        DataType::Date => value
            .as_str()
            .is_some_and(|text| date::is_epoch(text) || date::is_iso(text)),
        DataType::Ip => value
            .as_str()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checker() -> Checker {
        Checker::new([
            ("k", DataType::Keyword),
            ("o.l", DataType::Long),
            ("o.i", DataType::Ip),
            ("d", DataType::Date),
            ("f", DataType::Double),
            ("b", DataType::Boolean),
        ])
    }

    #[test]
    fn valid_documents_name_their_fields() {
        let document =
            br#"{"k":["a","b"],"o":{"l":1,"i":"2001:db8::1"},"d":"1700000000","b":true,"f":1.5}"#;
        let names = checker().check(document).unwrap();
        assert_eq!(names, ["b", "d", "f", "k", "o.i", "o.l"]);
    }

    #[test]
    fn each_type_is_checked() {
        for bad in [
            r#"{"x":1}"#,
            r#"{"k":1}"#,
            r#"{"k":null}"#,
            r#"{"k":{}}"#,
            r#"{"o":{"l":"1"}}"#,
            r#"{"o":{"l":1.5}}"#,
            r#"{"o":{"i":"192.0.2.0/24"}}"#,
            r#"{"b":"true"}"#,
            r#"{"f":"1.5"}"#,
            r#"{"d":"yesterday"}"#,
            "[]",
            "",
        ] {
            assert!(checker().check(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
