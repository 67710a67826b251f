//! Values that did not fit their field: the rest of the document is mapped all the same.

use ecs_model::{FieldId, Leaves, json};
use mapping::{Note, NoteKind};
use misp_model::Json;

use crate::fields::CATALOGUE;

const MESSAGE: FieldId = CATALOGUE.id("error.message");

/// How much of a value is repeated in a message, in characters.
const SHOWN: usize = 100;

/// One text for each such value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems(Vec<(FieldId, String)>);

impl Problems {
    /// A value of MISP that is not what the field needs.
    pub(crate) fn misfit(&mut self, field: FieldId, value: &Json<'_>, expected: &str) {
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
    pub(crate) fn add(&mut self, field: FieldId, text: impl Into<String>) {
        self.0.push((field, text.into()));
    }

    /// Sets `error.message`, if there is anything to say.
    pub(crate) fn write(&self, leaves: &mut Leaves) {
        if !self.0.is_empty() {
            let texts = self.0.iter().map(|(field, text)| message(*field, text));
            leaves.set(MESSAGE, |out| json::strings(out, texts));
        }
    }

    /// The same as notes.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let note = |(field, text): &(FieldId, String)| Note {
            kind: NoteKind::BadValue,
            field: CATALOGUE.spec(*field).name.to_owned(),
            text: text.clone(),
        };
        self.0.iter().map(note).collect()
    }
}

fn message(field: FieldId, text: &str) -> String {
    format!("{}: {text}", CATALOGUE.spec(field).name)
}
