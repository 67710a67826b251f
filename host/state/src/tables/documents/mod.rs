//! What went out: one row a document and output, one a document, output and event that holds
//! it, one an attribute, one an expiry.

mod read;
mod write;

use std::ops::Range;

use pipeline::{Fate, OutputKey};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::error::Trouble;
use crate::tables::names::{self, Kind};

pub use read::KnownDocument;
pub(crate) use read::{
    KnownAttribute, Mappings, attributes_of, by_other_ids, due, each, known, older, one_held,
    open_documents, remembered, without_attribute,
};
pub(crate) use write::{record, send_again};

pub(crate) type DocumentKey = (u32, &'static str);
pub(crate) type DocumentRow = (
    u8,
    u32,
    Vec<u32>,
    Option<i64>,
    u64,
    Vec<(u32, u32)>,
    u64,
    Option<u64>,
);
/// [`DocumentRow`] as it was before schema 3.
type OldDocumentRow = (u8, u32, u32, Option<i64>, u64, Vec<(u32, u32)>);
type HeldKey = (u32, u32, u32, &'static str);
type HeldRow = (u64, Option<u64>, &'static [u8]);
type AttributeTableKey = (u32, u32, &'static [u8]);
type AttributeRow = (u32, Option<i64>, &'static str);

/// Output and id to: fate, the instance whose copy the output has (0: nobody's), the mappings
/// under which the output may have it (the last is that of what was sent last), expiry in UNIX
/// milliseconds, write version of what was sent last, who wants it to be there (instance, event),
/// how often what was sent has changed, and the fingerprint of what was sent last (none: a delete).
const DOCUMENTS: TableDefinition<'_, DocumentKey, DocumentRow> =
    TableDefinition::new("documents 3");
const OLD_DOCUMENTS: TableDefinition<'_, DocumentKey, OldDocumentRow> =
    TableDefinition::new("documents");
/// Output, instance, event and id to: the write version it was last seen with, the
/// fingerprint, the attribute.
const HELD: TableDefinition<'_, HeldKey, HeldRow> = TableDefinition::new("held");
/// Output, instance and attribute to: event, the attribute's timestamp in UNIX seconds, id (empty
/// if the mapping made no document of it).
const ATTRIBUTES: TableDefinition<'_, AttributeTableKey, AttributeRow> =
    TableDefinition::new("attributes");
/// Output, instance of the copy, expiry in UNIX milliseconds, id.
const DUE: TableDefinition<'_, (u32, u32, i64, &str), ()> = TableDefinition::new("due");

pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(OLD_DOCUMENTS)?;
    transaction.open_table(HELD)?;
    transaction.open_table(ATTRIBUTES)?;
    transaction.open_table(DUE)?;
    Ok(())
}

/// Schema 3: how often what was sent has changed, and where it may be. What was sent before counts
/// as the first, of an unknown fingerprint.
pub(crate) fn count_changes(transaction: &WriteTransaction) -> Result<(), Trouble> {
    {
        let old = transaction.open_table(OLD_DOCUMENTS)?;
        let mut documents = transaction.open_table(DOCUMENTS)?;
        for entry in old.iter()? {
            let (key, row) = entry?;
            let (fate, copy_of, mapping, expires_ms, version, wanted_by) = row.value();
            let places = Some(mapping).filter(|number| *number != 0);
            let document = (
                fate,
                copy_of,
                places.into_iter().collect(),
                expires_ms,
                version,
                wanted_by,
                1,
                Some(0),
            );
            documents.insert(key.value(), document)?;
        }
    }
    transaction.delete_table(OLD_DOCUMENTS)?;
    Ok(())
}

fn to_byte(fate: Fate) -> u8 {
    match fate {
        Fate::Delivered => 1,
        Fate::Deleted => 2,
        Fate::Expired => 3,
        Fate::Refused => 4,
        Fate::Sent => 5,
    }
}

fn to_fate(byte: u8) -> Result<Fate, Trouble> {
    match byte {
        1 => Ok(Fate::Delivered),
        2 => Ok(Fate::Deleted),
        3 => Ok(Fate::Expired),
        4 => Ok(Fate::Refused),
        5 => Ok(Fate::Sent),
        other => Err(Trouble::Damaged(format!("a document has the fate {other}"))),
    }
}

/// A document's row, read.
struct Document {
    fate: Fate,
    copy_of: u32,
    /// Under which mappings the output may have it.
    places: Vec<u32>,
    expires_ms: Option<i64>,
    version: u64,
    wanted_by: Vec<(u32, u32)>,
    revision: u64,
    /// The fingerprint of what was sent last; `None`: a delete.
    content: Option<u64>,
}

impl Document {
    fn read(row: DocumentRow) -> Result<Self, Trouble> {
        let (fate, copy_of, places, expires_ms, version, wanted_by, revision, content) = row;
        Ok(Self {
            fate: to_fate(fate)?,
            copy_of,
            places,
            expires_ms,
            version,
            wanted_by,
            revision,
            content,
        })
    }

    fn row(&self) -> DocumentRow {
        (
            to_byte(self.fate),
            self.copy_of,
            self.places.clone(),
            self.expires_ms,
            self.version,
            self.wanted_by.clone(),
            self.revision,
            self.content,
        )
    }

    /// The mapping of what was sent last; 0: unknown.
    fn mapping(&self) -> u32 {
        self.places.last().copied().unwrap_or(0)
    }

    /// Notes what is sent now.
    fn sends(&mut self, content: Option<u64>) {
        if self.revision == 0 || self.content != content {
            self.revision = self.revision.saturating_add(1);
            self.content = content;
        }
    }

    /// The revision that a delete of it has.
    fn revision_of_delete(&self) -> u64 {
        if self.content.is_none() {
            self.revision.max(1)
        } else {
            self.revision.saturating_add(1)
        }
    }

    /// Notes that the output may have it under this mapping from now on, too.
    fn may_be_under(&mut self, mapping: u32) {
        self.places.retain(|known| *known != mapping);
        self.places.push(mapping);
    }

    fn wanted_by_others(&self, me: (u32, u32)) -> bool {
        self.wanted_by.iter().any(|other| *other != me)
    }
}

/// The keys in [`HELD`] of what an event holds.
fn of_event((output, instance): (u32, u32), event: u32) -> Range<(u32, u32, u32, &'static str)> {
    (output, instance, event, "")..(output, instance, event.saturating_add(1), "")
}

/// The numbers of an output and an instance, if both are known.
pub(crate) fn place(
    transaction: &ReadTransaction,
    instance: &str,
    output: &OutputKey,
) -> Result<Option<(u32, u32)>, Trouble> {
    let output = names::find(transaction, Kind::Output, &names::of_output(output))?;
    let instance = names::find(transaction, Kind::Instance, instance)?;
    Ok(output.zip(instance))
}

impl Document {
    /// Whose copy expires when, if it is there.
    fn due(&self) -> Option<(u32, i64)> {
        let there = self.fate.may_be_there() && self.copy_of != 0;
        self.expires_ms
            .filter(|_| there)
            .map(|at| (self.copy_of, at))
    }
}

/// Forgets what an instance holds; says whether it held anything.
pub(crate) fn forget(transaction: &WriteTransaction, instance: u32) -> Result<bool, Trouble> {
    let mut any = false;
    let mut held = transaction.open_table(HELD)?;
    held.retain(|(_, who, _, _), _| {
        any |= who == instance;
        who != instance
    })?;
    let mut attributes = transaction.open_table(ATTRIBUTES)?;
    attributes.retain(|(_, who, _), _| who != instance)?;
    let mut due = transaction.open_table(DUE)?;
    due.retain(|(_, who, _, _), ()| who != instance)?;
    let mut documents = transaction.open_table(DOCUMENTS)?;
    // What others want too stays, as nobody's copy; rows cannot be changed while they are
    // gone through.
    let mut shared = Vec::new();
    documents.retain(|(output, id), row| {
        let (fate, copy_of, places, expires_ms, version, mut wanted_by, revision, content) = row;
        let mine = copy_of == instance || wanted_by.iter().any(|(who, _)| *who == instance);
        if !mine {
            return true;
        }
        wanted_by.retain(|(who, _)| *who != instance);
        if !wanted_by.is_empty() {
            let copy_of = if copy_of == instance { 0 } else { copy_of };
            let row = (
                fate, copy_of, places, expires_ms, version, wanted_by, revision, content,
            );
            shared.push((output, id.to_owned(), row));
        }
        false
    })?;
    for (output, id, row) in shared {
        documents.insert((output, id.as_str()), row)?;
    }
    Ok(any)
}
