//! Dotted names as a tree, for what is generated from a catalogue.

use std::collections::BTreeMap;

use runtime::Field;

/// A name on the way to fields, or a field.
#[derive(Debug)]
pub(super) enum Node<'f> {
    /// What stands below a name.
    Inner(BTreeMap<&'f str, Node<'f>>),
    /// A field.
    Leaf(&'f Field),
}

/// The fields by the parts of their names. A field below another field is left out: what is below
/// an `object` or a `flattened` is nobody's to list.
pub(super) fn tree(fields: &[Field]) -> BTreeMap<&str, Node<'_>> {
    let mut root = BTreeMap::new();
    let mut sorted: Vec<&Field> = fields.iter().collect();
    // Shorter names first, so that an upper field is there before what is below it.
    sorted.sort_by_key(|field| field.name.matches('.').count());
    for field in sorted {
        insert(&mut root, &field.name, field);
    }
    root
}

fn insert<'f>(nodes: &mut BTreeMap<&'f str, Node<'f>>, name: &'f str, field: &'f Field) {
    let Some((head, rest)) = name.split_once('.') else {
        nodes.insert(name, Node::Leaf(field));
        return;
    };
    let below = nodes
        .entry(head)
        .or_insert_with(|| Node::Inner(BTreeMap::new()));
    if let Node::Inner(below) = below {
        insert(below, rest, field);
    }
}
