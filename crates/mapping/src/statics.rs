//! Fields that the host passes to be merged into each document once.

use std::collections::BTreeMap;

use ecs_model::StaticLeaf;
use serde_json::{Map, Value};

use crate::SettingsError;

/// `origin.static-fields`, taken apart.
#[derive(Debug, Clone, Default)]
pub struct StaticFields {
    leaves: Vec<StaticLeaf>,
    tags: Vec<String>,
}

impl StaticFields {
    /// Reads a JSON object; no bytes mean none. Keys with dots are taken as paths.
    /// A `tags` list is kept apart: it follows the event's own tags. Whatever is one
    /// of the fields in `own`, or above or below one, is left out: the mapping's own
    /// fields win.
    ///
    /// # Errors
    /// When it is no JSON object, when `tags` is not a list of strings, or when a
    /// field is given both a value and members.
    pub fn read(bytes: &[u8], own: &[&str]) -> Result<Self, SettingsError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut given: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| {
            SettingsError::Malformed(format!("the static fields are not a JSON object: {error}"))
        })?;
        let tags = given.remove("tags").map_or(Ok(Vec::new()), |tags| {
            serde_json::from_value(tags).map_err(|_| {
                SettingsError::Invalid(
                    "`tags` of the static fields must be a list of strings".into(),
                )
            })
        })?;
        let mut found = BTreeMap::new();
        for (key, value) in given {
            collect(key, value, &mut found);
        }
        if let Some((above, below)) = found
            .keys()
            .zip(found.keys().skip(1))
            .find(|(above, below)| is_below(below, above))
        {
            return Err(SettingsError::Invalid(format!(
                "the static fields give `{above}` a value and also members: `{below}`"
            )));
        }
        let related = |name: &str, field: &str| {
            name == field || is_below(name, field) || is_below(field, name)
        };
        found.retain(|name, _| !own.iter().any(|field| related(name, field)));
        let leaf = |(name, value): (String, Value)| StaticLeaf {
            name,
            value: value.to_string().into_bytes(),
        };
        Ok(Self {
            leaves: found.into_iter().map(leaf).collect(),
            tags,
        })
    }

    /// The fields, sorted by name.
    pub fn leaves(&self) -> &[StaticLeaf] {
        &self.leaves
    }

    /// The tags that follow the event's own.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above)
        .is_some_and(|rest| rest.starts_with('.'))
}

fn collect(name: String, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (key, value) in members {
                collect(format!("{name}.{key}"), value, found);
            }
        }
        value => {
            found.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 3] = ["event.kind", "misp.id", "threat.indicator.ip"];

    fn names(json: &str) -> Result<Vec<String>, SettingsError> {
        let statics = StaticFields::read(json.as_bytes(), &OWN)?;
        Ok(statics
            .leaves()
            .iter()
            .map(|leaf| leaf.name.clone())
            .collect())
    }

    #[test]
    fn nested_and_dotted_names_are_one() {
        let json = r#"{"event":{"dataset":"x","module":null},"agent.type":"y","host":{"ip":["192.0.2.1"],"os":{}}}"#;
        assert_eq!(
            names(json).unwrap(),
            ["agent.type", "event.dataset", "host.ip"]
        );
    }

    #[test]
    fn own_fields_win() {
        let json = r#"{"event":{"kind":"x","dataset":"y"},"misp":"z","threat":{"indicator":{"ip":{"x":1}}}}"#;
        assert_eq!(names(json).unwrap(), ["event.dataset"]);
    }

    #[test]
    fn tags_are_apart() {
        let statics = StaticFields::read(br#"{"tags":["a"]}"#, &OWN).unwrap();
        assert_eq!(statics.tags(), ["a"]);
        assert!(statics.leaves().is_empty());
    }

    #[test]
    fn bad_ones_are_errors() {
        assert!(matches!(names("[]"), Err(SettingsError::Malformed(_))));
        assert!(matches!(
            names(r#"{"tags":"a"}"#),
            Err(SettingsError::Invalid(_))
        ));
        assert!(matches!(
            names(r#"{"a":1,"a.b":2}"#),
            Err(SettingsError::Invalid(_))
        ));
        assert!(names("").unwrap().is_empty());
    }
}
