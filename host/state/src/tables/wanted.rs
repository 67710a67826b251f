//! Events that must be read, whatever their clocks say.

use redb::{ReadTransaction, TableDefinition, WriteTransaction};

use crate::error::Trouble;
use crate::tables::names;

/// Instance and event's uuid.
const TABLE: TableDefinition<'_, (u32, &str), ()> = TableDefinition::new("wanted");

pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(TABLE)?;
    Ok(())
}

/// By the event's number.
pub(crate) fn add(
    transaction: &WriteTransaction,
    instance: u32,
    event: u32,
) -> Result<(), Trouble> {
    let uuid = names::text_while_writing(transaction, event)?;
    add_uuid(transaction, instance, &uuid)
}

pub(crate) fn add_uuid(
    transaction: &WriteTransaction,
    instance: u32,
    uuid: &str,
) -> Result<(), Trouble> {
    transaction
        .open_table(TABLE)?
        .insert((instance, uuid), ())?;
    Ok(())
}

pub(crate) fn remove(
    transaction: &WriteTransaction,
    instance: u32,
    uuid: &str,
) -> Result<(), Trouble> {
    transaction.open_table(TABLE)?.remove((instance, uuid))?;
    Ok(())
}

/// At most `limit`, in the order of their uuids, after `after`.
pub(crate) fn some(
    transaction: &ReadTransaction,
    instance: u32,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, Trouble> {
    let table = transaction.open_table(TABLE)?;
    let mut found = Vec::new();
    let from = (instance, after.unwrap_or_default());
    for entry in table.range(from..(instance.saturating_add(1), ""))? {
        let (key, _) = entry?;
        let (_, uuid) = key.value();
        if after != Some(uuid) {
            found.push(uuid.to_owned());
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// How many there are.
pub(crate) fn count(transaction: &ReadTransaction, instance: u32) -> Result<u64, Trouble> {
    let table = transaction.open_table(TABLE)?;
    let mut count = 0;
    for entry in table.range((instance, "")..(instance.saturating_add(1), ""))? {
        entry?;
        count += 1;
    }
    Ok(count)
}

pub(crate) fn forget(transaction: &WriteTransaction, instance: u32) -> Result<(), Trouble> {
    let mut table = transaction.open_table(TABLE)?;
    table.retain_in((instance, "")..(instance.saturating_add(1), ""), |_, ()| {
        false
    })?;
    Ok(())
}
