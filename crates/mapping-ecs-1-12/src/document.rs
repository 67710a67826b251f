//! One document.

use ecs_model::{FieldId, Leaves};
use mapping::original::{self, Frame};
use mapping::{Document, Note, NoteKind, Operation, id, time};
use misp_model::{Json, Object};

use crate::SECRETS;
use crate::event::{self, EventParts, TIMESTAMP};
use crate::fields::CATALOGUE;
use crate::indicator;
use crate::members;
use crate::problems::Problems;
use crate::settings::Options;
use crate::types::Rule;

const ORIGINAL: FieldId = CATALOGUE.id("event.original");
const CONTEXT: FieldId = CATALOGUE.id("misp.context.attribute.value");
const VALUE: FieldId = CATALOGUE.id("misp.attribute.value");
const FIRST_SEEN: FieldId = CATALOGUE.id("threat.indicator.first_seen");
const LAST_SEEN: FieldId = CATALOGUE.id("threat.indicator.last_seen");
const TYPE: FieldId = CATALOGUE.id("threat.indicator.type");

/// How many other attributes of its object an attribute has as context.
const CONTEXT_LIMIT: usize = 100;

/// Where `event.original` comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'s, 'a> {
    /// The whole record, as it was given.
    AsGiven(&'s [u8], &'s Json<'a>),
    /// The event around the attribute.
    Frame(Option<&'s Frame>),
}

/// An attribute and what stands around it.
pub(crate) struct Subject<'s, 'a> {
    pub(crate) attribute: &'s Object<'a>,
    /// The event-level attribute of a pre-split record; its uuid counts in the id.
    pub(crate) beside: Option<&'s Object<'a>>,
    /// All attributes of its object, itself included.
    pub(crate) siblings: &'s [&'s Object<'a>],
    pub(crate) source: Source<'s, 'a>,
}

/// A document and what is counted of it.
pub(crate) struct Made {
    pub(crate) document: Document,
    pub(crate) indicator_type: Option<&'static str>,
}

/// Makes documents; keeps its buffers from one to the next.
pub(crate) struct Maker<'m> {
    options: &'m Options,
    now_ms: i64,
    leaves: Leaves,
    body_size: usize,
}

impl<'m> Maker<'m> {
    pub(crate) fn new(options: &'m Options, now_ms: i64) -> Self {
        Self {
            options,
            now_ms,
            leaves: Leaves::new(CATALOGUE),
            body_size: 1024,
        }
    }

    /// The document of an attribute.
    pub(crate) fn attribute(&mut self, event: &EventParts, subject: &Subject<'_, '_>) -> Made {
        let attribute = subject.attribute;
        self.leaves.clear();
        let mut problems = event.problems.clone();
        let mut notes = Vec::new();
        members::copy(
            members::ATTRIBUTE,
            attribute,
            &mut self.leaves,
            &mut problems,
        );
        self.context(subject, &mut problems, &mut notes);
        for (key, field) in [("first_seen", FIRST_SEEN), ("last_seen", LAST_SEEN)] {
            if let Some(seen) = attribute.some(key) {
                match time::iso_text(seen) {
                    Some(text) => self.leaves.string(field, &text),
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
            || (self.options.only_to_ids && flag("to_ids") == Some(false));
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
                .options
                .expiration_ms
                .map(|ms| valid_from.saturating_add(ms)),
            ..self.finish(event, timestamp_ms, &problems, notes, |out| {
                match subject.source {
                    Source::AsGiven(bytes, json) => {
                        original::write_as_given(out, bytes, json, SECRETS)
                    }
                    Source::Frame(Some(frame)) => frame.write(out, attribute),
                    Source::Frame(None) => {}
                }
            })
        };
        Made {
            document,
            indicator_type: Some(indicator_type),
        }
    }

    /// The document of an event without attributes.
    pub(crate) fn event(&mut self, event: &EventParts, source: Source<'_, '_>) -> Made {
        self.leaves.clear();
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
                |out| match source {
                    Source::AsGiven(bytes, json) => {
                        original::write_as_given(out, bytes, json, SECRETS)
                    }
                    Source::Frame(_) => {
                        if let Some(text) = &event.text {
                            text.write_without_attribute(out);
                        }
                    }
                },
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
        original: impl Fn(&mut Vec<u8>),
    ) -> Document {
        problems.write(&mut self.leaves);
        if self.options.preserve_original {
            self.leaves.set_late(ORIGINAL);
        }
        notes.extend(problems.notes());
        let mut fingerprint = event.fingerprint;
        event::add_to(&mut fingerprint, &self.leaves);
        let mut body = Vec::with_capacity(self.body_size);
        event.template.render(&mut body, &self.leaves, original);
        self.body_size = body.len() + body.len() / 8;
        Document {
            id: String::new(),
            attribute: None,
            attribute_timestamp: None,
            operation: Operation::Put,
            dataset: None,
            timestamp_ms,
            modified_ms: timestamp_ms,
            expires_ms: None,
            fingerprint: fingerprint.finish(),
            body,
            notes,
        }
    }

    /// The other attributes of the object.
    fn context(
        &mut self,
        subject: &Subject<'_, '_>,
        problems: &mut Problems,
        notes: &mut Vec<Note>,
    ) {
        let is_other = |other: &&&Object<'_>| !std::ptr::eq(**other, subject.attribute);
        let mut others: Vec<_> = subject.beside.into_iter().collect();
        others.extend(
            subject
                .siblings
                .iter()
                .filter(is_other)
                .take(CONTEXT_LIMIT + 1)
                .copied(),
        );
        if others.len() > CONTEXT_LIMIT {
            others.truncate(CONTEXT_LIMIT);
            let left_out = subject.siblings.len().saturating_sub(CONTEXT_LIMIT + 1);
            let text = format!("{left_out} other attributes of the object are left out");
            notes.push(note(NoteKind::Truncated, "misp.context.attribute", text));
        }
        match others.as_slice() {
            [] => {}
            [one] => members::copy(members::CONTEXT, one, &mut self.leaves, problems),
            several => {
                members::copy_lists(members::CONTEXT, several, &mut self.leaves, problems);
            }
        }
        if others.iter().any(|other| SECRETS.is_secret(other)) {
            notes.push(redacted(CONTEXT));
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
        if SECRETS.is_secret(attribute) {
            notes.push(redacted(VALUE));
        }
        let value = attribute.some("value");
        if let Some(Json::Array(_) | Json::Object(_)) = value {
            problems.add(VALUE, "the value is not a text: its JSON text is kept");
        }
        let value = value.and_then(Json::text).unwrap_or_default();
        let indicator = indicator::set(rule, &value, &mut self.leaves, problems);
        if indicator.holds_value {
            self.leaves.remove(VALUE);
        }
        self.leaves.string(TYPE, indicator.kind);
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
        self.leaves.string(TIMESTAMP, &time::iso(ms));
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
    let uuids = [text(subject.beside, "uuid"), text(attribute, "uuid")];
    let named = [
        event.uuid.clone(),
        text(attribute, "type"),
        text(attribute, "value"),
    ];
    let parts: Vec<&str> = if uuids.iter().any(Option::is_some) {
        uuids.iter().flatten().map(String::as_str).collect()
    } else {
        named.iter().flatten().map(String::as_str).collect()
    };
    id::sha1_base64(&parts)
}

fn redacted(field: FieldId) -> Note {
    let text = "a private key is never passed on".to_owned();
    note(NoteKind::Redacted, CATALOGUE.spec(field).name, text)
}

fn note(kind: NoteKind, field: &str, text: String) -> Note {
    Note {
        kind,
        field: field.to_owned(),
        text,
    }
}
