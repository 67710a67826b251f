//! Translates between the plain types of a mapping and the generated ones.

use std::marker::PhantomData;

use baked_settings::{Block, Kind, overlay};
use mapping::Mapping;

use crate::generated::exports::misp_ecs::mapping::mapping as wit;

/// What `misp-ecs mapping bake` writes into a component.
#[used]
static SETTINGS: Block = Block::new(Kind::Mapping);

/// The component of a mapping.
#[derive(Debug)]
pub struct Shell<M>(PhantomData<M>);

/// The resource `mapper` of a mapping.
#[derive(Debug)]
pub struct MapperOf<M>(M);

impl<M: Mapping + 'static> wit::Guest for Shell<M> {
    type Mapper = MapperOf<M>;

    fn describe() -> wit::Description {
        let description = M::describe();
        wit::Description {
            name: description.name,
            version: description.version,
            ecs_version: description.ecs_version,
            settings_schema: description.settings_schema,
            fields: description.fields.into_iter().map(field).collect(),
            extra: description.extra,
        }
    }
}

impl<M: Mapping + 'static> wit::GuestMapper for MapperOf<M> {
    fn new(settings: Vec<u8>, origin: wit::Origin) -> Result<Self, wit::SettingsError> {
        crate::panics::leave_texts();
        let origin = mapping::Origin {
            name: origin.name,
            url: origin.url,
            static_fields: origin.static_fields,
        };
        let settings = overlay(SETTINGS.text(), settings);
        M::new(&settings, origin)
            .map(Self)
            .map_err(|error| match error {
                mapping::SettingsError::Malformed(text) => wit::SettingsError::Malformed(text),
                mapping::SettingsError::UnknownKey(text) => wit::SettingsError::UnknownKey(text),
                mapping::SettingsError::Invalid(text) => wit::SettingsError::Invalid(text),
            })
    }

    fn request(&self) -> String {
        self.0.request()
    }

    fn transform(
        &self,
        batch: Vec<Vec<u8>>,
        now_ms: i64,
    ) -> Vec<Result<wit::Outcome, wit::Rejection>> {
        batch
            .iter()
            .map(|record| {
                self.0
                    .transform(record, now_ms)
                    .map(outcome)
                    .map_err(rejection)
            })
            .collect()
    }
}

fn field(field: mapping::Field) -> wit::Field {
    wit::Field {
        name: field.name,
        data_type: field.data_type,
        origin: match field.origin {
            mapping::FieldOrigin::Ecs => wit::FieldOrigin::Ecs,
            mapping::FieldOrigin::Custom => wit::FieldOrigin::Custom,
        },
        source: field.source,
    }
}

fn outcome(outcome: mapping::Outcome) -> wit::Outcome {
    wit::Outcome {
        event: outcome.event,
        documents: outcome.documents.into_iter().map(document).collect(),
        refused: outcome
            .refused
            .into_iter()
            .map(|refused| wit::Refused {
                attribute: refused.attribute,
                reason: rejection(refused.reason),
            })
            .collect(),
        tallies: outcome
            .tallies
            .into_iter()
            .map(|tally| wit::Tally {
                attribute_type: tally.attribute_type,
                indicator_type: tally.indicator_type,
                count: tally.count,
            })
            .collect(),
        facts: outcome.facts.into_iter().map(facts).collect(),
    }
}

fn facts(facts: mapping::Facts) -> wit::Facts {
    wit::Facts {
        attribute_type: facts.attribute_type,
        category: facts.category,
        to_ids: facts.to_ids,
        tags: facts.tags,
        tlp: facts.tlp.map(|tlp| match tlp {
            mapping::Tlp::Clear => wit::Tlp::Clear,
            mapping::Tlp::Green => wit::Tlp::Green,
            mapping::Tlp::Amber => wit::Tlp::Amber,
            mapping::Tlp::AmberStrict => wit::Tlp::AmberStrict,
            mapping::Tlp::Red => wit::Tlp::Red,
        }),
        organisation: facts.organisation,
        organisation_uuid: facts.organisation_uuid,
        confidence: facts.confidence,
    }
}

fn document(document: mapping::Document) -> wit::Document {
    wit::Document {
        id: document.id,
        attribute: document.attribute,
        attribute_timestamp: document.attribute_timestamp,
        operation: match document.operation {
            mapping::Operation::Put => wit::Operation::Put,
            mapping::Operation::Delete => wit::Operation::Delete,
        },
        dataset: document.dataset,
        timestamp_ms: document.timestamp_ms,
        modified_ms: document.modified_ms,
        expires_ms: document.expires_ms,
        facts: document.facts,
        fingerprint: document.fingerprint,
        body: document.body,
        notes: document.notes.into_iter().map(note).collect(),
    }
}

fn note(note: mapping::Note) -> wit::Note {
    wit::Note {
        kind: match note.kind {
            mapping::NoteKind::UnmappedType => wit::NoteKind::UnmappedType,
            mapping::NoteKind::BadValue => wit::NoteKind::BadValue,
            mapping::NoteKind::Redacted => wit::NoteKind::Redacted,
            mapping::NoteKind::Truncated => wit::NoteKind::Truncated,
            mapping::NoteKind::Other => wit::NoteKind::Other,
        },
        field: note.field,
        text: note.text,
    }
}

fn rejection(rejection: mapping::Rejection) -> wit::Rejection {
    match rejection {
        mapping::Rejection::Malformed(text) => wit::Rejection::Malformed(text),
        mapping::Rejection::Unsupported(text) => wit::Rejection::Unsupported(text),
        mapping::Rejection::Invalid(text) => wit::Rejection::Invalid(text),
        mapping::Rejection::Other(text) => wit::Rejection::Other(text),
    }
}
