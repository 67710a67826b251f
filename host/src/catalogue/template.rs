//! An Elasticsearch component template of a catalogue.

use std::collections::{BTreeMap, BTreeSet};

use runtime::Field;
use serde_json::{Map, Value, json};

use super::tree::{Node, tree};

/// A longer keyword is stored whole and not searched by: no document is refused for one.
const IGNORE_ABOVE: u32 = 8_191;

/// The component template: `PUT _component_template/NAME`. `epoch_seconds`: the fields of type
/// `date` that hold seconds.
pub(crate) fn component_template(
    mapping: &str,
    version: &str,
    fields: &[Field],
    epoch_seconds: &BTreeSet<String>,
) -> Value {
    json!({
        "template": {
            "mappings": {
                // What no catalogue lists is kept in the document and not indexed.
                "dynamic": false,
                "date_detection": false,
                "properties": properties(&tree(fields), epoch_seconds),
            },
        },
        "_meta": {
            "description": "Fields of misp-ecs",
            "mapping": mapping,
            "version": version,
        },
    })
}

fn properties(nodes: &BTreeMap<&str, Node<'_>>, epoch_seconds: &BTreeSet<String>) -> Value {
    let all = nodes.iter().map(|(name, node)| {
        let property = match node {
            Node::Inner(below) => json!({ "properties": properties(below, epoch_seconds) }),
            Node::Leaf(field) => leaf(field, epoch_seconds),
        };
        ((*name).to_owned(), property)
    });
    Value::Object(all.collect::<Map<_, _>>())
}

fn leaf(field: &Field, epoch_seconds: &BTreeSet<String>) -> Value {
    let kind = field.data_type.as_str();
    match kind {
        // As ECS has it: it is kept, not searched.
        "keyword" if field.name == "event.original" => {
            json!({ "type": kind, "index": false, "doc_values": false })
        }
        "keyword" => json!({ "type": kind, "ignore_above": IGNORE_ABOVE }),
        "date" if epoch_seconds.contains(&field.name) => {
            json!({ "type": kind, "format": "epoch_second" })
        }
        // A data stream takes no other.
        "date" if field.name == "@timestamp" => json!({ "type": kind }),
        // An odd value is kept and not indexed: it costs no document.
        "ip" | "long" | "integer" | "float" | "double" | "date" => {
            json!({ "type": kind, "ignore_malformed": true })
        }
        // A part of it that is not listed is found all the same.
        "object" => json!({ "type": kind, "dynamic": true }),
        _ => json!({ "type": kind }),
    }
}

#[cfg(test)]
mod tests {
    use runtime::FieldOrigin;

    use super::*;

    fn field(name: &str, data_type: &str) -> Field {
        Field {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            origin: FieldOrigin::Ecs,
            source: String::new(),
        }
    }

    #[test]
    fn names_become_a_tree_and_each_field_its_type() {
        let fields = [
            field("a.b", "keyword"),
            field("a.c.d", "ip"),
            field("at", "date"),
            field("event.original", "keyword"),
            field("labels", "object"),
            field("labels.below", "keyword"),
        ];
        let seconds = BTreeSet::from(["at".to_owned()]);
        let template = component_template("m", "1", &fields, &seconds);
        assert_eq!(
            template["template"]["mappings"]["properties"],
            json!({
                "a": {"properties": {
                    "b": {"type": "keyword", "ignore_above": 8191},
                    "c": {"properties": {"d": {"type": "ip", "ignore_malformed": true}}},
                }},
                "at": {"type": "date", "format": "epoch_second"},
                "event": {"properties": {
                    "original": {"type": "keyword", "index": false, "doc_values": false},
                }},
                "labels": {"type": "object", "dynamic": true},
            })
        );
    }
}
