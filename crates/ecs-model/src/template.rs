//! What all documents of one event share, written once.

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

/// So many shapes are kept: events have attributes of a few types.
const SHAPES: usize = 64;

/// A document with the values that are known already filled in, and slots for the
/// others. Objects without any member are not written.
#[derive(Debug, Clone, Default)]
pub struct Template {
    steps: Vec<Step>,
    shapes: RefCell<Vec<Rc<Shape>>>,
}

#[derive(Debug, Clone)]
enum Step {
    /// `"key":{`, taken back if nothing follows before the matching `Close`.
    Open(Vec<u8>),
    Close,
    /// Whole members, with commas between them.
    Members(Vec<u8>),
    /// `"key":` and the value, if there is one.
    Slot(Vec<u8>, FieldId),
}

/// The text between the values of all documents that have the same fields.
#[derive(Debug)]
struct Shape {
    fields: FieldSet,
    text: Vec<u8>,
    /// Each value: the end of the text before it, and its field.
    values: Vec<(usize, FieldId)>,
}

impl Template {
    /// A template of `known` values and `statics` (sorted by name, of names outside
    /// the catalogue); every other field of the catalogue becomes a slot.
    pub fn new(catalogue: Catalogue, known: &Leaves<'_>, statics: &[StaticLeaf]) -> Self {
        let mut builder = Builder::default();
        let mut statics = statics.iter().peekable();
        for (index, spec) in catalogue.fields().iter().enumerate() {
            while let Some(leaf) = statics.next_if(|leaf| leaf.name.as_str() < spec.name) {
                builder.member(&leaf.name, &leaf.value);
            }
            let field = FieldId::at(index);
            match known.get(field) {
                Some(value) => builder.member(spec.name, value),
                None => builder.slot(spec.name, field),
            }
        }
        for leaf in statics {
            builder.member(&leaf.name, &leaf.value);
        }
        builder.enter(&[]);
        Self {
            steps: builder.steps,
            shapes: RefCell::default(),
        }
    }

    /// One document: slots are filled from `leaves`.
    pub fn render(&self, leaves: &Leaves<'_>) -> Vec<u8> {
        let shape = self.shape(leaves.fields());
        let lengths = shape
            .values
            .iter()
            .map(|(_, field)| leaves.at(*field).map_or(0, <[u8]>::len));
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
    fn shape(&self, fields: &FieldSet) -> Rc<Shape> {
        let mut shapes = self.shapes.borrow_mut();
        if let Some(known) = shapes.iter().find(|shape| shape.fields == *fields) {
            return Rc::clone(known);
        }
        if shapes.len() == SHAPES {
            shapes.clear();
        }
        let shape = Rc::new(Shape::new(&self.steps, fields));
        shapes.push(Rc::clone(&shape));
        shape
    }
}

impl Shape {
    fn new(steps: &[Step], fields: &FieldSet) -> Self {
        let mut values = Vec::new();
        let mut text = vec![b'{'];
        // For each open object: where its text starts, and where its members do.
        let mut open: Vec<(usize, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Open(key) => {
                    let start = text.len();
                    member(&mut text, key);
                    open.push((start, text.len()));
                }
                Step::Close => match open.pop() {
                    Some((start, members)) if members == text.len() => text.truncate(start),
                    _ => text.push(b'}'),
                },
                Step::Members(members) => member(&mut text, members),
                Step::Slot(key, field) if fields.has(*field) => {
                    member(&mut text, key);
                    values.push((text.len(), *field));
                }
                Step::Slot(..) => {}
            }
        }
        text.push(b'}');
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

#[derive(Default)]
struct Builder {
    steps: Vec<Step>,
    path: Vec<String>,
}

impl Builder {
    /// Closes and opens objects until `path` is the current one.
    fn enter(&mut self, path: &[&str]) {
        let common = self
            .path
            .iter()
            .zip(path)
            .take_while(|(a, b)| a == b)
            .count();
        for _ in common..self.path.len() {
            self.steps.push(Step::Close);
        }
        self.path.truncate(common);
        for part in path.iter().skip(common) {
            let mut key = Vec::new();
            json::string(&mut key, part);
            key.extend_from_slice(b":{");
            self.steps.push(Step::Open(key));
            self.path.push((*part).to_owned());
        }
    }

    /// Enters the object of a field; returns the field's own key.
    fn key(&mut self, name: &str) -> Vec<u8> {
        let parts: Vec<&str> = name.split('.').collect();
        let mut key = Vec::new();
        if let Some((last, path)) = parts.split_last() {
            self.enter(path);
            json::string(&mut key, last);
            key.push(b':');
        }
        key
    }

    fn member(&mut self, name: &str, value: &[u8]) {
        let mut member = self.key(name);
        member.extend_from_slice(value);
        if let Some(Step::Members(text)) = self.steps.last_mut() {
            text.push(b',');
            text.extend_from_slice(&member);
        } else {
            self.steps.push(Step::Members(member));
        }
    }

    fn slot(&mut self, name: &str, field: FieldId) {
        let key = self.key(name);
        self.steps.push(Step::Slot(key, field));
    }
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
        let template = Template::new(FIELDS, &leaves, statics);
        leaves.clear();
        for field in filled {
            leaves.integer(*field, 2);
        }
        String::from_utf8(template.render(&leaves)).unwrap()
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
