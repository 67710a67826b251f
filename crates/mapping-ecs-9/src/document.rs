//! One document.

use std::borrow::Cow;

use ecs_model::{Catalogue, FieldId, json, words};
use mapping::fingerprint::Fingerprint;
use mapping::members::{Member, copy};
use mapping::original::Source;
use mapping::privacy::Private;
use mapping::problems::Problems;
use mapping::record::{Layout, Made, Scratch, Subject};
use mapping::{Document, Note, NoteKind, Operation, REDACTED, id, tags, time};
use misp_model::{Json, Object};

use crate::Ecs9;
use crate::context::{self, Context};
use crate::event::{Head, SHOWN, Shared, TIMESTAMP, one_line};
use crate::fields::CATALOGUE;
use crate::galaxies::{self, Found, Named};
use crate::indicator::{self, Indicator};
use crate::members;
use crate::said;
use crate::settings::Clock;
use crate::types::{AttributeType, Rule};

const COMMENT: FieldId = CATALOGUE.id("misp.attribute.comment");
const CONTEXT_VALUE: FieldId = CATALOGUE.id("misp.context.attribute.value");
const DECAYED_AT: FieldId = CATALOGUE.id("misp.attribute.decayed_at");
const DESCRIPTION: FieldId = CATALOGUE.id("threat.indicator.description");
const INDICATOR_ID: FieldId = CATALOGUE.id("threat.indicator.id");
const KIND: FieldId = CATALOGUE.id("event.kind");
const LINE: FieldId = CATALOGUE.id("message");
const MESSAGE: FieldId = CATALOGUE.id("error.message");
const NAME: FieldId = CATALOGUE.id("threat.indicator.name");
const ORIGINAL: FieldId = CATALOGUE.id("event.original");
const REFERENCE: FieldId = CATALOGUE.id("threat.indicator.reference");
const TYPE: FieldId = CATALOGUE.id("threat.indicator.type");
const ATTRIBUTE_TIMESTAMP: FieldId = CATALOGUE.id("misp.attribute.timestamp");
const VALUE: FieldId = CATALOGUE.id("misp.attribute.value");

/// How this mapping makes documents of the parts of a record.
pub(crate) struct Documents<'m>(pub(crate) &'m Ecs9);

impl Layout for Documents<'_> {
    type Head = Head;

    const CATALOGUE: Catalogue = CATALOGUE;
    const ATTRIBUTE: &'static [Member] = members::ATTRIBUTE;

    fn private(&self) -> Private {
        self.0.private()
    }

    fn tag(&self, tag: &Json<'_>) -> Option<String> {
        (self.0.options.local_tags || !tags::is_local(tag)).then(|| tags::name(tag))?
    }

    fn head(&self, event: &Object<'_>, tags: &[String], now_ms: i64) -> Head {
        Head::new(self.0, event, tags, now_ms)
    }

    fn attribute<'a>(
        &self,
        head: &Head,
        subject: &Subject<'_, 'a>,
        scratch: &mut Scratch<'a>,
        now_ms: i64,
    ) -> Made {
        Maker::new(self, head, scratch, now_ms).attribute(subject)
    }

    fn event<'a>(
        &self,
        head: &Head,
        source: Source<'_, 'a>,
        scratch: &mut Scratch<'a>,
        now_ms: i64,
    ) -> Made {
        Maker::new(self, head, scratch, now_ms).event(source)
    }
}

/// Makes one document.
struct Maker<'m, 'a> {
    layout: &'m Documents<'m>,
    mapper: &'m Ecs9,
    head: &'m Head,
    scratch: &'m mut Scratch<'a>,
    problems: Problems,
    notes: Vec<Note>,
    now_ms: i64,
}

impl<'m, 'a> Maker<'m, 'a> {
    fn new(
        layout: &'m Documents<'m>,
        head: &'m Head,
        scratch: &'m mut Scratch<'a>,
        now_ms: i64,
    ) -> Self {
        scratch.leaves.clear();
        Self {
            layout,
            mapper: layout.0,
            head,
            scratch,
            problems: head.problems.clone(),
            notes: Vec::new(),
            now_ms,
        }
    }

    /// The document of an attribute.
    fn attribute(mut self, subject: &Subject<'_, 'a>) -> Made {
        let attribute = subject.attribute;
        let leaves = &mut self.scratch.leaves;
        let copier = &mut self.scratch.members;
        copier.copy(attribute, leaves, &mut self.problems);
        if let Some(object) = subject.object {
            copy(members::OBJECT, object, leaves, &mut self.problems);
            copy(members::META_CATEGORY, object, leaves, &mut self.problems);
        }
        let around = subject.context(
            if subject.beside.is_some() {
                members::BESIDE
            } else {
                members::SIBLINGS
            },
            members::SIBLINGS,
            self.mapper.private(),
            leaves,
            &mut self.problems,
        );
        self.notes.extend(around.truncated());
        if around.redacted {
            self.notes.push(redacted(CONTEXT_VALUE));
        }
        let decayed = said::decay(attribute, leaves, &mut self.problems);
        said::sightings(attribute, leaves);
        said::warnings(attribute, leaves, &mut self.problems);
        said::times(leaves);
        let kind = text(attribute, "type").unwrap_or_default();
        let known = AttributeType::of(&kind);
        let indicator_type = self.indicator(attribute, &kind, known);

        let time = |key| attribute.some(key).and_then(time::unix_ms);
        let (changed, changed_ms) = time::integer_and_ms(attribute.some("timestamp"));
        let (timestamp_ms, own) = self.timestamp(changed, changed_ms);
        let flag = |key| attribute.some(key).and_then(Json::boolean);
        let options = &self.mapper.options;
        let withdrawn = flag("deleted") == Some(true)
            || (options.only_to_ids && flag("to_ids") == Some(false))
            || (options.drop_decayed && decayed == Some(true));
        let valid_from = changed_ms.max(time("last_seen")).unwrap_or(timestamp_ms);
        let expires_ms = options
            .expiration_ms
            .map(|ms| valid_from.saturating_add(ms));
        if let Some(ms) = expires_ms {
            self.scratch.leaves.string(DECAYED_AT, &time::iso(ms));
        }
        let context = self.context(attribute, known);
        let shared = match context {
            Some(context) => {
                context.write(self.mapper.more_tags(), &mut self.scratch.leaves);
                self.head.bare(self.mapper)
            }
            None => &self.head.shared,
        };
        let uuid = text(attribute, "uuid");
        let document = Document {
            id: self.document_id(subject),
            attribute: uuid.map(Into::into),
            attribute_timestamp: changed,
            operation: if withdrawn {
                Operation::Delete
            } else {
                Operation::Put
            },
            modified_ms: self.modified_ms(changed_ms).unwrap_or(timestamp_ms),
            expires_ms,
            ..self.finish(shared, (timestamp_ms, own), subject.source, attribute)
        };
        Made {
            document,
            indicator_type,
        }
    }

    /// The document of an event without attributes.
    fn event(mut self, source: Source<'_, 'a>) -> Made {
        let (timestamp_ms, own) = self.timestamp(None, None);
        if let Some(page) = &self.head.page {
            self.scratch
                .leaves
                .set(REFERENCE, |out| json::append(out, page));
        }
        self.line(&["event without attributes"]);
        let document = Document {
            id: id::sha1_base64url(&[&self.head.uuid]),
            modified_ms: self.modified_ms(None).unwrap_or(timestamp_ms),
            ..self.finish(
                &self.head.shared,
                (timestamp_ms, own),
                source,
                &Object::default(),
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
        shared: &Shared,
        (timestamp_ms, timestamp_counts): (i64, bool),
        source: Source<'_, 'a>,
        attribute: &Object<'a>,
    ) -> Document {
        let whole = self.problems.is_empty();
        let Scratch {
            leaves, attributes, ..
        } = &mut *self.scratch;
        let kind: &[u8] = if whole {
            b"\"enrichment\""
        } else {
            b"\"pipeline_error\""
        };
        leaves.given(KIND, kind);
        self.problems.write(CATALOGUE, MESSAGE, leaves);
        if self.mapper.options.preserve_original || !whole {
            leaves.set(ORIGINAL, |out| {
                source.write(out, attribute, attributes);
            });
        }
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.problems.notes(CATALOGUE));
        let mut fingerprint: Fingerprint = shared.fingerprint;
        let moving = &self.mapper.moving;
        moving.add_others_to(&mut fingerprint, leaves, timestamp_counts);
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
            body: shared.prefilled.render(&self.mapper.template, leaves),
            notes,
        }
    }

    /// Type, value, name, description and reference of the indicator, and the line
    /// that a person reads.
    fn indicator(
        &mut self,
        attribute: &Object<'_>,
        kind: &str,
        known: Option<&AttributeType>,
    ) -> Option<&'static str> {
        let secret = self.mapper.private().covers(kind);
        let value = attribute.some("value");
        if let Some(Json::Array(_) | Json::Object(_)) = value
            && !secret
        {
            self.problems
                .add(VALUE, "the value is not a text: its JSON text is kept");
        }
        let value = value.and_then(Json::text).unwrap_or_default();
        let to_ids = attribute.some("to_ids").and_then(Json::boolean) == Some(true);
        if let Some(page) = &self.head.page {
            self.scratch
                .leaves
                .set(REFERENCE, |out| json::append(out, page));
        }
        let found = match known {
            _ if secret => {
                self.notes.push(redacted(VALUE));
                Indicator {
                    kind: None,
                    name: Cow::Borrowed(REDACTED),
                }
            }
            Some(known) => indicator::set(
                known,
                &value,
                to_ids,
                &self.mapper.options,
                &mut self.scratch.leaves,
                &mut self.problems,
            ),
            None => {
                self.notes.push(note(
                    NoteKind::UnmappedType,
                    TYPE,
                    format!("`{kind}` is not a type that this mapping knows"),
                ));
                Indicator {
                    kind: None,
                    name: Cow::Borrowed(value.as_ref()),
                }
            }
        };
        let leaves = &mut self.scratch.leaves;
        if let Some(kind) = found.kind {
            leaves.string(TYPE, kind);
        }
        match &found.name {
            Cow::Borrowed("") => {}
            // As long as the value: it is the value, or what stands in its place.
            Cow::Borrowed(name) if name.len() == value.len() && leaves.same(NAME, VALUE) => {}
            name => leaves.string(NAME, name),
        }
        if let Some(uuid) = text(attribute, "uuid") {
            leaves.set(INDICATOR_ID, |out| json::strings(out, [uuid]));
        }
        if text(attribute, "comment").is_some() && leaves.same(DESCRIPTION, COMMENT) {
            // As it stands.
        } else if let Some(info) = &self.head.info {
            leaves.set(DESCRIPTION, |out| json::append(out, info));
        }
        let shown = if secret { REDACTED } else { value.as_ref() };
        self.line(&[kind, " ", shown]);
        found.kind
    }

    /// The line that a person reads.
    fn line(&mut self, parts: &[&str]) {
        self.scratch.leaves.set(LINE, |out| {
            out.push(b'"');
            for part in parts {
                if part.len() <= SHOWN && words::is_plain(part) {
                    json::append(out, part.as_bytes());
                } else {
                    json::escaped(out, one_line(part).as_bytes());
                }
            }
            json::append(out, &self.head.origin);
            out.push(b'"');
        });
    }

    /// What the attribute's own tags, galaxies and value say over that of its event;
    /// `None` if they say nothing.
    fn context(&self, attribute: &Object<'_>, known: Option<&AttributeType>) -> Option<Context> {
        let named = known.and_then(|known| self.named(attribute, known));
        if named.is_none() && !context::has_own(attribute) {
            return None;
        }
        let names = tags::of(attribute, |tag| {
            (!tags::is_inherited(tag)).then(|| self.layout.tag(tag))?
        });
        let own = galaxies::clusters(attribute, self.mapper.options.local_tags);
        if named.is_none() && names.is_empty() && own.is_empty() {
            return None;
        }
        let mut clusters = own.clone();
        clusters.extend(self.head.clusters.iter().cloned());
        let context = Context::new(&names, &clusters).with(&own);
        Some(context.named(named).over(&self.head.context))
    }

    /// The group or software that the value itself names.
    fn named(&self, attribute: &Object<'_>, known: &AttributeType) -> Option<Found> {
        let named = || Some(Named::new(text(attribute, "value")?.into()));
        match known.rule {
            Rule::ThreatActor => named().map(Found::Group),
            Rule::MalwareType if self.mapper.options.malware_type => named().map(Found::Software),
            _ => None,
        }
    }

    /// `@timestamp`, and whether it is one that counts in the fingerprint. The last change of the
    /// attribute is given as MISP has it and in milliseconds.
    fn timestamp(&mut self, changed: Option<i64>, changed_ms: Option<i64>) -> (i64, bool) {
        let head = self.head;
        let (ms, counts) = match self.mapper.options.clock {
            Clock::Observed => return (self.now_ms, false),
            Clock::Publish if head.published_ms.is_some() => (head.published_ms, true),
            Clock::Publish | Clock::Attribute if changed_ms.is_some() => (changed_ms, true),
            Clock::Publish | Clock::Attribute => (head.timestamp_ms, false),
        };
        let ms = ms.unwrap_or_else(|| {
            self.problems.add(
                TIMESTAMP,
                "neither the attribute nor the event has a timestamp",
            );
            head.published_ms.or(head.day_ms).unwrap_or(self.now_ms)
        });
        let leaves = &mut self.scratch.leaves;
        let as_changed = changed_ms == Some(ms) && changed.is_some_and(time::is_seconds);
        if !(as_changed && leaves.same(TIMESTAMP, ATTRIBUTE_TIMESTAMP)) {
            leaves.string(TIMESTAMP, &time::iso(ms));
        }
        (ms, counts)
    }

    fn modified_ms(&self, changed_ms: Option<i64>) -> Option<i64> {
        changed_ms
            .max(self.head.timestamp_ms)
            .max(self.head.published_ms)
    }

    /// By the uuids of the event and the attribute; without that of the attribute by
    /// what else tells attributes apart.
    fn document_id(&self, subject: &Subject<'_, '_>) -> String {
        let attribute = subject.attribute;
        let of_attribute;
        let event = if self.head.uuid.is_empty() {
            of_attribute = text(attribute, "event_uuid").unwrap_or_default();
            of_attribute.as_ref()
        } else {
            &self.head.uuid
        };
        match subject.uuid() {
            Some(uuid) => id::sha1_base64url(&[event, &uuid]),
            None => {
                let kind = text(attribute, "type").unwrap_or_default();
                let value = subject.value().unwrap_or_default();
                id::sha1_base64url(&[event, &kind, &value])
            }
        }
    }
}

/// The text of a member, unless it is empty.
fn text<'j>(object: &'j Object<'_>, key: &str) -> Option<Cow<'j, str>> {
    let text = object.some(key)?.text()?;
    Some(text).filter(|text| !text.is_empty())
}

fn redacted(field: FieldId) -> Note {
    let text = "a personal or secret value is not passed on".to_owned();
    note(NoteKind::Redacted, field, text)
}

fn note(kind: NoteKind, field: FieldId, text: String) -> Note {
    Note {
        kind,
        field: CATALOGUE.spec(field).name.to_owned(),
        text,
    }
}
