//! Where each instance's source continues.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::error::Trouble;

/// Instance name to a JSON object.
const TABLE: TableDefinition<'_, &str, &str> = TableDefinition::new("cursors");

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    cursor: String,
    version: u64,
    updated_ms: i64,
}

/// What is remembered of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceState {
    /// The instance's name.
    pub instance: String,
    /// Where its source continues, as the source wrote it.
    pub cursor: String,
    /// The write version of its last commit.
    pub version: u64,
    /// When that was, UNIX milliseconds by the host's clock.
    pub updated_ms: i64,
}

/// Makes the table, so that readers find it.
pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(TABLE)?;
    Ok(())
}

pub(crate) fn set(transaction: &WriteTransaction, state: &InstanceState) -> Result<(), Trouble> {
    let row = Row {
        cursor: state.cursor.clone(),
        version: state.version,
        updated_ms: state.updated_ms,
    };
    let text = serde_json::to_string(&row).map_err(|error| Trouble::Damaged(error.to_string()))?;
    transaction
        .open_table(TABLE)?
        .insert(state.instance.as_str(), text.as_str())?;
    Ok(())
}

/// Begins a walk where another one is, unless it has begun.
pub(crate) fn copy(transaction: &WriteTransaction, from: &str, to: &str) -> Result<(), Trouble> {
    let mut table = transaction.open_table(TABLE)?;
    if table.get(to)?.is_some() {
        return Ok(());
    }
    let row = table.get(from)?.map(|row| row.value().to_owned());
    if let Some(row) = row {
        table.insert(to, row.as_str())?;
    }
    Ok(())
}

/// Forgets the instance; says whether there was anything to forget.
pub(crate) fn remove(transaction: &WriteTransaction, instance: &str) -> Result<bool, Trouble> {
    let mut table = transaction.open_table(TABLE)?;
    let existed = table.remove(instance)?.is_some();
    Ok(existed)
}

/// Has this walk begun?
pub(crate) fn is_known(transaction: &WriteTransaction, walk: &str) -> Result<bool, Trouble> {
    Ok(transaction.open_table(TABLE)?.get(walk)?.is_some())
}

pub(crate) fn get(
    transaction: &ReadTransaction,
    instance: &str,
) -> Result<Option<InstanceState>, Trouble> {
    match transaction.open_table(TABLE)?.get(instance)? {
        None => Ok(None),
        Some(text) => read(instance, text.value()).map(Some),
    }
}

/// Every instance, by name.
pub(crate) fn all(transaction: &ReadTransaction) -> Result<Vec<InstanceState>, Trouble> {
    let mut found = Vec::new();
    for entry in transaction.open_table(TABLE)?.iter()? {
        let (instance, text) = entry?;
        found.push(read(instance.value(), text.value())?);
    }
    Ok(found)
}

/// Moves the cursors of an instance to another name, unless that one has begun; they are forgotten
/// then. Returns whether it has.
pub(crate) fn rename(
    transaction: &WriteTransaction,
    old: &str,
    new: &str,
) -> Result<bool, Trouble> {
    let mut table = transaction.open_table(TABLE)?;
    let has_begun = table.get(new)?.is_some();
    let prefix = format!("{old}\u{1f}");
    let mut moved = Vec::new();
    table.retain(|walk, row| {
        let is_old = walk == old || walk.starts_with(&prefix);
        if is_old {
            let rest = walk.get(old.len()..).unwrap_or_default();
            moved.push((format!("{new}{rest}"), row.to_owned()));
        }
        !is_old
    })?;
    for (walk, row) in moved.iter().filter(|_| !has_begun) {
        table.insert(walk.as_str(), row.as_str())?;
    }
    Ok(has_begun)
}

fn read(instance: &str, text: &str) -> Result<InstanceState, Trouble> {
    let row: Row = serde_json::from_str(text)
        .map_err(|error| Trouble::Damaged(format!("the cursor of {instance:?}: {error}")))?;
    Ok(InstanceState {
        instance: instance.to_owned(),
        cursor: row.cursor,
        version: row.version,
        updated_ms: row.updated_ms,
    })
}

/// Forgets the walks of outputs that were catching up with an instance.
pub(crate) fn remove_catch_ups(
    transaction: &WriteTransaction,
    instance: &str,
) -> Result<(), Trouble> {
    let prefix = format!("{instance}\u{1f}");
    let mut table = transaction.open_table(TABLE)?;
    table.retain(|walk, _| !walk.starts_with(&prefix))?;
    Ok(())
}
