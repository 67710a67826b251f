//! The values of one document, before they are put in order.

use std::ops::Range;

use crate::field_set::FieldSet;
use crate::{Catalogue, FieldId};

/// Fields and their values as JSON text. Reused from document to document.
#[derive(Debug, Clone)]
pub struct Leaves {
    text: Vec<u8>,
    /// Where each value stands in `text`, if the field is set.
    spans: Vec<Range<usize>>,
    set: FieldSet,
    late: Option<FieldId>,
}

impl Leaves {
    /// None yet.
    pub fn new(catalogue: Catalogue) -> Self {
        Self {
            text: Vec::new(),
            spans: vec![0..0; catalogue.fields().len()],
            set: FieldSet::default(),
            late: None,
        }
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.text.clear();
        self.set.clear();
        self.late = None;
    }

    /// Leaves a field to the one who renders the document: for a value so long that
    /// it should be written only once. One field a document can be late.
    pub fn set_late(&mut self, field: FieldId) {
        self.set.insert(field);
        self.late = Some(field);
    }

    /// The fields that are set, or late.
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
        } else if let Some(span) = self.spans.get_mut(field.index()) {
            *span = start..end;
            self.set.insert(field);
        }
    }

    /// Sets a field to the value of another, if that has one.
    pub fn same(&mut self, field: FieldId, other: FieldId) {
        if self.set.has(other)
            && let Some(value) = self.spans.get(other.index()).cloned()
            && let Some(span) = self.spans.get_mut(field.index())
        {
            *span = value;
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
        self.set(field, |out| crate::json::boolean(out, value));
    }

    /// Takes a field's value away.
    pub fn remove(&mut self, field: FieldId) {
        self.set.remove(field);
    }

    /// The JSON text of a field; `None` if it is absent or late.
    pub fn get(&self, field: FieldId) -> Option<&[u8]> {
        (self.set.has(field) && self.late != Some(field)).then(|| self.at(field))?
    }

    fn at(&self, field: FieldId) -> Option<&[u8]> {
        self.text.get(self.spans.get(field.index())?.clone())
    }

    /// Does something with the fields that are set (a late one without its value) and not in
    /// `other`, in catalogue order.
    pub fn each_without(&self, other: &FieldSet, mut action: impl FnMut(FieldId, &[u8])) {
        self.set.each_without(other, |field| {
            action(field, self.get(field).unwrap_or_default());
        });
    }
}
