//! What went out, as it was before schema 4: one row a document and output, one a document, output
//! and event that holds it, one an attribute, one an expiry.

use std::cell::RefCell;
use std::sync::Arc;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::attributes::{self, REFUSED};
use super::block::Hold;
use super::blocks::{BLOCKS, DUE, IDS, Written};
use super::document::{Document, to_fate};
use super::new_ids::{NOT_INDEXED, NewIds};
use crate::error::Trouble;

type DocumentKey = (u32, &'static str);
type DocumentRow = (
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
type AttributeKey = (u32, u32, &'static [u8]);
type AttributeRow = (u32, Option<i64>, &'static str);

/// Output and id to: fate, the instance whose copy the output has, the mappings under which it may
/// have it, expiry, write version, who wants it, revision, fingerprint of what was sent last.
const DOCUMENTS: TableDefinition<'_, DocumentKey, DocumentRow> =
    TableDefinition::new("documents 3");
const OLD_DOCUMENTS: TableDefinition<'_, DocumentKey, OldDocumentRow> =
    TableDefinition::new("documents");
/// Output, instance, event and id to: the write version it was last seen with, the
/// fingerprint, the attribute.
const HELD: TableDefinition<'_, HeldKey, HeldRow> = TableDefinition::new("held");
/// Output, instance and attribute to: event, the attribute's timestamp in UNIX seconds, id (empty
/// if the mapping made no document of it).
const ATTRIBUTES: TableDefinition<'_, AttributeKey, AttributeRow> =
    TableDefinition::new("attributes");
/// Output, instance of the copy, expiry in UNIX milliseconds, id.
const OLD_DUE: TableDefinition<'_, (u32, u32, i64, &str), ()> = TableDefinition::new("due");

/// Schema 2.
pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(OLD_DOCUMENTS)?;
    transaction.open_table(HELD)?;
    transaction.open_table(ATTRIBUTES)?;
    transaction.open_table(OLD_DUE)?;
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

/// Schema 4: many documents of an event in a row.
pub(crate) fn by_event(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(BLOCKS)?;
    transaction.open_table(IDS)?;
    transaction.open_table(NOT_INDEXED)?;
    transaction.open_table(DUE)?;
    transaction.open_table(REFUSED)?;
    {
        let held = transaction.open_table(HELD)?;
        let documents = transaction.open_table(DOCUMENTS)?;
        let attributes = transaction.open_table(ATTRIBUTES)?;
        let new_ids = RefCell::default();
        let mut writer = Mover {
            transaction,
            new_ids: &new_ids,
            blocks: None,
        };
        for entry in held.iter()? {
            let (key, row) = entry?;
            let (output, instance, event, id) = key.value();
            let (seen, fingerprint, attribute) = row.value();
            let last = attributes.get((output, instance, attribute))?;
            let last = last.filter(|row| row.value().2 == id);
            let hold = Hold {
                instance,
                attribute: attribute.to_owned(),
                timestamp: last.and_then(|row| row.value().1),
                seen,
                fingerprint,
            };
            let document = documents.get((output, id))?;
            writer.document(output, event, id, document.map(|row| row.value()))?;
            writer.at(output)?.hold(event, id, hold)?;
        }
        for entry in documents.iter()? {
            let (key, row) = entry?;
            let (output, id) = key.value();
            // Whose event it was is not known any more.
            writer.document(output, 0, id, Some(row.value()))?;
        }
        writer.finish()?;
        for entry in attributes.iter()? {
            let (key, row) = entry?;
            let (output, instance, attribute) = key.value();
            let (event, _, id) = row.value();
            if id.is_empty() {
                attributes::refuse(transaction, (output, instance), attribute, event)?;
            }
        }
    }
    transaction.delete_table(HELD)?;
    transaction.delete_table(DOCUMENTS)?;
    transaction.delete_table(ATTRIBUTES)?;
    transaction.delete_table(OLD_DUE)?;
    Ok(())
}

struct Mover<'t> {
    transaction: &'t WriteTransaction,
    new_ids: &'t RefCell<NewIds>,
    blocks: Option<Written<'t>>,
}

impl<'t> Mover<'t> {
    fn at(&mut self, output: u32) -> Result<&mut Written<'t>, Trouble> {
        let is_full = self.new_ids.borrow().are_many();
        let same = self
            .blocks
            .take_if(|blocks| blocks.output() == output && !is_full);
        let blocks = match same {
            Some(blocks) => blocks,
            None => {
                self.finish()?;
                let none = Arc::default();
                Written::open_with(self.transaction, none, self.new_ids, output)?
            }
        };
        let blocks = self.blocks.insert(blocks);
        blocks.flush_much(self.transaction)?;
        Ok(blocks)
    }

    /// Keeps a document with this event, unless it is kept already.
    fn document(
        &mut self,
        output: u32,
        event: u32,
        id: &str,
        row: Option<DocumentRow>,
    ) -> Result<(), Trouble> {
        let Some((fate, copy_of, places, expires_ms, version, wanted_by, revision, content)) = row
        else {
            return Ok(());
        };
        let blocks = self.at(output)?;
        if blocks.home(event, id)?.is_some() {
            return Ok(());
        }
        let fate = to_fate(fate)
            .ok_or_else(|| Trouble::Damaged(format!("a document has the fate {fate}")))?;
        let document = Document {
            fate,
            copy_of,
            places,
            expires_ms,
            version,
            wanted_by,
            revision,
            content,
            hash: None,
        };
        blocks.set(event, id, document)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        if let Some(mut blocks) = self.blocks.take() {
            blocks.flush(self.transaction)?;
        }
        self.new_ids.take().index(self.transaction)
    }
}
