//! The shape of the tables, by number, and the way from each to the next.

use redb::WriteTransaction;

use crate::error::Trouble;
use crate::tables::{cursors, documents, meta, names, progress, wanted};

/// A step makes schema N + 1 of schema N. They run in one transaction: a database is
/// never between two schemas.
pub(crate) type Step = fn(&WriteTransaction) -> Result<(), Trouble>;

/// Every step there has been, from an empty database on. Released steps never change.
pub(crate) const STEPS: &[Step] = &[create, remember, count_changes, by_event];

/// Schema 1: `meta` and `cursors`.
fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    cursors::create(transaction)?;
    meta::set_agent_id(transaction, &uuid::Uuid::new_v4().to_string())
}

/// Schema 2: what went out.
fn remember(transaction: &WriteTransaction) -> Result<(), Trouble> {
    names::create(transaction)?;
    documents::create(transaction)?;
    progress::create(transaction)?;
    wanted::create(transaction)
}

/// Schema 3: how often what went out has changed, and under which mappings.
fn count_changes(transaction: &WriteTransaction) -> Result<(), Trouble> {
    documents::count_changes(transaction)
}

/// Schema 4: what went out, by event.
fn by_event(transaction: &WriteTransaction) -> Result<(), Trouble> {
    documents::by_event(transaction)
}

/// Takes the steps that are missing. Says from which schema it came, if it moved.
pub(crate) fn upgrade(
    transaction: &WriteTransaction,
    steps: &[Step],
) -> Result<Option<u64>, Trouble> {
    let found = meta::read(transaction)?.schema;
    let known = steps.len() as u64;
    let missing = usize::try_from(found)
        .ok()
        .and_then(|found| steps.get(found..));
    let Some(missing) = missing else {
        return Err(Trouble::FromTheFuture { found, known });
    };
    if found > 0 && !missing.is_empty() {
        tracing::info!(
            from = found,
            to = known,
            "upgrading the state: of a large one that takes a minute"
        );
    }
    for step in missing {
        step(transaction)?;
    }
    if missing.is_empty() {
        return Ok(None);
    }
    meta::set_schema(transaction, known)?;
    Ok(Some(found))
}
