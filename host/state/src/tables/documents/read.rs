//! What is known of documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pipeline::{Delivery, DueCounts, Fate, Held, MappingIdentity, OutputKey, Remembered};

use super::block::{self, Entry, Hold};
use super::blocks::{BLOCKS, DUE, Seen};
use super::document::Document;
use crate::attribute_key::AttributeKey;
use crate::error::Trouble;
use crate::precedence::Ranks;
use crate::tables::names::{self, Kind};
use crate::transaction::Reading;

pub(crate) fn remembered(
    transaction: &Reading,
    instance: &str,
    output: &OutputKey,
    documents: &[Delivery],
) -> Result<Vec<Option<Remembered>>, Trouble> {
    let Some(output) = names::find(transaction, Kind::Output, &names::of_output(output))? else {
        return Ok(vec![None; documents.len()]);
    };
    let ranks = transaction.ranks()?;
    let rank = ranks.of_name(instance);
    // An instance that has never written here (0 is nobody's number) may bring what another has.
    let instance = names::find(transaction, Kind::Instance, instance)?.unwrap_or(0);
    let mut blocks = Seen::open(transaction, output)?;
    let mut last: Option<(&str, u32)> = None;
    let mut mappings = Mappings::default();
    let mut found = Vec::with_capacity(documents.len());
    for delivery in documents {
        let id = delivery.document.id.as_str();
        let event = match last {
            Some((uuid, number)) if uuid == &*delivery.event => number,
            _ => {
                let number = names::find(transaction, Kind::Event, &delivery.event)?;
                // 0 is nobody's number.
                let number = number.unwrap_or(0);
                last = Some((&delivery.event, number));
                number
            }
        };
        let attribute = AttributeKey::new(delivery.document.attribute.as_deref());
        let fingerprint = blocks
            .find(event, id)?
            .and_then(|entry| entry.hold(instance, attribute.bytes()))
            .and_then(|hold| hold.fingerprint);
        let Some(document) = blocks.document(event, id)? else {
            found.push(None);
            continue;
        };
        found.push(Some(Remembered {
            places: mappings.all(transaction, &document.places)?,
            revision: document.revision,
            content: document.content,
            fate: document.fate,
            // Nobody's copy, or that of an instance over which this one takes precedence.
            fingerprint: fingerprint.filter(|_| {
                let is_before = || Ranks::is_before(rank, ranks.of(document.copy_of));
                document.copy_of == instance || (document.copy_of != 0 && !is_before())
            }),
            others: document.wanted_by_others((instance, event), &ranks),
            overruled: document.is_wanted_before(rank, &ranks),
        }));
    }
    Ok(found)
}

/// What is known of a document at an output, whoever holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDocument {
    /// What became of it.
    pub fate: Fate,
    /// The write version of what was sent last.
    pub version: u64,
    /// The names of the mappings under which the output may have it.
    pub mappings: Vec<String>,
    /// The hash of what the output stores, where that is known.
    pub hash: Option<u64>,
}

/// What is known of these documents, in order.
pub(crate) fn known(
    transaction: &Reading,
    output: &OutputKey,
    ids: &[String],
) -> Result<Vec<Option<KnownDocument>>, Trouble> {
    let Some(output) = names::find(transaction, Kind::Output, &names::of_output(output))? else {
        return Ok(vec![None; ids.len()]);
    };
    let mut blocks = Seen::open(transaction, output)?;
    let mut mappings = Mappings::default();
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        blocks.forget_much();
        // Whichever event has it.
        let Some(document) = blocks.document(0, id)? else {
            found.push(None);
            continue;
        };
        let hash = document.hash;
        let places = mappings.all(transaction, &document.places)?;
        found.push(Some(KnownDocument {
            fate: document.fate,
            version: document.version,
            mappings: places.iter().map(|mapping| mapping.name.clone()).collect(),
            hash,
        }));
    }
    Ok(found)
}

/// The mappings that were looked up last.
#[derive(Debug, Default)]
struct Mappings(BTreeMap<u32, Arc<MappingIdentity>>);

impl Mappings {
    fn all(
        &mut self,
        transaction: &Reading,
        numbers: &[u32],
    ) -> Result<Vec<Arc<MappingIdentity>>, Trouble> {
        let mut found = Vec::with_capacity(numbers.len());
        for number in numbers {
            let known = match self.0.get(number) {
                Some(known) => Arc::clone(known),
                None => {
                    let mapping = Arc::new(names::mapping(transaction, *number)?);
                    self.0.insert(*number, Arc::clone(&mapping));
                    mapping
                }
            };
            found.push(known);
        }
        Ok(found)
    }
}

/// Reads what an instance holds at an output.
pub(crate) struct Reader<'t> {
    transaction: &'t Reading,
    blocks: Seen,
    mappings: Mappings,
    ranks: Ranks,
    instance: u32,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(
        transaction: &'t Reading,
        (output, instance): (u32, u32),
    ) -> Result<Self, Trouble> {
        Ok(Self {
            transaction,
            blocks: Seen::open(transaction, output)?,
            mappings: Mappings::default(),
            ranks: transaction.ranks()?,
            instance,
        })
    }

    /// What is held in an event under an id, by an attribute. `others`: another attribute of the
    /// event wants it to be there.
    pub(crate) fn held(
        &mut self,
        event: u32,
        id: &str,
        attribute: &[u8],
        others: bool,
    ) -> Result<Held, Trouble> {
        self.blocks.forget_much();
        let document = self.blocks.document(event, id)?;
        Ok(Held {
            id: id.to_owned(),
            event: names::text(self.transaction, event)?,
            attribute: AttributeKey::text(attribute),
            fate: document.map_or(Fate::Deleted, |known| known.fate),
            places: match document {
                Some(known) => self.mappings.all(self.transaction, &known.places)?,
                None => Vec::new(),
            },
            delete_revision: document.map_or(1, Document::revision_of_delete),
            others: others
                || document.is_some_and(|known| {
                    known.wanted_by_others((self.instance, event), &self.ranks)
                }),
        })
    }

    /// As [`Self::held`], by whatever other attribute of this instance holds it, too.
    pub(crate) fn held_by_one(
        &mut self,
        event: u32,
        id: &str,
        attribute: &[u8],
    ) -> Result<Held, Trouble> {
        let entry = self.blocks.find(event, id)?;
        let others = entry.is_some_and(|entry| entry.is_held_beside(self.instance, attribute));
        self.held(event, id, attribute, others)
    }

    /// What became of the document that an event knows by this entry, and when it expires.
    pub(crate) fn fate(
        &mut self,
        event: u32,
        entry: &Entry,
    ) -> Result<(Fate, Option<i64>), Trouble> {
        if let Some(document) = &entry.document {
            return Ok((document.fate, document.expires_ms));
        }
        self.blocks.forget_much();
        let document = self.blocks.document(event, &entry.id)?;
        Ok(document.map_or((Fate::Deleted, None), |known| {
            (known.fate, known.expires_ms)
        }))
    }

    /// The document of an event itself.
    pub(crate) fn without_attribute(&mut self, event: u32) -> Result<Vec<Held>, Trouble> {
        let mut found = Vec::new();
        for row in rows(self.transaction, self.blocks.output(), Some(event))? {
            for entry in row?.entries {
                let mut holds = entry.holds_of(self.instance);
                if holds.any(|hold| hold.attribute.is_empty()) {
                    found.push(self.held_by_one(event, &entry.id, &[])?);
                }
            }
        }
        Ok(found)
    }
}

/// May another output have the document of an event without attributes?
pub(crate) fn is_there_elsewhere(
    transaction: &Reading,
    (here, instance): (u32, u32),
    event: u32,
) -> Result<bool, Trouble> {
    for output in names::outputs(transaction)? {
        if output == here {
            continue;
        }
        let mut reader = Reader::new(transaction, (output, instance))?;
        let held = reader.without_attribute(event)?;
        if held.iter().any(|held| held.fate.may_be_there()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A row of documents.
pub(crate) struct Row {
    pub(crate) output: u32,
    pub(crate) event: u32,
    pub(crate) entries: Vec<Entry>,
}

/// The rows of an output, of one event or of all.
pub(crate) fn rows(
    transaction: &Reading,
    output: u32,
    event: Option<u32>,
) -> Result<impl Iterator<Item = Result<Row, Trouble>> + use<>, Trouble> {
    match event {
        Some(event) => between(
            transaction,
            (output, event),
            (output, event.saturating_add(1)),
        ),
        None => between(transaction, (output, 0), (output.saturating_add(1), 0)),
    }
}

/// The rows of an output, from an event on.
fn rows_from(
    transaction: &Reading,
    output: u32,
    event: u32,
) -> Result<impl Iterator<Item = Result<Row, Trouble>> + use<>, Trouble> {
    between(transaction, (output, event), (output.saturating_add(1), 0))
}

fn between(
    transaction: &Reading,
    (output, event): (u32, u32),
    to: (u32, u32),
) -> Result<impl Iterator<Item = Result<Row, Trouble>> + use<>, Trouble> {
    let (from, to) = ((output, event, ""), (to.0, to.1, ""));
    let rows = transaction.open_table(BLOCKS)?.range(from..to)?;
    Ok(rows.map(|entry| {
        let (key, row) = entry?;
        let (output, event, _) = key.value();
        let entries = block::read(row.value())?;
        Ok(Row {
            output,
            event,
            entries,
        })
    }))
}

/// Documents of an event that were not seen since `version`.
pub(crate) fn older(
    transaction: &Reading,
    place: (u32, u32),
    event: &str,
    version: u64,
    limit: usize,
) -> Result<Vec<Held>, Trouble> {
    let Some(number) = names::find(transaction, Kind::Event, event)? else {
        return Ok(Vec::new());
    };
    let mut reader = Reader::new(transaction, place)?;
    let mut found = Vec::new();
    for row in rows(transaction, place.0, Some(number))? {
        for entry in row?.entries {
            // One of several attributes that want it is let go of without a word.
            let mut others = entry.holds_of(place.1).any(|hold| hold.seen >= version);
            for hold in entry.holds_of(place.1).filter(|hold| hold.seen < version) {
                found.push(reader.held(number, &entry.id, &hold.attribute, others)?);
                others = true;
            }
        }
        if found.len() >= limit {
            found.truncate(limit);
            break;
        }
    }
    Ok(found)
}

/// Documents that an instance holds, of an event and those after it.
pub(crate) fn held(
    transaction: &Reading,
    place: (u32, u32),
    from: Option<&str>,
    limit: usize,
) -> Result<Vec<Held>, Trouble> {
    let from = match from {
        Some(event) => names::find(transaction, Kind::Event, event)?.unwrap_or(0),
        None => 0,
    };
    let mut reader = Reader::new(transaction, place)?;
    let mut found = Vec::new();
    for row in rows_from(transaction, place.0, from)? {
        let row = row?;
        for entry in &row.entries {
            let mut others = false;
            for hold in entry.holds_of(place.1) {
                found.push(reader.held(row.event, &entry.id, &hold.attribute, others)?);
                others = true;
            }
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Documents of this instance's copy that have stopped being valid.
pub(crate) fn due(
    transaction: &Reading,
    (output, instance): (u32, u32),
    now_ms: i64,
    limit: usize,
) -> Result<Vec<Held>, Trouble> {
    let mut reader = Reader::new(transaction, (output, instance))?;
    let blocks = transaction.open_table(BLOCKS)?;
    let mut found = Vec::new();
    let to = (output, instance, now_ms.saturating_add(1), 0, "");
    let from = (output, instance, i64::MIN, 0, "");
    for entry in transaction.open_table(DUE)?.range(from..to)? {
        let (key, _) = entry?;
        let (_, _, _, home, start) = key.value();
        let Some(row) = blocks.get((output, home, start))? else {
            continue;
        };
        for entry in block::read(row.value())? {
            let Some(document) = &entry.document else {
                continue;
            };
            let is_due = |(copy_of, at)| copy_of == instance && at <= now_ms;
            if !document.due().is_some_and(is_due) {
                continue;
            }
            let mine = document.wanted_by.iter().find(|(who, _)| *who == instance);
            let Some(&(_, event)) = mine else { continue };
            let held_there = reader.blocks.find(event, &entry.id)?;
            let hold = held_there.and_then(|there| there.holds_of(instance).next());
            let attribute = hold.map(|hold| hold.attribute.clone()).unwrap_or_default();
            found.push(reader.held(event, &entry.id, &attribute, false)?);
        }
        if found.len() >= limit {
            found.truncate(limit);
            break;
        }
    }
    Ok(found)
}

/// How many documents of this instance's copy have stopped being valid; how many may be there is
/// counted only if those are more than `few`.
pub(crate) fn count_due(
    transaction: &Reading,
    (output, instance): (u32, u32),
    now_ms: i64,
    few: u64,
) -> Result<DueCounts, Trouble> {
    let mut counts = DueCounts::default();
    let blocks = transaction.open_table(BLOCKS)?;
    let to = (output, instance, now_ms.saturating_add(1), 0, "");
    let from = (output, instance, i64::MIN, 0, "");
    for entry in transaction.open_table(DUE)?.range(from..to)? {
        let (key, _) = entry?;
        let (_, _, _, home, start) = key.value();
        let Some(row) = blocks.get((output, home, start))? else {
            continue;
        };
        let entries = block::read(row.value())?;
        let documents = entries.iter().filter_map(|entry| entry.document.as_ref());
        let is_due = |document: &&Document| {
            let due = document.due();
            due.is_some_and(|(copy_of, at)| copy_of == instance && at <= now_ms)
        };
        counts.due += documents.filter(is_due).count() as u64;
    }
    if counts.due > few {
        for row in rows(transaction, output, None)? {
            let documents = row?.entries.into_iter().filter_map(|entry| entry.document);
            counts.there += documents
                .filter(|known| known.copy_of == instance && known.fate.may_be_there())
                .count() as u64;
        }
    }
    Ok(counts)
}

/// The events of documents that count as expired and have not expired yet.
pub(crate) fn expired_too_early(
    transaction: &Reading,
    instance: &str,
    now_ms: i64,
) -> Result<Vec<String>, Trouble> {
    let Some(instance) = names::find(transaction, Kind::Instance, instance)? else {
        return Ok(Vec::new());
    };
    let mut events = BTreeSet::new();
    each(transaction, &mut |held| {
        let is_mine = held.hold.instance == instance;
        if is_mine && is_too_early(held.fate, held.expires_ms, now_ms) {
            events.insert(held.event);
        }
        Ok(())
    })?;
    let events = events.into_iter();
    events
        .map(|event| names::text(transaction, event))
        .collect()
}

/// Does a document count as expired although it expires later? The clock was wrong once.
pub(crate) fn is_too_early(fate: Fate, expires_ms: Option<i64>, now_ms: i64) -> bool {
    fate == Fate::Expired && expires_ms.is_some_and(|at| at > now_ms)
}

/// A document that is held, with what became of it.
pub(crate) struct HeldDocument<'r> {
    pub(crate) output: u32,
    pub(crate) event: u32,
    pub(crate) id: &'r str,
    pub(crate) hold: &'r Hold,
    pub(crate) fate: Fate,
    pub(crate) mapping: u32,
    pub(crate) sent: u64,
    pub(crate) expires_ms: Option<i64>,
}

/// Goes through everything that is held.
pub(crate) fn each(
    transaction: &Reading,
    see: &mut dyn FnMut(HeldDocument<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    for output in names::outputs(transaction)? {
        let mut elsewhere = Seen::open(transaction, output)?;
        for row in rows(transaction, output, None)? {
            let row = row?;
            for entry in &row.entries {
                let document = match &entry.document {
                    Some(here) => Some(here),
                    None if entry.holds.is_empty() => None,
                    None => {
                        elsewhere.forget_much();
                        elsewhere.document(row.event, &entry.id)?
                    }
                };
                let Some(document) = document else { continue };
                for hold in &entry.holds {
                    see(HeldDocument {
                        output: row.output,
                        event: row.event,
                        id: &entry.id,
                        hold,
                        fate: document.fate,
                        mapping: document.mapping(),
                        sent: document.version,
                        expires_ms: document.expires_ms,
                    })?;
                }
            }
        }
    }
    Ok(())
}
