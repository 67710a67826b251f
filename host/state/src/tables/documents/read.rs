//! What is known of documents.

use std::collections::BTreeMap;
use std::sync::Arc;

use pipeline::{Delivery, Fate, Held, MappingIdentity, OutputKey, Remembered};
use redb::{ReadTransaction, ReadableTable};

use super::{ATTRIBUTES, DOCUMENTS, DUE, Document, DocumentKey, DocumentRow, HELD, of_event};
use crate::attribute_key::AttributeKey;
use crate::error::Trouble;
use crate::tables::names::{self, Kind};

pub(crate) fn remembered(
    transaction: &ReadTransaction,
    instance: &str,
    output: &OutputKey,
    documents: &[Delivery],
) -> Result<Vec<Option<Remembered>>, Trouble> {
    let Some(output) = names::find(transaction, Kind::Output, &names::of_output(output))? else {
        return Ok(vec![None; documents.len()]);
    };
    // An instance that has never written here (0 is nobody's number) may bring what another has.
    let instance = names::find(transaction, Kind::Instance, instance)?.unwrap_or(0);
    let table = transaction.open_table(DOCUMENTS)?;
    let held = transaction.open_table(HELD)?;
    let mut last: Option<(&str, u32)> = None;
    let mut mappings = Mappings::default();
    let mut found = Vec::with_capacity(documents.len());
    for delivery in documents {
        let id = delivery.document.id.as_str();
        let event = match last {
            Some((uuid, number)) if uuid == &*delivery.event => number,
            _ => {
                let number = names::find(transaction, Kind::Event, &delivery.event)?;
                // 0 is nobody's number: no row has it.
                let number = number.unwrap_or(0);
                last = Some((&delivery.event, number));
                number
            }
        };
        let Some(row) = table.get((output, id))? else {
            found.push(None);
            continue;
        };
        let document = Document::read(row.value())?;
        let seen = held.get((output, instance, event, id))?;
        let fingerprint = seen.and_then(|row| row.value().1);
        found.push(Some(Remembered {
            places: mappings.all(transaction, &document.places)?,
            revision: document.revision,
            content: document.content,
            fate: document.fate,
            // Nobody's copy: whoever comes next sends theirs.
            fingerprint: fingerprint.filter(|_| document.copy_of != 0),
            others: document.wanted_by_others((instance, event)),
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
}

/// What is known of these documents, in order.
pub(crate) fn known(
    transaction: &ReadTransaction,
    output: &OutputKey,
    ids: &[String],
) -> Result<Vec<Option<KnownDocument>>, Trouble> {
    let Some(output) = names::find(transaction, Kind::Output, &names::of_output(output))? else {
        return Ok(vec![None; ids.len()]);
    };
    let table = transaction.open_table(DOCUMENTS)?;
    let mut mappings = Mappings::default();
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(row) = table.get((output, id.as_str()))? else {
            found.push(None);
            continue;
        };
        let document = Document::read(row.value())?;
        let places = mappings.all(transaction, &document.places)?;
        found.push(Some(KnownDocument {
            fate: document.fate,
            version: document.version,
            mappings: places.iter().map(|mapping| mapping.name.clone()).collect(),
        }));
    }
    Ok(found)
}

/// The mappings that were looked up last.
#[derive(Debug, Default)]
pub(crate) struct Mappings(BTreeMap<u32, Arc<MappingIdentity>>);

impl Mappings {
    fn all(
        &mut self,
        transaction: &ReadTransaction,
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

/// Documents of an event that were not seen since `version`.
pub(crate) fn older(
    transaction: &ReadTransaction,
    (output, instance): (u32, u32),
    event: &str,
    version: u64,
    limit: usize,
) -> Result<Vec<Held>, Trouble> {
    let Some(number) = names::find(transaction, Kind::Event, event)? else {
        return Ok(Vec::new());
    };
    let held = transaction.open_table(HELD)?;
    let documents = transaction.open_table(DOCUMENTS)?;
    let mut mappings = Mappings::default();
    let mut found = Vec::new();
    for entry in held.range(of_event((output, instance), number))? {
        let (key, row) = entry?;
        let (_, _, _, id) = key.value();
        let (seen, _, attribute) = row.value();
        if seen >= version {
            continue;
        }
        found.push(one_held(
            (transaction, &documents),
            &mut mappings,
            output,
            (instance, number),
            id,
            event,
            AttributeKey::text(attribute),
        )?);
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// An attribute that is known at an output.
pub(crate) struct KnownAttribute {
    /// As [`AttributeKey`].
    pub(crate) key: Vec<u8>,
    /// The event's number.
    pub(crate) event: u32,
    /// Its timestamp, UNIX seconds.
    pub(crate) timestamp: Option<i64>,
    /// Its document's id; empty if there is none.
    pub(crate) id: String,
}

/// Every attribute that is known of an instance at an output, by key.
pub(crate) fn attributes_of(
    transaction: &ReadTransaction,
    place: Option<(u32, u32)>,
) -> Result<impl Iterator<Item = Result<KnownAttribute, Trouble>> + use<>, Trouble> {
    // 0 is nobody's number: no row has it.
    let (output, instance) = place.unwrap_or_default();
    let none: &[u8] = &[];
    let from = (output, instance, none);
    let to = (output, instance.saturating_add(1), none);
    let rows = transaction.open_table(ATTRIBUTES)?.range(from..to)?;
    Ok(rows.map(|entry| {
        let (key, row) = entry?;
        let (event, timestamp, id) = row.value();
        Ok(KnownAttribute {
            key: key.value().2.to_vec(),
            event,
            timestamp,
            id: id.to_owned(),
        })
    }))
}

/// What an event holds of attributes by other ids than their last.
pub(crate) fn by_other_ids(
    transaction: &ReadTransaction,
    (output, instance): (u32, u32),
    event: u32,
) -> Result<Vec<KnownAttribute>, Trouble> {
    let held = transaction.open_table(HELD)?;
    let attributes = transaction.open_table(ATTRIBUTES)?;
    let mut found = Vec::new();
    for entry in held.range(of_event((output, instance), event))? {
        let (key, row) = entry?;
        let (id, attribute) = (key.value().3, row.value().2);
        if AttributeKey::text(attribute).is_none() {
            continue;
        }
        let last = attributes.get((output, instance, attribute))?;
        if last.is_none_or(|row| row.value().2 != id) {
            found.push(KnownAttribute {
                key: attribute.to_vec(),
                event,
                timestamp: None,
                id: id.to_owned(),
            });
        }
    }
    Ok(found)
}

/// The document of an event itself.
pub(crate) fn without_attribute(
    transaction: &ReadTransaction,
    place: (u32, u32),
    event: u32,
) -> Result<Vec<KnownAttribute>, Trouble> {
    let held = transaction.open_table(HELD)?;
    let mut found = Vec::new();
    for entry in held.range(of_event(place, event))? {
        let (key, row) = entry?;
        if AttributeKey::text(row.value().2).is_none() {
            found.push(KnownAttribute {
                key: Vec::new(),
                event,
                timestamp: None,
                id: key.value().3.to_owned(),
            });
        }
    }
    Ok(found)
}

/// What is known of a document that an event holds.
pub(crate) fn one_held(
    (transaction, documents): (
        &ReadTransaction,
        &impl ReadableTable<DocumentKey, DocumentRow>,
    ),
    mappings: &mut Mappings,
    output: u32,
    me: (u32, u32),
    id: &str,
    event: &str,
    attribute: Option<String>,
) -> Result<Held, Trouble> {
    let document = documents.get((output, id))?;
    let document = document
        .map(|row| Document::read(row.value()))
        .transpose()?;
    Ok(Held {
        id: id.to_owned(),
        event: event.to_owned(),
        attribute,
        fate: document.as_ref().map_or(Fate::Deleted, |known| known.fate),
        places: match &document {
            Some(known) => mappings.all(transaction, &known.places)?,
            None => Vec::new(),
        },
        delete_revision: document.as_ref().map_or(1, Document::revision_of_delete),
        others: document.is_some_and(|known| known.wanted_by_others(me)),
    })
}

/// The table of documents, for [`one_held`].
pub(crate) fn open_documents(
    transaction: &ReadTransaction,
) -> Result<impl ReadableTable<DocumentKey, DocumentRow> + use<>, Trouble> {
    Ok(transaction.open_table(DOCUMENTS)?)
}

/// Documents of this instance's copy that have stopped being valid.
pub(crate) fn due(
    transaction: &ReadTransaction,
    (output, instance): (u32, u32),
    now_ms: i64,
    limit: usize,
) -> Result<Vec<Held>, Trouble> {
    let table = transaction.open_table(DUE)?;
    let documents = transaction.open_table(DOCUMENTS)?;
    let held = transaction.open_table(HELD)?;
    let mut mappings = Mappings::default();
    let mut found = Vec::new();
    let to = (output, instance, now_ms.saturating_add(1), "");
    for entry in table.range((output, instance, i64::MIN, "")..to)? {
        let (key, _) = entry?;
        let (_, _, _, id) = key.value();
        let Some(row) = documents.get((output, id))? else {
            continue;
        };
        let document = Document::read(row.value())?;
        let mine = document.wanted_by.iter().find(|(who, _)| *who == instance);
        let Some(&(_, event)) = mine else { continue };
        let row = held.get((output, instance, event, id))?;
        let attribute = row.and_then(|row| AttributeKey::text(row.value().2));
        found.push(Held {
            id: id.to_owned(),
            event: names::text(transaction, event)?,
            attribute,
            fate: document.fate,
            places: mappings.all(transaction, &document.places)?,
            delete_revision: document.revision_of_delete(),
            others: document.wanted_by_others((instance, event)),
        });
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// A row of what is held, with what became of its document.
pub(crate) struct HeldDocument<'r> {
    pub(crate) output: u32,
    pub(crate) instance: u32,
    pub(crate) event: u32,
    pub(crate) id: &'r str,
    pub(crate) attribute: Option<String>,
    pub(crate) seen: u64,
    pub(crate) fingerprint: Option<u64>,
    pub(crate) fate: Fate,
    pub(crate) mapping: u32,
    pub(crate) sent: u64,
    pub(crate) expires_ms: Option<i64>,
}

/// Goes through everything that is held.
pub(crate) fn each(
    transaction: &ReadTransaction,
    see: &mut dyn FnMut(HeldDocument<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let documents = transaction.open_table(DOCUMENTS)?;
    for entry in transaction.open_table(HELD)?.iter()? {
        let (key, row) = entry?;
        let (output, instance, event, id) = key.value();
        let (seen, fingerprint, attribute) = row.value();
        let Some(row) = documents.get((output, id))? else {
            continue;
        };
        let document = Document::read(row.value())?;
        see(HeldDocument {
            output,
            instance,
            event,
            id,
            attribute: AttributeKey::text(attribute),
            seen,
            fingerprint,
            fate: document.fate,
            mapping: document.mapping(),
            sent: document.version,
            expires_ms: document.expires_ms,
        })?;
    }
    Ok(())
}
