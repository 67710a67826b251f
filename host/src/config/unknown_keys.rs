//! Finds keys that the configuration's schema does not know, and the nearest one it does.

use std::fmt;

use serde_json::Value;

/// A key that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownKey {
    key: String,
    place: String,
    nearest: Option<String>,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown key `{}`", self.key)?;
        if !self.place.is_empty() {
            write!(f, " in `{}`", self.place)?;
        }
        match &self.nearest {
            Some(nearest) => write!(f, ": did you mean `{nearest}`?"),
            None => f.write_str(": `misp-ecs config` lists every key"),
        }
    }
}

/// The nearest of some words, if one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// What follows "there is no such name": the nearest one, else all there are.
pub(crate) fn nearest_or_all<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    match nearest(word, known.clone()) {
        Some(nearest) => format!(": did you mean `{nearest}`?"),
        None => format!("; there are: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// Every key of `value` that `root`, a JSON Schema, does not know.
pub(crate) fn all(value: &Value, root: &Value) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    walk(value, root, root, "", &mut found);
    found
}

fn walk(value: &Value, schema: &Value, root: &Value, place: &str, found: &mut Vec<UnknownKey>) {
    let schema = choose(value, resolve(schema, root), root);
    match value {
        Value::Object(object) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let others = schema.get("additionalProperties");
            for (key, value) in object {
                let inner = if place.is_empty() {
                    key.clone()
                } else {
                    format!("{place}.{key}")
                };
                match (properties.and_then(|known| known.get(key)), others) {
                    (Some(schema), _) => walk(value, schema, root, &inner, found),
                    (None, Some(Value::Bool(false))) => found.push(UnknownKey {
                        key: key.clone(),
                        place: place.to_owned(),
                        nearest: properties
                            .and_then(|known| nearest(key, known.keys().map(String::as_str)))
                            .map(str::to_owned),
                    }),
                    (None, Some(schema)) => walk(value, schema, root, &inner, found),
                    (None, None) => {}
                }
            }
        }
        Value::Array(list) => {
            let Some(items) = schema.get("items") else {
                return;
            };
            for (index, value) in list.iter().enumerate() {
                walk(value, items, root, &format!("{place}[{index}]"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer));
    target.map_or(schema, |target| resolve(target, root))
}

/// Of several shapes the one that is meant: the same `type` tag, or an object for an object.
fn choose<'a>(value: &Value, schema: &'a Value, root: &'a Value) -> &'a Value {
    let shapes = ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| schema.get(key))
        .and_then(Value::as_array);
    let Some(shapes) = shapes else {
        return schema;
    };
    let fits = |shape: &&Value| {
        let tag = shape.pointer("/properties/type/const");
        match (tag, value.get("type")) {
            (Some(tag), given) => given == Some(tag),
            (None, _) => shape.get("properties").is_some() == value.is_object(),
        }
    };
    shapes
        .iter()
        .map(|shape| resolve(shape, root))
        .find(fits)
        .unwrap_or(schema)
}
