//! One record: its events and loose attributes, each attribute a document.

use mapping::original::Frame;
use mapping::{Outcome, Refused, Rejection, Tallies, tags};
use misp_model::{Event, Item, Json, Object};

use crate::Ecs112;
use crate::document::{Made, Maker, Source, Subject};
use crate::event::EventParts;

/// Maps a record.
pub(crate) fn map(mapper: &Ecs112, bytes: &[u8], now_ms: i64) -> Result<Outcome, Rejection> {
    let json = Json::parse(bytes).map_err(|error| Rejection::Malformed(error.to_string()))?;
    let items = misp_model::items(&json)
        .map_err(|error| Rejection::Unsupported(format!("the record is {error}")))?;
    let mut run = Run::new(mapper, now_ms);
    let is_page = json.as_object().is_none_or(|object| object.has("response"));
    let whole = Source::AsGiven(bytes, &json);
    let mut loose: Option<Loose<'_, '_>> = None;
    for item in &items {
        match *item {
            Item::Event(event) => run.event(event, (!is_page).then_some(whole)),
            Item::Attribute {
                attribute,
                event,
                object,
            } => {
                let same = loose.take().filter(|last| last.is_of(event, attribute));
                let head = same.unwrap_or_else(|| Loose::new(mapper, event, attribute, now_ms));
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

struct Run<'m> {
    mapper: &'m Ecs112,
    now_ms: i64,
    maker: Maker<'m>,
    outcome: Outcome,
    tallies: Tallies,
    /// The events seen, as far as it matters: the first, and whether there are others.
    event: Option<(String, bool)>,
}

impl<'m> Run<'m> {
    fn new(mapper: &'m Ecs112, now_ms: i64) -> Self {
        Self {
            mapper,
            now_ms,
            maker: Maker::new(&mapper.options, now_ms),
            outcome: Outcome::default(),
            tallies: Tallies::default(),
            event: None,
        }
    }

    /// The documents of an event; `whole` is the record, if it is nothing but this event.
    fn event<'j>(&mut self, event: Event<'j, '_>, whole: Option<Source<'_, '_>>) {
        let names = tags::names(event.0);
        let parts = EventParts::new(self.mapper, event.0, &names, self.now_ms);
        self.saw(parts.uuid.as_deref());
        let before = self.count();
        if let Some(pair) = event.pre_split_pair() {
            let object = event.0.get("Object").and_then(Json::as_object);
            let frame = parts.text.as_ref().zip(object);
            let frame = frame.map(|(text, object)| text.object_frame(object, Some(pair.beside)));
            let subject = Subject {
                attribute: pair.attribute,
                beside: Some(pair.beside),
                siblings: &[],
                source: whole.unwrap_or(Source::Frame(frame.as_ref())),
            };
            self.attribute(&parts, &subject);
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

        let frame = parts.text.as_ref().map(|text| text.attribute_frame());
        let source = whole.unwrap_or(Source::Frame(frame.as_ref()));
        self.attributes(&parts, &attributes, &[], source);
        for entry in objects {
            match entry {
                Ok(object) => self.object(&parts, object, whole),
                Err(other) if other.is_empty() => {}
                Err(_) => self.refuse(not_an("Object")),
            }
        }
        if self.count() == before {
            let made = self
                .maker
                .event(&parts, whole.unwrap_or(Source::Frame(None)));
            self.made("", made);
        }
    }

    fn object(&mut self, parts: &EventParts, object: &Object<'_>, whole: Option<Source<'_, '_>>) {
        let entries = Event::object_attributes(object);
        let siblings: Vec<_> = entries.iter().flatten().copied().collect();
        let frame = parts
            .text
            .as_ref()
            .map(|text| text.object_frame(object, None));
        let source = whole.unwrap_or(Source::Frame(frame.as_ref()));
        self.attributes(parts, &entries, &siblings, source);
    }

    fn attributes<'a>(
        &mut self,
        parts: &EventParts,
        entries: &[misp_model::Entry<'_, 'a>],
        siblings: &[&Object<'a>],
        source: Source<'_, 'a>,
    ) {
        for entry in entries {
            match *entry {
                Ok(attribute) => {
                    let subject = Subject {
                        attribute,
                        beside: None,
                        siblings,
                        source,
                    };
                    self.attribute(parts, &subject);
                }
                Err(_) => self.refuse(not_an("Attribute")),
            }
        }
    }

    fn loose(&mut self, head: &Loose<'_, '_>, attribute: &Object<'_>, object: Option<&Object<'_>>) {
        let uuid = head.parts.uuid.as_deref().map(str::to_owned);
        let uuid = uuid.or_else(|| attribute.some("event_uuid")?.text().map(Into::into));
        self.saw(uuid.as_deref());
        let text = head.parts.text.as_ref().zip(object);
        let in_object = text.map(|(text, object)| text.object_frame(object, None));
        let frame = in_object.as_ref().or(head.frame.as_ref());
        let subject = Subject {
            attribute,
            beside: None,
            siblings: &[],
            source: Source::Frame(frame),
        };
        self.attribute(&head.parts, &subject);
    }

    fn attribute(&mut self, parts: &EventParts, subject: &Subject<'_, '_>) {
        let made = self.maker.attribute(parts, subject);
        let attribute_type = subject.attribute.some("type").and_then(Json::text);
        self.made(&attribute_type.unwrap_or_default(), made);
    }

    fn made(&mut self, attribute_type: &str, made: Made) {
        self.tallies.add(attribute_type, made.indicator_type);
        self.outcome.documents.push(made.document);
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
            ..self.outcome
        }
    }
}

/// What loose attributes of one event share.
struct Loose<'j, 'a> {
    event: Option<&'j Object<'a>>,
    tags: Vec<String>,
    parts: EventParts,
    frame: Option<Frame>,
}

impl<'j, 'a> Loose<'j, 'a> {
    fn new(
        mapper: &Ecs112,
        event: Option<&'j Object<'a>>,
        attribute: &Object<'_>,
        now_ms: i64,
    ) -> Self {
        let none = Object::default();
        let tags = Self::tags(event, attribute);
        let parts = EventParts::new(mapper, event.unwrap_or(&none), &tags, now_ms);
        let frame = parts.text.as_ref().map(|text| text.attribute_frame());
        Self {
            event,
            tags,
            parts,
            frame,
        }
    }

    /// The event's tags: in the event with `includeContext`, else among the attribute's own.
    fn tags(event: Option<&Object<'_>>, attribute: &Object<'_>) -> Vec<String> {
        let own = event.map(tags::names).unwrap_or_default();
        if own.is_empty() {
            tags::inherited_names(attribute)
        } else {
            own
        }
    }

    fn is_of(&self, event: Option<&Object<'_>>, attribute: &Object<'_>) -> bool {
        self.event == event && self.tags == Self::tags(event, attribute)
    }
}

fn not_an(key: &str) -> Rejection {
    Rejection::Invalid(format!("an entry of `{key}` is not an object with members"))
}
