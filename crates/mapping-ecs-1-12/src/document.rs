//! One document.

use std::borrow::Cow;

use ecs_model::{Catalogue, FieldId};
use mapping::members::Member;
use mapping::original::Source;
use mapping::privacy::Private;
use mapping::problems::Problems;
use mapping::record::{Layout, Made, Scratch, Subject};
use mapping::{Document, Note, NoteKind, Operation, id, tags, time};
use misp_model::{Json, Object};

use crate::Ecs112;
use crate::event::{EventParts, TIMESTAMP};
use crate::fields::CATALOGUE;
use crate::indicator;
use crate::members;
use crate::types::Rule;

const MESSAGE: FieldId = CATALOGUE.id("error.message");
const ORIGINAL: FieldId = CATALOGUE.id("event.original");
const CONTEXT: FieldId = CATALOGUE.id("misp.context.attribute.value");
const VALUE: FieldId = CATALOGUE.id("misp.attribute.value");
const FIRST_SEEN: FieldId = CATALOGUE.id("threat.indicator.first_seen");
const LAST_SEEN: FieldId = CATALOGUE.id("threat.indicator.last_seen");
const TYPE: FieldId = CATALOGUE.id("threat.indicator.type");

/// How this mapping makes documents of the parts of a record.
pub(crate) struct Documents<'m>(pub(crate) &'m Ecs112);

impl Layout for Documents<'_> {
    type Head = EventParts;

    const CATALOGUE: Catalogue = CATALOGUE;
    const ATTRIBUTE: &'static [Member] = members::ATTRIBUTE;

    fn private(&self) -> Private {
        self.0.private()
    }

    fn tag(&self, tag: &Json<'_>) -> Option<String> {
        tags::name(tag).map(|name| tags::clean(&name))
    }

    fn head(&self, event: &Object<'_>, tags: &[String], now_ms: i64) -> EventParts {
        EventParts::new(self.0, event, tags, now_ms)
    }

    fn attribute<'a>(
        &self,
        head: &EventParts,
        subject: &Subject<'_, 'a>,
        scratch: &mut Scratch<'a>,
        now_ms: i64,
    ) -> Made {
        Maker::new(self.0, scratch, now_ms).attribute(head, subject)
    }

    fn event<'a>(
        &self,
        head: &EventParts,
        source: Source<'_, 'a>,
        scratch: &mut Scratch<'a>,
        now_ms: i64,
    ) -> Made {
        Maker::new(self.0, scratch, now_ms).event(head, source)
    }
}

/// Makes one document.
struct Maker<'m, 'a> {
    mapper: &'m Ecs112,
    now_ms: i64,
    scratch: &'m mut Scratch<'a>,
}

impl<'m, 'a> Maker<'m, 'a> {
    fn new(mapper: &'m Ecs112, scratch: &'m mut Scratch<'a>, now_ms: i64) -> Self {
        scratch.leaves.clear();
        Self {
            mapper,
            now_ms,
            scratch,
        }
    }

    /// The document of an attribute.
    fn attribute(&mut self, event: &EventParts, subject: &Subject<'_, 'a>) -> Made {
        let attribute = subject.attribute;
        let mut problems = event.problems.clone();
        let mut notes = Vec::new();
        let leaves = &mut self.scratch.leaves;
        let copier = &mut self.scratch.members;
        copier.copy(attribute, leaves, &mut problems);
        let context = subject.context(
            members::CONTEXT,
            members::CONTEXT,
            self.mapper.private(),
            &mut self.scratch.leaves,
            &mut problems,
        );
        notes.extend(context.truncated());
        notes.extend(context.redacted.then(|| redacted(CONTEXT)));
        for (key, field) in [("first_seen", FIRST_SEEN), ("last_seen", LAST_SEEN)] {
            if let Some(seen) = attribute.some(key) {
                match time::iso_text(seen) {
                    Some(text) => self.scratch.leaves.string(field, &text),
                    None => problems.misfit(field, seen, "a time"),
                }
            }
        }
        let indicator_type = self.indicator(attribute, &mut problems, &mut notes);

        let time = |key| attribute.some(key).and_then(time::unix_ms);
        let changed_ms = time("timestamp");
        let timestamp_ms = self.timestamp(event, changed_ms, &mut problems);
        let text = |key| {
            attribute
                .some(key)
                .and_then(Json::text)
                .filter(|text| !text.is_empty())
        };
        let flag = |key| attribute.some(key).and_then(Json::boolean);
        let withdrawn = flag("deleted") == Some(true)
            || (self.mapper.options.only_to_ids && flag("to_ids") == Some(false));
        let valid_from = changed_ms.max(time("last_seen")).unwrap_or(timestamp_ms);
        let document = Document {
            id: document_id(event, subject),
            attribute: text("uuid").map(Into::into),
            attribute_timestamp: attribute.some("timestamp").and_then(Json::integer),
            operation: if withdrawn {
                Operation::Delete
            } else {
                Operation::Put
            },
            modified_ms: modified_ms(event, changed_ms).unwrap_or(timestamp_ms),
            expires_ms: self
                .mapper
                .options
                .expiration_ms
                .map(|ms| valid_from.saturating_add(ms)),
            ..self.finish(
                event,
                timestamp_ms,
                &problems,
                notes,
                (subject.source, attribute),
            )
        };
        Made {
            document,
            indicator_type: Some(indicator_type),
        }
    }

    /// The document of an event without attributes.
    fn event(&mut self, event: &EventParts, source: Source<'_, 'a>) -> Made {
        let mut problems = event.problems.clone();
        let timestamp_ms = self.timestamp(event, None, &mut problems);
        let id = id::sha1_base64(&[event.uuid.as_deref().unwrap_or_default()]);
        let document = Document {
            id,
            modified_ms: modified_ms(event, None).unwrap_or(timestamp_ms),
            ..self.finish(
                event,
                timestamp_ms,
                &problems,
                Vec::new(),
                (source, &Object::default()),
            )
        };
        Made {
            document,
            indicator_type: None,
        }
    }

    /// The body, its fingerprint, and the time: what every document has.
    fn finish(
        &mut self,
        event: &EventParts,
        timestamp_ms: i64,
        problems: &Problems,
        mut notes: Vec<Note>,
        (source, attribute): (Source<'_, 'a>, &Object<'a>),
    ) -> Document {
        let Scratch {
            leaves, attributes, ..
        } = &mut *self.scratch;
        problems.write(CATALOGUE, MESSAGE, leaves);
        if self.mapper.options.preserve_original {
            leaves.set(ORIGINAL, |out| source.write(out, attribute, attributes));
        }
        notes.extend(problems.notes(CATALOGUE));
        let mut fingerprint = event.fingerprint;
        self.mapper.counting.add_to(&mut fingerprint, leaves);
        Document {
            id: String::new(),
            attribute: None,
            attribute_timestamp: None,
            operation: Operation::Put,
            dataset: None,
            timestamp_ms,
            modified_ms: timestamp_ms,
            expires_ms: None,
            facts: 0,
            fingerprint: fingerprint.finish(),
            body: event.prefilled.render(&self.mapper.template, leaves),
            notes,
        }
    }

    /// The type and the value of the indicator.
    fn indicator(
        &mut self,
        attribute: &Object<'_>,
        problems: &mut Problems,
        notes: &mut Vec<Note>,
    ) -> &'static str {
        let attribute_type = attribute
            .some("type")
            .and_then(Json::text)
            .unwrap_or_default();
        let rule = Rule::of(&attribute_type);
        if rule == Rule::Unknown {
            let text = format!("`{attribute_type}` has no indicator type");
            notes.push(note(
                NoteKind::UnmappedType,
                CATALOGUE.spec(TYPE).name,
                text,
            ));
        }
        if self.mapper.private().is(attribute) {
            notes.push(redacted(VALUE));
        }
        let value = attribute.some("value");
        if let Some(Json::Array(_) | Json::Object(_)) = value {
            problems.add(VALUE, "the value is not a text: its JSON text is kept");
        }
        let value = value.and_then(Json::text).unwrap_or_default();
        let indicator = indicator::set(rule, &value, &mut self.scratch.leaves, problems);
        if indicator.holds_value {
            self.scratch.leaves.remove(VALUE);
        }
        self.scratch.leaves.string(TYPE, indicator.kind);
        indicator.kind
    }

    /// `@timestamp`: the event's; else the attribute's; else whatever else there is.
    fn timestamp(
        &mut self,
        event: &EventParts,
        changed_ms: Option<i64>,
        problems: &mut Problems,
    ) -> i64 {
        if let Some(ms) = event.timestamp_ms {
            return ms;
        }
        let ms = changed_ms.unwrap_or_else(|| {
            problems.add(
                TIMESTAMP,
                "neither the event nor the attribute has a timestamp",
            );
            let published = event.published_ms.filter(|ms| *ms > 0);
            published.or(event.day_ms).unwrap_or(self.now_ms)
        });
        self.scratch.leaves.string(TIMESTAMP, &time::iso(ms));
        ms
    }
}

fn modified_ms(event: &EventParts, changed_ms: Option<i64>) -> Option<i64> {
    changed_ms.max(event.timestamp_ms).max(event.published_ms)
}

/// By the uuids; without any, by what else tells attributes apart.
fn document_id(event: &EventParts, subject: &Subject<'_, '_>) -> String {
    let text = |object: Option<&Object<'_>>, key| {
        let text = object?.some(key)?.text()?.into_owned();
        Some(text).filter(|text| !text.is_empty())
    };
    let attribute = Some(subject.attribute);
    let own = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    let uuids = [text(subject.beside, "uuid"), own(subject.uuid())];
    let named = [
        event.uuid.clone(),
        text(attribute, "type"),
        own(subject.value()),
    ];
    let parts: Vec<&str> = if uuids.iter().any(Option::is_some) {
        uuids.iter().flatten().map(String::as_str).collect()
    } else {
        named.iter().flatten().map(String::as_str).collect()
    };
    id::sha1_base64(&parts)
}

fn redacted(field: FieldId) -> Note {
    let text = "a personal or secret value is not passed on".to_owned();
    note(NoteKind::Redacted, CATALOGUE.spec(field).name, text)
}

fn note(kind: NoteKind, field: &str, text: String) -> Note {
    Note {
        kind,
        field: field.to_owned(),
        text,
    }
}
