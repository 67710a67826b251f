//! A JSON Schema of the documents of a catalogue.

use std::collections::{BTreeMap, BTreeSet};

use runtime::Field;
use serde_json::{Map, Value, json};

use super::tree::{Node, tree};

/// The schema (draft 2020-12): nothing is required but `@timestamp`, nothing that is not listed
/// is allowed. Where one value may stand, a list of them may.
pub(crate) fn json_schema(
    mapping: &str,
    version: &str,
    fields: &[Field],
    epoch_seconds: &BTreeSet<String>,
) -> Value {
    let mut schema = object(&tree(fields), epoch_seconds);
    let kinds: BTreeSet<&str> = fields.iter().map(|one| kind(one, epoch_seconds)).collect();
    let kinds = kinds.into_iter().map(|kind| {
        let one = value(kind);
        let either = json!({ "anyOf": [one, {"type": "array", "items": one}] });
        (kind.to_owned(), either)
    });
    if let Some(members) = schema.as_object_mut() {
        members.extend([
            (
                "$schema".to_owned(),
                "https://json-schema.org/draft/2020-12/schema".into(),
            ),
            (
                "title".to_owned(),
                format!("A document of misp-ecs, mapping {mapping} {version}").into(),
            ),
            ("required".to_owned(), json!(["@timestamp"])),
            ("$defs".to_owned(), Value::Object(kinds.collect())),
        ]);
    }
    schema
}

fn object(nodes: &BTreeMap<&str, Node<'_>>, epoch_seconds: &BTreeSet<String>) -> Value {
    let properties = nodes.iter().map(|(name, node)| {
        let property = match node {
            Node::Inner(below) => object(below, epoch_seconds),
            Node::Leaf(field) => json!({
                "$ref": format!("#/$defs/{}", kind(field, epoch_seconds)),
                "description": field.source,
            }),
        };
        ((*name).to_owned(), property)
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties.collect::<Map<_, _>>(),
    })
}

/// The name of what a field may hold: its type, but for dates that are seconds.
fn kind<'f>(field: &'f Field, epoch_seconds: &BTreeSet<String>) -> &'f str {
    if epoch_seconds.contains(&field.name) {
        "epoch_second"
    } else {
        &field.data_type
    }
}

fn value(kind: &str) -> Value {
    match kind {
        "long" | "integer" | "short" | "byte" => json!({ "type": "integer" }),
        "float" | "double" | "half_float" | "scaled_float" => json!({ "type": "number" }),
        "boolean" => json!({ "type": "boolean" }),
        "epoch_second" => json!({ "type": ["integer", "string"] }),
        "date" => {
            json!({ "type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}] })
        }
        "object" | "flattened" | "nested" => json!({ "type": "object" }),
        "ip" => json!({ "type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}] }),
        "geo_point" => json!({ "type": ["object", "string", "array"] }),
        _ => json!({ "type": "string" }),
    }
}
