//! The values of one document, before they are put in order.

use crate::field_set::FieldSet;
use crate::{Catalogue, FieldId};

/// Fields and their values as JSON text. Reused from document to document.
#[derive(Debug, Clone)]
pub struct Leaves<'a> {
    text: Vec<u8>,
    /// Where each value is, if the field is set.
    values: Vec<Value<'a>>,
    set: FieldSet,
}

#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    /// In the text, from here to there.
    Written(usize, usize),
    /// Where it came from.
    Given(&'a [u8]),
}

impl<'a> Leaves<'a> {
    /// None yet.
    pub fn new(catalogue: Catalogue) -> Self {
        Self {
            text: Vec::new(),
            values: vec![Value::Written(0, 0); catalogue.fields().len()],
            set: FieldSet::default(),
        }
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.text.clear();
        self.set.clear();
    }

    /// The same values, none of them borrowed.
    pub fn to_owned(&self, catalogue: Catalogue) -> Leaves<'static> {
        let mut owned = Leaves::new(catalogue);
        self.each_without(&FieldSet::default(), |field, value| {
            owned.set(field, |out| out.extend_from_slice(value));
        });
        owned
    }

    /// The fields that are set.
    pub(crate) fn fields(&self) -> &FieldSet {
        &self.set
    }

    /// Sets a field to what `write` appends; appending nothing leaves it absent.
    pub fn set(&mut self, field: FieldId, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        let end = self.text.len();
        if end == start {
            self.set.remove(field);
        } else {
            self.put(field, Value::Written(start, end));
        }
    }

    /// Sets a field to JSON text that stands elsewhere already.
    pub fn given(&mut self, field: FieldId, json: &'a [u8]) {
        self.put(field, Value::Given(json));
    }

    /// Sets a field to the value of another, if that has one; says whether it has.
    pub fn same(&mut self, field: FieldId, other: FieldId) -> bool {
        let value = self.values.get(other.index()).copied();
        let value = value.filter(|_| self.set.has(other));
        if let Some(value) = value {
            self.put(field, value);
        }
        value.is_some()
    }

    fn put(&mut self, field: FieldId, value: Value<'a>) {
        if let Some(known) = self.values.get_mut(field.index()) {
            *known = value;
            self.set.insert(field);
        }
    }

    /// Sets a field to a string.
    pub fn string(&mut self, field: FieldId, text: &str) {
        self.set(field, |out| crate::json::string(out, text));
    }

    /// Sets a field to an integer.
    pub fn integer(&mut self, field: FieldId, value: i64) {
        self.set(field, |out| crate::json::integer(out, value));
    }

    /// Sets a field to a flag.
    pub fn boolean(&mut self, field: FieldId, value: bool) {
        self.given(field, if value { b"true" } else { b"false" });
    }

    /// Takes a field's value away.
    pub fn remove(&mut self, field: FieldId) {
        self.set.remove(field);
    }

    /// The JSON text of a field; `None` if it is absent.
    pub fn get(&self, field: FieldId) -> Option<&[u8]> {
        self.set.has(field).then(|| self.at(field))?
    }

    /// The JSON text of a field that is set.
    pub(crate) fn at(&self, field: FieldId) -> Option<&[u8]> {
        match *self.values.get(field.index())? {
            Value::Written(start, end) => self.text.get(start..end),
            Value::Given(json) => Some(json),
        }
    }

    /// Does something with the fields that are set and not in `other`, in catalogue order.
    pub fn each_without(&self, other: &FieldSet, mut action: impl FnMut(FieldId, &[u8])) {
        self.set.each_without(other, |field| {
            action(field, self.at(field).unwrap_or_default());
        });
    }
}
