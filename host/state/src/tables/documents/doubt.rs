//! What an output has, doubted: its target is another one.

use pipeline::Fate;

use super::blocks::Written;
use crate::error::Trouble;
use crate::transaction::Writing;

/// Was anything ever sent to an output?
pub(crate) fn has_documents(transaction: &Writing, output: u32) -> Result<bool, Trouble> {
    let blocks = Written::open_to_write(transaction, output)?;
    Ok(blocks.first_row()?.is_some())
}

/// Takes nothing for delivered any more: each document of an output is one that may be there, and
/// is sent again.
pub(crate) fn doubt(transaction: &Writing, output: u32) -> Result<(), Trouble> {
    let mut blocks = Written::open_to_write(transaction, output)?;
    let mut next = blocks.first_row()?;
    while let Some((event, start)) = next {
        let (entries, end) = blocks.row_from(event, &start)?;
        for entry in entries {
            let Some(mut document) = entry.document else {
                continue;
            };
            if matches!(document.fate, Fate::Delivered | Fate::Refused) {
                document.fate = Fate::Sent;
                blocks.set(event, &entry.id, document)?;
            }
        }
        blocks.flush(transaction)?;
        next = match end {
            Some(start) => Some((event, start)),
            None => blocks.first_row_after(event)?,
        };
    }
    Ok(())
}
