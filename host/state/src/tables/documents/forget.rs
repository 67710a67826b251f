//! An instance's part of what is remembered, forgotten.

use super::attributes::REFUSED;
use super::blocks::Written;
use crate::error::Trouble;
use crate::tables::names;
use crate::transaction::Writing;

/// Forgets what an instance holds; says whether it held anything.
pub(crate) fn forget(transaction: &Writing, instance: u32) -> Result<bool, Trouble> {
    let mut any = false;
    for output in names::outputs_while_writing(transaction)? {
        let mut blocks = Written::open_to_write(transaction, output)?;
        let mut next = blocks.first_row()?;
        while let Some((event, start)) = next {
            let (entries, end) = blocks.row_from(event, &start)?;
            for entry in entries {
                let id = entry.id.as_str();
                if entry.holds_of(instance).next().is_some() {
                    any = true;
                    let holds = &mut blocks.change(event, id)?.holds;
                    holds.retain(|hold| hold.instance != instance);
                }
                let Some(mut document) = entry.document else {
                    continue;
                };
                let is_wanted = document.wanted_by.iter().any(|(who, _)| *who == instance);
                if document.copy_of != instance && !is_wanted {
                    continue;
                }
                // What others want too stays, as nobody's copy.
                document.wanted_by.retain(|(who, _)| *who != instance);
                if document.copy_of == instance {
                    document.copy_of = 0;
                }
                if document.wanted_by.is_empty() {
                    blocks.unset(event, id)?;
                } else {
                    blocks.set(event, id, document)?;
                }
            }
            blocks.flush(transaction)?;
            next = match end {
                Some(start) => Some((event, start)),
                None => blocks.first_row_after(event)?,
            };
        }
    }
    let mut refused = transaction.open_table(REFUSED)?;
    refused.retain(|(_, who, _), _| {
        any |= who == instance;
        who != instance
    })?;
    Ok(any)
}
