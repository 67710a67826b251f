//! The crate as others use it.

mod big;
mod broken;
mod halves;
mod made_up;
mod shapes;
mod slices;
mod unreadable;

use serde_json::Value;

use crate::{Body, Record, Spool, SpoolLimits};

/// A body in a file, or in memory.
fn body(json: &[u8], in_file: bool) -> Body {
    let mut spool = Spool::new(SpoolLimits {
        memory: if in_file { 0 } else { usize::MAX },
        ..SpoolLimits::default()
    });
    spool.push(json).unwrap();
    spool.finish().unwrap()
}

/// The event of a record: its head, its attributes and its objects.
fn parts(record: &Record) -> (Value, Vec<Value>, Vec<Value>) {
    let mut json: Value = serde_json::from_slice(&record.json).unwrap();
    let mut event = json["Event"].take();
    let mut list = |key: &str| match event.as_object_mut().unwrap().remove(key) {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => list.as_array().unwrap().clone(),
    };
    let (attributes, objects) = (list("Attribute"), list("Object"));
    (event, attributes, objects)
}

/// Attributes in a list of objects.
fn within(objects: &[Value]) -> usize {
    let lists = objects
        .iter()
        .filter_map(|o| o.get("Attribute")?.as_array());
    lists.map(Vec::len).sum()
}
