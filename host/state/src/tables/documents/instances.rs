//! What changes in documents with the instances that are configured, and with their names.

use super::attributes::REFUSED;
use super::block::Entry;
use super::blocks::Written;
use super::document::Document;
use crate::error::Trouble;
use crate::precedence::Ranks;
use crate::tables::{names, wanted};
use crate::transaction::Writing;

/// Wants every document again whose copy in an output is not that of the configured instance that
/// takes precedence among those who have it.
pub(crate) fn arrange(transaction: &Writing) -> Result<(), Trouble> {
    let ranks = transaction.ranks()?;
    each_entry(transaction, &mut |blocks, event, entry| {
        let Some(mut document) = entry.document else {
            return Ok(());
        };
        let Some((first, its_event)) = ranks.first(&document.wanted_by) else {
            return Ok(());
        };
        let copy = ranks.of(document.copy_of);
        if !document.fate.may_be_there() || !Ranks::is_before(ranks.of(first), copy) {
            return Ok(());
        }
        wanted::add(transaction, first, its_event)?;
        if copy.is_none() && document.copy_of != 0 {
            document.copy_of = 0;
            blocks.set(event, &entry.id, document)?;
        }
        Ok(())
    })
}

/// Makes one instance's part another's.
pub(crate) fn merge(transaction: &Writing, old: u32, new: u32) -> Result<(), Trouble> {
    each_entry(transaction, &mut |blocks, event, entry| {
        let id = entry.id.as_str();
        if entry.holds_of(old).next().is_some() {
            let changed = blocks.change(event, id)?;
            for hold in entry.holds_of(old) {
                let known = |known: &&_| is_same(known, new, &hold.attribute);
                if !entry.holds.iter().any(|one| known(&one)) {
                    let mut hold = hold.clone();
                    hold.instance = new;
                    changed.put(hold);
                }
            }
            changed.holds.retain(|hold| hold.instance != old);
        }
        if let Some(mut document) = entry.document
            && rename(&mut document, old, new)
        {
            blocks.set(event, id, document)?;
        }
        Ok(())
    })?;
    let mut refused = transaction.open_table(REFUSED)?;
    let mut moved = Vec::new();
    refused.retain(|(output, who, attribute), event| {
        if who == old {
            moved.push((output, attribute.to_owned(), event));
        }
        who != old
    })?;
    for (output, attribute, event) in moved {
        refused.insert((output, new, attribute.as_slice()), event)?;
    }
    Ok(())
}

fn is_same(hold: &super::block::Hold, instance: u32, attribute: &[u8]) -> bool {
    hold.instance == instance && hold.attribute == attribute
}

/// Returns whether it changed anything.
fn rename(document: &mut Document, old: u32, new: u32) -> bool {
    let before = document.clone();
    if document.copy_of == old {
        document.copy_of = new;
    }
    for (who, event) in before.wanted_by.iter().filter(|(who, _)| *who == old) {
        document.unwanted_by((*who, *event));
        document.unwanted_by((new, *event));
        document.wanted_by.push((new, *event));
    }
    *document != before
}

/// Goes through the entries of every output.
fn each_entry(
    transaction: &Writing,
    see: &mut dyn FnMut(&mut Written<'_>, u32, Entry) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    for output in names::outputs_while_writing(transaction)? {
        let mut blocks = Written::open_to_write(transaction, output)?;
        let mut next = blocks.first_row()?;
        while let Some((event, start)) = next {
            let (entries, end) = blocks.row_from(event, &start)?;
            for entry in entries {
                see(&mut blocks, event, entry)?;
            }
            blocks.flush(transaction)?;
            next = match end {
                Some(start) => Some((event, start)),
                None => blocks.first_row_after(event)?,
            };
        }
    }
    Ok(())
}
