//! What filters select by: the facts of each document, each distinct set once.

use std::borrow::Cow;

use misp_model::{Json, Object};

use crate::tags::{self, MachineTag};
use crate::{Facts, Tlp, confidence};

/// How many of the latest entries are searched for equal facts. An event of attributes with tags of
/// their own can have as many entries as attributes; the search must stay short.
const SEARCHED: usize = 64;

/// The facts that the documents of one event share.
#[derive(Debug)]
pub(crate) struct EventFacts {
    tags: Vec<String>,
    marking: Marking,
    organisation: Option<String>,
    organisation_uuid: Option<String>,
}

impl EventFacts {
    /// Reads the event that `tags` belong to; `counts` tells which tags the mapping reads markings
    /// from.
    pub(crate) fn new(
        event: &Object<'_>,
        tags: &[&Json<'_>],
        counts: impl Fn(&Json<'_>) -> bool,
    ) -> Self {
        let creator = event.some("Orgc").and_then(Json::as_object);
        let text = |key| {
            let text = creator?.some(key)?.text()?;
            Some(text.into_owned()).filter(|text| !text.is_empty())
        };
        Self {
            tags: names(tags).map(Cow::into_owned).collect(),
            marking: Marking::of(tags, counts),
            organisation: text("name"),
            organisation_uuid: text("uuid"),
        }
    }
}

/// What tags state about sharing and certainty.
#[derive(Debug, Clone, Copy, Default)]
struct Marking {
    tlp: Option<Tlp>,
    confidence: Option<u8>,
}

impl Marking {
    fn of(tags: &[&Json<'_>], counts: impl Fn(&Json<'_>) -> bool) -> Self {
        let counting: Vec<_> = tags.iter().copied().filter(|tag| counts(tag)).collect();
        let names: Vec<_> = names(&counting).map(Cow::into_owned).collect();
        Self {
            tlp: names.iter().filter_map(|name| tlp(name)).max(),
            confidence: confidence::of(&names),
        }
    }
}

/// The distinct facts of an outcome.
#[derive(Debug, Default)]
pub(crate) struct FactsTable {
    facts: Vec<Facts>,
    /// How many of an entry's tags are the attribute's own: they come first.
    own: Vec<usize>,
    /// Where the entries of the present event begin.
    start: usize,
}

impl FactsTable {
    /// Starts another event: its documents share no entry with those before.
    pub(crate) fn start_event(&mut self) {
        self.start = self.facts.len();
    }

    /// Returns the entry of an event without attributes.
    pub(crate) fn of_event(&mut self, event: &EventFacts) -> u32 {
        self.push(
            Facts {
                tags: event.tags.clone(),
                tlp: event.marking.tlp,
                organisation: event.organisation.clone(),
                organisation_uuid: event.organisation_uuid.clone(),
                confidence: event.marking.confidence,
                ..Facts::default()
            },
            0,
        )
    }

    /// Returns the entry of an attribute of this event.
    pub(crate) fn of_attribute(
        &mut self,
        event: &EventFacts,
        attribute: &Object<'_>,
        counts: impl Fn(&Json<'_>) -> bool,
    ) -> u32 {
        let text = |key| attribute.some(key).and_then(Json::text);
        let attribute_type = text("type");
        let category = text("category");
        let to_ids = attribute.some("to_ids").and_then(Json::boolean);
        let own: Vec<_> = entries(attribute)
            .iter()
            .filter(|tag| !tags::is_inherited(tag))
            .collect();
        let same = |(facts, count): (&Facts, &usize)| {
            facts.to_ids == to_ids
                && facts.attribute_type.as_deref() == attribute_type.as_deref()
                && facts.category.as_deref() == category.as_deref()
                && facts
                    .tags
                    .iter()
                    .take(*count)
                    .map(String::as_str)
                    .eq(names(&own))
        };
        let first = self.start.max(self.facts.len().saturating_sub(SEARCHED));
        let mut known = (first..).zip(self.facts.iter().zip(&self.own).skip(first));
        if let Some((index, _)) = known.find(|(_, entry)| same(*entry)) {
            return index_of(index);
        }
        let marking = if own.is_empty() {
            Marking::default()
        } else {
            Marking::of(&own, counts)
        };
        let mut tags: Vec<String> = names(&own).map(Cow::into_owned).collect();
        let count = tags.len();
        tags.extend(event.tags.iter().cloned());
        self.push(
            Facts {
                attribute_type: attribute_type.map(Cow::into_owned),
                category: category.map(Cow::into_owned),
                to_ids,
                tags,
                tlp: marking.tlp.or(event.marking.tlp),
                organisation: event.organisation.clone(),
                organisation_uuid: event.organisation_uuid.clone(),
                confidence: marking.confidence.or(event.marking.confidence),
            },
            count,
        )
    }

    fn push(&mut self, facts: Facts, own: usize) -> u32 {
        let index = self.facts.len();
        self.facts.push(facts);
        self.own.push(own);
        index_of(index)
    }

    pub(crate) fn finish(self) -> Vec<Facts> {
        self.facts
    }
}

/// The entries of `Tag`.
pub(crate) fn entries<'j, 'a>(holder: &'j Object<'a>) -> &'j [Json<'a>] {
    let entries = holder.some("Tag").and_then(Json::as_array);
    entries.unwrap_or_default()
}

fn names<'j>(tags: &'j [&'j Json<'_>]) -> impl Iterator<Item = Cow<'j, str>> {
    tags.iter().filter_map(|tag| tags::name_text(tag))
}

/// The marking that a tag states, whatever its case.
fn tlp(name: &str) -> Option<Tlp> {
    let tag = MachineTag::parse(name)?;
    if !tag.namespace.eq_ignore_ascii_case("tlp") {
        return None;
    }
    let marking = tag.predicate.trim();
    [
        ("white", Tlp::Clear),
        ("clear", Tlp::Clear),
        ("green", Tlp::Green),
        ("amber", Tlp::Amber),
        ("amber+strict", Tlp::AmberStrict),
        ("red", Tlp::Red),
    ]
    .into_iter()
    .find_map(|(name, tlp)| name.eq_ignore_ascii_case(marking).then_some(tlp))
}

fn index_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
