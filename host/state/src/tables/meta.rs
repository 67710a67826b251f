//! Single values: the schema version, the write version, the agent id.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::error::Trouble;

/// Name to value, as text, so that any program can show them.
const TABLE: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

const SCHEMA: &str = "schema";
const AGENT_ID: &str = "agent_id";
const LAST_VERSION: &str = "last_version";
const RESERVED_VERSION: &str = "reserved_version";
const INSTANCES: &str = "instances";

/// What the table holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The schema version; 0 in a database that has none yet.
    pub(crate) schema: u64,
    /// Created once; identifies this host in the documents.
    pub(crate) agent_id: String,
    /// The highest write version that was committed.
    pub(crate) last_version: u64,
    /// No version above this one has ever been given out.
    pub(crate) reserved_version: u64,
}

/// Reads the table; all zero if there is none.
pub(crate) fn read(transaction: &WriteTransaction) -> Result<Meta, Trouble> {
    let table = transaction.open_table(TABLE)?;
    let text = |key| Ok::<_, Trouble>(table.get(key)?.map(|value| value.value().to_owned()));
    let number = |key| match text(key)? {
        None => Ok(0),
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| Trouble::Damaged(format!("{key} is {text:?}, not a number"))),
    };
    Ok(Meta {
        schema: number(SCHEMA)?,
        agent_id: text(AGENT_ID)?.unwrap_or_default(),
        last_version: number(LAST_VERSION)?,
        reserved_version: number(RESERVED_VERSION)?,
    })
}

pub(crate) fn set_schema(transaction: &WriteTransaction, version: u64) -> Result<(), Trouble> {
    set(transaction, SCHEMA, &version.to_string())
}

pub(crate) fn set_agent_id(transaction: &WriteTransaction, id: &str) -> Result<(), Trouble> {
    set(transaction, AGENT_ID, id)
}

pub(crate) fn set_reserved(transaction: &WriteTransaction, version: u64) -> Result<(), Trouble> {
    set(transaction, RESERVED_VERSION, &version.to_string())
}

/// Raises the last committed version; a lower one changes nothing, because instances
/// commit in any order.
pub(crate) fn raise_last(transaction: &WriteTransaction, version: u64) -> Result<(), Trouble> {
    let last = read(transaction)?.last_version;
    set(transaction, LAST_VERSION, &last.max(version).to_string())
}

/// The instances that were configured last, in their order; `None` if that was never said.
pub(crate) fn instances(transaction: &ReadTransaction) -> Result<Option<Vec<String>>, Trouble> {
    let table = transaction.open_table(TABLE)?;
    let Some(text) = table.get(INSTANCES)? else {
        return Ok(None);
    };
    let instances = serde_json::from_str(text.value());
    let instances = instances.map_err(|error| Trouble::Damaged(format!("{INSTANCES}: {error}")))?;
    Ok(Some(instances))
}

pub(crate) fn set_instances(
    transaction: &WriteTransaction,
    instances: &[String],
) -> Result<(), Trouble> {
    let text = serde_json::to_string(instances);
    let text = text.map_err(|error| Trouble::Damaged(error.to_string()))?;
    set(transaction, INSTANCES, &text)
}

fn set(transaction: &WriteTransaction, key: &str, value: &str) -> Result<(), Trouble> {
    transaction.open_table(TABLE)?.insert(key, value)?;
    Ok(())
}
