//! One record: its events and loose attributes, each attribute a document.

use std::borrow::Cow;

use ecs_model::{Catalogue, Leaves};
use misp_model::{Event, Item, Json, Object};

use crate::compact::Attributes;
use crate::facts::{self, EventFacts, FactsTable};
use crate::members::{self, Copier, Member};
use crate::original::{Around, Original, Source};
use crate::privacy::{self, Identities, Identity, Private};
use crate::problems::Problems;
use crate::{Document, Note, NoteKind, Outcome, Refused, Rejection, Tallies, tags};

/// How many other attributes of its object an attribute has as context.
const CONTEXT_LIMIT: usize = 100;

/// An attribute and what stands around it.
#[derive(Debug)]
pub struct Subject<'s, 'a> {
    /// The attribute.
    pub attribute: &'s Object<'a>,
    /// The event-level attribute of a pre-split record.
    pub beside: Option<&'s Object<'a>>,
    /// Its object, where it is in one.
    pub object: Option<&'s Object<'a>>,
    /// All attributes of its object, itself included.
    pub siblings: &'s [&'s Object<'a>],
    /// Where `event.original` comes from.
    pub source: Source<'s, 'a>,
    /// What a private attribute had before it was redacted.
    pub identity: Option<&'s Identity>,
}

impl<'a> Subject<'_, 'a> {
    /// The uuid that goes into the document's id; `None` if there is none.
    pub fn uuid(&self) -> Option<Cow<'_, str>> {
        self.text("uuid", |identity| &identity.uuid)
    }

    /// The value that goes into the document's id where no uuid does; `None` if there is none.
    pub fn value(&self) -> Option<Cow<'_, str>> {
        self.text("value", |identity| &identity.value)
    }

    fn text(
        &self,
        key: &str,
        before: impl Fn(&Identity) -> &Option<String>,
    ) -> Option<Cow<'_, str>> {
        match self.identity {
            Some(identity) => before(identity).as_deref().map(Cow::Borrowed),
            None => self
                .attribute
                .some(key)?
                .text()
                .filter(|text| !text.is_empty()),
        }
    }

    /// Copies members of the attributes beside this one: of one as they are (`one`),
    /// of several as lists (`several`). Says in notes what it left out.
    pub fn context(
        &self,
        one: &[Member],
        several: &[Member],
        private: Private,
        leaves: &mut Leaves<'a>,
        problems: &mut Problems,
    ) -> Context {
        let is_other = |other: &&&Object<'a>| !std::ptr::eq(**other, self.attribute);
        let mut others: Vec<_> = self.beside.into_iter().collect();
        others.extend(
            self.siblings
                .iter()
                .filter(is_other)
                .take(CONTEXT_LIMIT + 1)
                .copied(),
        );
        let mut left_out = 0;
        if others.len() > CONTEXT_LIMIT {
            others.truncate(CONTEXT_LIMIT);
            left_out = self.siblings.len().saturating_sub(CONTEXT_LIMIT + 1);
        }
        match others.as_slice() {
            [] => {}
            [other] => members::copy(one, other, leaves, problems),
            others => members::copy_lists(several, others, leaves, problems),
        }
        Context {
            left_out,
            redacted: others.iter().any(|other| private.is(other)),
        }
    }
}

/// What [`Subject::context`] did not copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// How many attributes are beyond the limit.
    pub left_out: usize,
    /// Was a value redacted?
    pub redacted: bool,
}

impl Context {
    /// The note `truncated`, if attributes were left out.
    pub fn truncated(self) -> Option<Note> {
        (self.left_out > 0).then(|| Note {
            kind: NoteKind::Truncated,
            field: "misp.context.attribute".to_owned(),
            text: format!(
                "{} other attributes of the object are left out",
                self.left_out
            ),
        })
    }
}

/// A document and what is counted of it.
#[derive(Debug)]
pub struct Made {
    /// The document.
    pub document: Document,
    /// `threat.indicator.type`
    pub indicator_type: Option<&'static str>,
}

/// What is kept from document to document.
#[derive(Debug)]
pub struct Scratch<'a> {
    /// The values of the document.
    pub leaves: Leaves<'a>,
    /// Copies the members of attributes.
    pub members: Copier<'a>,
    /// The keys of attributes, as `event.original` has them.
    pub attributes: Attributes<'a>,
}

impl Scratch<'_> {
    fn new<L: Layout>() -> Self {
        Self {
            leaves: Leaves::new(L::CATALOGUE),
            members: Copier::new(L::ATTRIBUTE),
            attributes: Attributes::default(),
        }
    }
}

/// What one mapping does with the parts of a record.
pub trait Layout {
    /// What all documents of one event share.
    type Head;

    /// The fields it can write.
    const CATALOGUE: Catalogue;

    /// The members of an attribute that it copies: [`Scratch::members`].
    const ATTRIBUTE: &'static [Member];

    /// The types whose values it redacts.
    fn private(&self) -> Private;

    /// The name of one entry of `Tag`, if the tag counts.
    fn tag(&self, tag: &Json<'_>) -> Option<String>;

    /// Prepares an event; `tags` are the names of its tags.
    fn head(&self, event: &Object<'_>, tags: &[String], now_ms: i64) -> Self::Head;

    /// The document of an attribute.
    fn attribute<'a>(
        &self,
        head: &Self::Head,
        subject: &Subject<'_, 'a>,
        scratch: &mut Scratch<'a>,
        now_ms: i64,
    ) -> Made;

    /// The document of an event without attributes.
    fn event<'a>(
        &self,
        head: &Self::Head,
        source: Source<'_, 'a>,
        scratch: &mut Scratch<'a>,
        now_ms: i64,
    ) -> Made;
}

/// Maps a record.
///
/// # Errors
/// When the record as a whole is not something to map.
pub fn map<L: Layout>(layout: &L, bytes: &[u8], now_ms: i64) -> Result<Outcome, Rejection> {
    let mut json = Json::parse(bytes).map_err(|error| Rejection::Malformed(error.to_string()))?;
    let (identities, redacted) = privacy::redact(&mut json, layout.private());
    let items = misp_model::items(&json)
        .map_err(|error| Rejection::Unsupported(format!("the record is {error}")))?;
    let none = Object::default();
    let mut run = Run::new(layout, &identities, now_ms);
    let is_page = json.as_object().is_none_or(|object| object.has("response"));
    let whole = Source::AsGiven((!redacted).then_some(bytes), &json);
    let mut loose: Option<Loose<'_, '_, L>> = None;
    for item in &items {
        match *item {
            Item::Event(event) => run.event(event, (!is_page).then_some(whole)),
            Item::Attribute {
                attribute,
                event,
                object,
            } => {
                let same = loose
                    .take()
                    .filter(|last| last.is_of(layout, event, attribute));
                let head = same.unwrap_or_else(|| {
                    run.facts.start_event();
                    Loose::new(layout, event, attribute, &none, now_ms)
                });
                run.loose(&head, attribute, object);
                loose = Some(head);
            }
            Item::Other => run.refuse(Rejection::Unsupported(
                "an entry of the page is neither an event nor an attribute".to_owned(),
            )),
        }
    }
    Ok(run.finish())
}

struct Run<'m, 'a, L> {
    layout: &'m L,
    identities: &'m Identities,
    now_ms: i64,
    scratch: Scratch<'a>,
    outcome: Outcome,
    tallies: Tallies,
    facts: FactsTable,
    /// The events seen, as far as it matters: the first, and whether there are others.
    event: Option<(String, bool)>,
}

impl<'m, 'a, L: Layout> Run<'m, 'a, L> {
    fn new(layout: &'m L, identities: &'m Identities, now_ms: i64) -> Self {
        Self {
            layout,
            identities,
            now_ms,
            scratch: Scratch::new::<L>(),
            outcome: Outcome::default(),
            tallies: Tallies::default(),
            facts: FactsTable::default(),
            event: None,
        }
    }

    /// The documents of an event; `whole` is the record, if it is nothing but this event.
    fn event(&mut self, event: Event<'_, 'a>, whole: Option<Source<'_, 'a>>) {
        let names = tags::of(event.0, |tag| self.layout.tag(tag));
        let entries: Vec<_> = facts::entries(event.0).iter().collect();
        let head = Prepared {
            layout: self.layout.head(event.0, &names, self.now_ms),
            facts: EventFacts::new(event.0, &entries, |tag| self.layout.tag(tag).is_some()),
        };
        self.facts.start_event();
        let original = Original::new(event.0);
        self.saw(uuid(event.0).as_deref());
        let before = self.count();
        if let Some(pair) = event.pre_split_pair() {
            let object = event.0.get("Object").and_then(Json::as_object);
            let around = Around::new(&original, object, Some(pair.beside));
            let subject = Subject {
                attribute: pair.attribute,
                beside: Some(pair.beside),
                object,
                siblings: &[],
                source: whole.unwrap_or(Source::Around(&around)),
                identity: self.identities.of(pair.attribute),
            };
            self.attribute(&head, &subject);
            return;
        }
        let attributes = event.attributes();
        let objects = event.objects();
        let in_objects = objects
            .iter()
            .flatten()
            .map(|object| Event::object_attributes(object).len());
        let single = attributes.len() + in_objects.sum::<usize>() <= 1;
        let whole = whole.filter(|_| single && event.is_pre_split());

        let around = Around::new(&original, None, None);
        let source = whole.unwrap_or(Source::Around(&around));
        self.attributes(&head, &attributes, None, &[], source);
        for entry in objects {
            match entry {
                Ok(object) => {
                    let entries = Event::object_attributes(object);
                    let siblings: Vec<_> = entries.iter().flatten().copied().collect();
                    let around = Around::new(&original, Some(object), None);
                    let source = whole.unwrap_or(Source::Around(&around));
                    self.attributes(&head, &entries, Some(object), &siblings, source);
                }
                Err(other) if other.is_empty() => {}
                Err(_) => self.refuse(not_an("Object")),
            }
        }
        if self.count() == before {
            let source = whole.unwrap_or(Source::Event(&original));
            let made = self
                .layout
                .event(&head.layout, source, &mut self.scratch, self.now_ms);
            let facts = self.facts.of_event(&head.facts);
            self.made("", made, facts);
        }
    }

    fn attributes(
        &mut self,
        head: &Prepared<L>,
        entries: &[misp_model::Entry<'_, 'a>],
        object: Option<&Object<'a>>,
        siblings: &[&Object<'a>],
        source: Source<'_, 'a>,
    ) {
        for entry in entries {
            match *entry {
                Ok(attribute) => {
                    let subject = Subject {
                        attribute,
                        beside: None,
                        object,
                        siblings,
                        source,
                        identity: self.identities.of(attribute),
                    };
                    self.attribute(head, &subject);
                }
                Err(_) => self.refuse(not_an("Attribute")),
            }
        }
    }

    fn loose(
        &mut self,
        loose: &Loose<'_, 'a, L>,
        attribute: &Object<'a>,
        object: Option<&Object<'a>>,
    ) {
        let of_event = loose.event.and_then(uuid);
        let uuid = of_event.or_else(|| attribute.some("event_uuid")?.text().map(Into::into));
        self.saw(uuid.as_deref());
        let around = Around::new(&loose.original, object, None);
        let subject = Subject {
            attribute,
            beside: None,
            object,
            siblings: &[],
            source: Source::Around(&around),
            identity: self.identities.of(attribute),
        };
        self.attribute(&loose.head, &subject);
    }

    fn attribute(&mut self, head: &Prepared<L>, subject: &Subject<'_, 'a>) {
        let made = self
            .layout
            .attribute(&head.layout, subject, &mut self.scratch, self.now_ms);
        let layout = self.layout;
        let counts = |tag: &Json<'_>| layout.tag(tag).is_some();
        let facts = self
            .facts
            .of_attribute(&head.facts, subject.attribute, counts);
        let attribute_type = subject.attribute.some("type").and_then(Json::text);
        self.made(&attribute_type.unwrap_or_default(), made, facts);
    }

    fn made(&mut self, attribute_type: &str, made: Made, facts: u32) {
        self.tallies.add(attribute_type, made.indicator_type);
        self.outcome.documents.push(Document {
            facts,
            ..made.document
        });
    }

    fn refuse(&mut self, reason: Rejection) {
        self.outcome.refused.push(Refused {
            attribute: None,
            reason,
        });
    }

    fn count(&self) -> usize {
        self.outcome.documents.len() + self.outcome.refused.len()
    }

    fn saw(&mut self, uuid: Option<&str>) {
        let uuid = uuid.unwrap_or_default();
        match &mut self.event {
            None => self.event = Some((uuid.to_owned(), false)),
            Some((first, several)) => *several |= first != uuid,
        }
    }

    fn finish(self) -> Outcome {
        let one = self.event.filter(|(_, several)| !several);
        Outcome {
            event: one.map(|(uuid, _)| uuid).unwrap_or_default(),
            tallies: self.tallies.finish(),
            facts: self.facts.finish(),
            ..self.outcome
        }
    }
}

/// An event that is ready for its attributes.
struct Prepared<L: Layout> {
    layout: L::Head,
    facts: EventFacts,
}

/// What loose attributes of one event share.
struct Loose<'j, 'a, L: Layout> {
    event: Option<&'j Object<'a>>,
    tags: Vec<String>,
    head: Prepared<L>,
    original: Original<'j, 'a>,
}

impl<'j, 'a, L: Layout> Loose<'j, 'a, L> {
    fn new(
        layout: &L,
        event: Option<&'j Object<'a>>,
        attribute: &Object<'_>,
        none: &'j Object<'a>,
        now_ms: i64,
    ) -> Self {
        let tags = Self::tags(layout, event, attribute);
        let of = event.unwrap_or(none);
        let inherited = facts::entries(attribute);
        let inherited = inherited.iter().filter(|tag| tags::is_inherited(tag));
        let entries: Vec<_> = facts::entries(of).iter().chain(inherited).collect();
        Self {
            event,
            head: Prepared {
                layout: layout.head(of, &tags, now_ms),
                facts: EventFacts::new(of, &entries, |tag| layout.tag(tag).is_some()),
            },
            tags,
            original: Original::new(of),
        }
    }

    /// The event's tags: in the event with `includeContext`, else among the attribute's own.
    fn tags(layout: &L, event: Option<&Object<'_>>, attribute: &Object<'_>) -> Vec<String> {
        let tag = |tag: &Json<'_>| layout.tag(tag);
        let own = event.map(|event| tags::of(event, tag)).unwrap_or_default();
        if own.is_empty() {
            tags::of(attribute, |entry| {
                tags::is_inherited(entry).then(|| tag(entry))?
            })
        } else {
            own
        }
    }

    fn is_of(&self, layout: &L, event: Option<&Object<'_>>, attribute: &Object<'_>) -> bool {
        self.event == event && self.tags == Self::tags(layout, event, attribute)
    }
}

fn uuid(event: &Object<'_>) -> Option<String> {
    event.some("uuid").and_then(Json::text).map(Into::into)
}

fn not_an(key: &str) -> Rejection {
    Rejection::Invalid(format!("an entry of `{key}` is not an object with members"))
}
