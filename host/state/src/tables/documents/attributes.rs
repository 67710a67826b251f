//! The attributes that an instance holds at an output.

use std::cmp::Ordering;

use pipeline::Fate;
use redb::{TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::document::{as_byte, of_byte};
use super::read::{Reader, rows};
use crate::error::Trouble;
use crate::transaction::Reading;

/// Output, instance and attribute to event: known, and the mapping made no document of it.
pub(super) const REFUSED: TableDefinition<'_, (u32, u32, &[u8]), u32> =
    TableDefinition::new("refused");

/// An attribute that is known at an output. In the order of attributes; of one, what was seen last
/// comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownAttribute {
    /// As [`crate::attribute_key::AttributeKey`].
    pub(crate) key: Vec<u8>,
    /// The event's number.
    pub(crate) event: u32,
    /// Its document's id; empty if there is none.
    pub(crate) id: String,
    /// Its timestamp, UNIX seconds.
    pub(crate) timestamp: Option<i64>,
    /// The write version it was last seen with; 0 without a document.
    pub(crate) seen: u64,
    /// What became of its document.
    #[serde(serialize_with = "as_byte", deserialize_with = "of_byte")]
    pub(crate) fate: Fate,
    /// When its document expires, UNIX milliseconds.
    pub(crate) expires_ms: Option<i64>,
}

impl Ord for KnownAttribute {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.key.cmp(&other.key);
        let by_time = other.seen.cmp(&self.seen);
        let by_place = (self.event, &self.id).cmp(&(other.event, &other.id));
        by_key.then(by_time).then(by_place)
    }
}

impl PartialOrd for KnownAttribute {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Goes through the attributes of an instance at an output. One comes more than once where a
/// mapping with other ids has taken the place of another, or where events had it one after another.
pub(crate) fn each_attribute(
    transaction: &Reading,
    place: (u32, u32),
    see: &mut dyn FnMut(KnownAttribute) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let (output, instance) = place;
    let mut reader = Reader::new(transaction, place)?;
    for row in rows(transaction, output, None)? {
        let row = row?;
        for entry in &row.entries {
            let holds = entry.holds_of(instance);
            for hold in holds.filter(|hold| !hold.attribute.is_empty()) {
                let (fate, expires_ms) = reader.fate(row.event, entry)?;
                see(KnownAttribute {
                    key: hold.attribute.clone(),
                    event: row.event,
                    id: entry.id.clone(),
                    timestamp: hold.timestamp,
                    seen: hold.seen,
                    fate,
                    expires_ms,
                })?;
            }
        }
    }
    let none: &[u8] = &[];
    let to = (output, instance.saturating_add(1), none);
    let refused = transaction.open_table(REFUSED)?;
    for entry in refused.range((output, instance, none)..to)? {
        let (key, event) = entry?;
        see(KnownAttribute {
            key: key.value().2.to_owned(),
            event: event.value(),
            id: String::new(),
            timestamp: None,
            seen: 0,
            fate: Fate::Deleted,
            expires_ms: None,
        })?;
    }
    Ok(())
}

/// Notes an attribute of which the mapping made no document.
pub(super) fn refuse(
    transaction: &WriteTransaction,
    (output, instance): (u32, u32),
    attribute: &[u8],
    event: u32,
) -> Result<(), Trouble> {
    let mut refused = transaction.open_table(REFUSED)?;
    refused.insert((output, instance, attribute), event)?;
    Ok(())
}
