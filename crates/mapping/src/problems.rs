//! Values that did not fit their field: the rest of the document is mapped all the same.

use ecs_model::{Catalogue, FieldId, Leaves, json};
use misp_model::Json;

use crate::{Note, NoteKind};

/// How much of a value is repeated in a message, in characters.
const SHOWN: usize = 100;

/// One text for each such value.
#[derive(Debug, Clone, Default)]
pub struct Problems(Vec<(FieldId, String)>);

impl Problems {
    /// A value of MISP that is not what the field needs.
    pub fn misfit(&mut self, field: FieldId, value: &Json<'_>, expected: &str) {
        let shown = match value {
            Json::Array(_) => "a list".to_owned(),
            Json::Object(_) => "an object".to_owned(),
            scalar => {
                let text = scalar.text().unwrap_or_default();
                format!("`{}`", text.chars().take(SHOWN).collect::<String>())
            }
        };
        self.add(field, format!("{shown} is not {expected}"));
    }

    /// Anything else that keeps a field away.
    pub fn add(&mut self, field: FieldId, text: impl Into<String>) {
        self.0.push((field, text.into()));
    }

    /// Is there nothing to say?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets `message`, the field `error.message` of the catalogue, if there is anything
    /// to say.
    pub fn write(&self, catalogue: Catalogue, message: FieldId, leaves: &mut Leaves<'_>) {
        if !self.0.is_empty() {
            let text = |(field, text): &(FieldId, String)| {
                format!("{}: {text}", catalogue.spec(*field).name)
            };
            leaves.set(message, |out| json::strings(out, self.0.iter().map(text)));
        }
    }

    /// The same as notes.
    pub fn notes(&self, catalogue: Catalogue) -> Vec<Note> {
        let note = |(field, text): &(FieldId, String)| Note {
            kind: NoteKind::BadValue,
            field: catalogue.spec(*field).name.to_owned(),
            text: text.clone(),
        };
        self.0.iter().map(note).collect()
    }
}
