//! How the values of a document become one JSON object.

use std::cell::RefCell;
use std::rc::Rc;

use crate::{Catalogue, FieldId, FieldSet, Leaves, json};

/// A value that is the same in every document and whose field the catalogue does
/// not hold: it comes from the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticLeaf {
    /// The dotted name.
    pub name: String,
    /// The value as JSON text.
    pub value: Vec<u8>,
}

/// Every field that a document can have, in order. Made once a mapping.
#[derive(Debug, Clone)]
pub struct Template {
    entries: Vec<Entry>,
    /// `"key":{` of every object.
    objects: Vec<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// The objects it is in, the outermost first.
    path: Vec<usize>,
    /// `"key":`
    key: Vec<u8>,
    value: EntryValue,
}

#[derive(Debug, Clone)]
enum EntryValue {
    Static(Vec<u8>),
    Field(FieldId),
}

impl Template {
    /// A template of the fields of a catalogue and of `statics` (sorted by name, of names outside
    /// the catalogue).
    pub fn new(catalogue: Catalogue, statics: &[StaticLeaf]) -> Self {
        let mut template = Self {
            entries: Vec::new(),
            objects: Vec::new(),
        };
        // Of the last entry: its path, by name and by number.
        let mut last: Vec<(&str, usize)> = Vec::new();
        let mut statics = statics.iter().peekable();
        for (index, spec) in catalogue.fields().iter().enumerate() {
            while let Some(leaf) = statics.next_if(|leaf| leaf.name.as_str() < spec.name) {
                template.add(
                    &leaf.name,
                    EntryValue::Static(leaf.value.clone()),
                    &mut last,
                );
            }
            let value = EntryValue::Field(FieldId::at(index));
            template.add(spec.name, value, &mut last);
        }
        for leaf in statics {
            template.add(
                &leaf.name,
                EntryValue::Static(leaf.value.clone()),
                &mut last,
            );
        }
        template
    }

    fn add<'n>(&mut self, name: &'n str, value: EntryValue, last: &mut Vec<(&'n str, usize)>) {
        let mut parts: Vec<&str> = name.split('.').collect();
        let own = parts.pop().unwrap_or_default();
        let same = last.iter().zip(&parts);
        let common = same.take_while(|((last, _), part)| last == *part).count();
        last.truncate(common);
        for part in parts.into_iter().skip(common) {
            last.push((part, self.objects.len()));
            self.objects.push(key(part, b":{"));
        }
        self.entries.push(Entry {
            path: last.iter().map(|(_, number)| *number).collect(),
            key: key(own, b":"),
            value,
        });
    }
}

fn key(name: &str, after: &[u8]) -> Vec<u8> {
    let mut key = Vec::new();
    json::string(&mut key, name);
    key.extend_from_slice(after);
    key
}

/// So many shapes are kept: events have attributes of a few types.
const SHAPES: usize = 64;

/// Values that all documents of one event share, and the text that follows from them.
#[derive(Debug, Clone)]
pub struct Prefilled<'a> {
    known: Leaves<'a>,
    shapes: RefCell<Vec<Rc<Shape>>>,
}

/// The text between the values of all documents that have the same fields.
#[derive(Debug)]
struct Shape {
    fields: FieldSet,
    text: Vec<u8>,
    /// Each value: the end of the text before it, and its field.
    values: Vec<(usize, FieldId)>,
}

impl<'a> Prefilled<'a> {
    /// Documents that have these values.
    pub fn new(known: Leaves<'a>) -> Self {
        Self {
            known,
            shapes: RefCell::default(),
        }
    }

    /// One document, of the known values and those of `leaves`; of a field that is known already
    /// the known value counts.
    pub fn render(&self, template: &Template, leaves: &Leaves<'_>) -> Vec<u8> {
        let shape = self.shape(template, leaves.fields());
        let lengths = shape.values.iter();
        let lengths = lengths.map(|(_, field)| leaves.at(*field).map_or(0, <[u8]>::len));
        let mut body = vec![0; shape.text.len() + lengths.sum::<usize>()];
        let mut writer = json::Writer::new(&mut body);
        let mut rest = shape.text.as_slice();
        let mut start = 0;
        for (end, field) in &shape.values {
            let (text, after) = rest.split_at_checked(end - start).unwrap_or_default();
            writer.put(text);
            writer.put(leaves.at(*field).unwrap_or_default());
            (rest, start) = (after, *end);
        }
        writer.put(rest);
        body
    }

    /// The shape of documents with these fields.
    fn shape(&self, template: &Template, fields: &FieldSet) -> Rc<Shape> {
        let mut shapes = self.shapes.borrow_mut();
        if let Some(known) = shapes.iter().find(|shape| shape.fields == *fields) {
            return Rc::clone(known);
        }
        if shapes.len() == SHAPES {
            shapes.clear();
        }
        let shape = Rc::new(Shape::new(template, &self.known, fields));
        shapes.push(Rc::clone(&shape));
        shape
    }
}

impl Shape {
    fn new(template: &Template, known: &Leaves<'_>, fields: &FieldSet) -> Self {
        // As much as most need.
        let (mut text, mut values) = (Vec::with_capacity(2048), Vec::with_capacity(64));
        text.push(b'{');
        let mut open: &[usize] = &[];
        for entry in &template.entries {
            let value = match &entry.value {
                EntryValue::Static(value) => Some(value.as_slice()),
                EntryValue::Field(field) => match known.get(*field) {
                    None if !fields.has(*field) => continue,
                    value => value,
                },
            };
            let same = open.iter().zip(&entry.path);
            let common = same.take_while(|(one, other)| one == other).count();
            text.resize(text.len() + open.len() - common, b'}');
            open = &entry.path;
            for object in entry.path.iter().skip(common) {
                let key = template.objects.get(*object);
                member(&mut text, key.map_or(&[], Vec::as_slice));
            }
            member(&mut text, &entry.key);
            match (value, &entry.value) {
                (Some(value), _) => text.extend_from_slice(value),
                (None, EntryValue::Field(field)) => values.push((text.len(), *field)),
                (None, EntryValue::Static(_)) => {}
            }
        }
        text.resize(text.len() + open.len() + 1, b'}');
        Self {
            fields: *fields,
            text,
            values,
        }
    }
}

/// Appends the start of a member, after a comma unless it is the object's first.
fn member(out: &mut Vec<u8>, text: &[u8]) {
    if !matches!(out.last(), Some(b'{')) {
        out.push(b',');
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataType, FieldSpec, Origin};

    const fn field(name: &'static str) -> FieldSpec {
        FieldSpec {
            name,
            data_type: DataType::Keyword,
            origin: Origin::Ecs,
            source: "",
        }
    }

    const FIELDS: Catalogue = Catalogue::new(&[
        field("a"),
        field("b.c.d"),
        field("b.c.e"),
        field("b.f"),
        field("g.h"),
    ]);
    const A: FieldId = FIELDS.id("a");
    const D: FieldId = FIELDS.id("b.c.d");
    const E: FieldId = FIELDS.id("b.c.e");
    const F: FieldId = FIELDS.id("b.f");
    const H: FieldId = FIELDS.id("g.h");

    fn render(known: &[FieldId], filled: &[FieldId], statics: &[StaticLeaf]) -> String {
        let mut leaves = Leaves::new(FIELDS);
        for field in known {
            leaves.integer(*field, 1);
        }
        let template = Template::new(FIELDS, statics);
        let prefilled = Prefilled::new(leaves.clone());
        leaves.clear();
        for field in filled {
            leaves.integer(*field, 2);
        }
        let body = prefilled.render(&template, &leaves);
        assert_eq!(prefilled.render(&template, &leaves), body);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn empty_objects_are_not_written() {
        assert_eq!(render(&[], &[], &[]), "{}");
        assert_eq!(render(&[], &[E], &[]), r#"{"b":{"c":{"e":2}}}"#);
        assert_eq!(render(&[F], &[], &[]), r#"{"b":{"f":1}}"#);
        assert_eq!(render(&[], &[H], &[]), r#"{"g":{"h":2}}"#);
    }

    #[test]
    fn known_and_filled_values_are_in_one_order() {
        let all = r#"{"a":1,"b":{"c":{"d":2,"e":1},"f":1},"g":{"h":2}}"#;
        assert_eq!(render(&[A, E, F], &[D, H], &[]), all);
        assert_eq!(render(&[A, E, F], &[D, E, H], &[]), all);
    }

    #[test]
    fn static_values_take_their_place() {
        let leaf = |name: &str| StaticLeaf {
            name: name.to_owned(),
            value: b"3".to_vec(),
        };
        let statics = [leaf("b.c.dd"), leaf("b.x"), leaf("g.a.b"), leaf("z")];
        assert_eq!(
            render(&[], &[D, H], &statics),
            r#"{"b":{"c":{"d":2,"dd":3},"x":3},"g":{"a":{"b":3},"h":2},"z":3}"#
        );
    }
}
