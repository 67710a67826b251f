//! What went out: rows of some documents of an event, in the order of their ids. A document is kept
//! with the event that had it first; another event that has the same id finds it by [`blocks::IDS`].

mod attributes;
mod block;
mod blocks;
mod document;
mod doubt;
mod forget;
mod instances;
mod new_ids;
mod read;
mod rows_of_schema_3;
mod write;

#[cfg(test)]
mod tests;

use pipeline::OutputKey;
use redb::ReadTransaction;

use crate::error::Trouble;
use crate::tables::names::{self, Kind};

pub(crate) use attributes::{KnownAttribute, each_attribute};
pub(crate) use doubt::{doubt, has_documents};
pub(crate) use forget::forget;
pub(crate) use instances::{arrange, merge};
pub(crate) use new_ids::NewIds;
pub use read::KnownDocument;
pub(crate) use read::{
    Reader, count_due, due, each, expired_too_early, held, is_there_elsewhere, is_too_early, known,
    older, remembered,
};
pub(crate) use rows_of_schema_3::{by_event, count_changes, create};
pub(crate) use write::{record, send_again};

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
