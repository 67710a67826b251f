//! How far outputs, events and jobs are.

use std::collections::BTreeSet;

use pipeline::{EventSeen, OutputKey, Standing};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::error::Trouble;
use crate::tables::names::{self, Kind};

/// Instance and output to: is it behind?
const STANDINGS: TableDefinition<'_, (u32, u32), bool> = TableDefinition::new("standings");
/// Instance and event to the `publish_timestamp` it had when all of it was read, UNIX seconds.
const EVENTS: TableDefinition<'_, (u32, u32), i64> = TableDefinition::new("events");
/// Instance and job to when it was last done, UNIX milliseconds.
const DONE: TableDefinition<'_, (&str, &str), i64> = TableDefinition::new("done");

/// Instance to a hash of what selects its events. Made with the first of them.
const SELECTIONS: TableDefinition<'_, &str, &str> = TableDefinition::new("selections");

pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(STANDINGS)?;
    transaction.open_table(EVENTS)?;
    transaction.open_table(DONE)?;
    Ok(())
}

/// `None` where nothing is known of this output.
pub(crate) fn standing(
    transaction: &ReadTransaction,
    instance: &str,
    output: &OutputKey,
) -> Result<Option<Standing>, Trouble> {
    let Some((output, instance)) = super::documents::place(transaction, instance, output)? else {
        return Ok(None);
    };
    let standings = transaction.open_table(STANDINGS)?;
    Ok(standings
        .get((instance, output))?
        .map(|behind| match behind.value() {
            true => Standing::Behind,
            false => Standing::Current,
        }))
}

/// The outputs of an instance of which something is known.
pub(crate) fn outputs(
    transaction: &ReadTransaction,
    instance: &str,
) -> Result<Vec<OutputKey>, Trouble> {
    let Some(instance) = names::find(transaction, Kind::Instance, instance)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let standings = transaction.open_table(STANDINGS)?;
    for entry in standings.range((instance, 0)..(instance.saturating_add(1), 0))? {
        let (_, output) = entry?.0.value();
        found.push(names::output(transaction, output)?);
    }
    Ok(found)
}

pub(crate) fn set_standing(
    transaction: &WriteTransaction,
    instance: &str,
    output: &OutputKey,
    behind: bool,
) -> Result<(), Trouble> {
    let key = numbers(transaction, instance, output)?;
    transaction.open_table(STANDINGS)?.insert(key, behind)?;
    Ok(())
}

/// An output of which nothing is known is current from its first commit on.
pub(crate) fn has_committed(
    transaction: &WriteTransaction,
    instance: &str,
    output: &OutputKey,
) -> Result<(), Trouble> {
    let key = numbers(transaction, instance, output)?;
    let mut standings = transaction.open_table(STANDINGS)?;
    let known = standings.get(key)?.is_some();
    if !known {
        standings.insert(key, false)?;
    }
    Ok(())
}

fn numbers(
    transaction: &WriteTransaction,
    instance: &str,
    output: &OutputKey,
) -> Result<(u32, u32), Trouble> {
    Ok((
        names::number(transaction, Kind::Instance, instance)?,
        names::number(transaction, Kind::Output, &names::of_output(output))?,
    ))
}

pub(crate) fn set_events(
    transaction: &WriteTransaction,
    instance: u32,
    events: &[EventSeen],
) -> Result<(), Trouble> {
    for event in events {
        let number = names::number(transaction, Kind::Event, &event.uuid)?;
        let mut table = transaction.open_table(EVENTS)?;
        table.insert((instance, number), event.publish_timestamp)?;
    }
    Ok(())
}

/// The events that were read whole and had this `publish_timestamp` or a later one.
pub(crate) fn events_since(
    transaction: &ReadTransaction,
    instance: u32,
    seconds: i64,
) -> Result<BTreeSet<u32>, Trouble> {
    let mut events = BTreeSet::new();
    let table = transaction.open_table(EVENTS)?;
    for entry in table.range((instance, 0)..(instance.saturating_add(1), 0))? {
        let (key, published) = entry?;
        if published.value() >= seconds {
            events.insert(key.value().1);
        }
    }
    Ok(events)
}

/// The `publish_timestamp` that an event had when all of it was read.
pub(crate) fn published(
    transaction: &ReadTransaction,
    instance: u32,
    event: u32,
) -> Result<Option<i64>, Trouble> {
    let table = transaction.open_table(EVENTS)?;
    Ok(table.get((instance, event))?.map(|seconds| seconds.value()))
}

pub(crate) fn last_done(
    transaction: &ReadTransaction,
    instance: &str,
    what: &str,
) -> Result<Option<i64>, Trouble> {
    let table = transaction.open_table(DONE)?;
    Ok(table.get((instance, what))?.map(|at| at.value()))
}

pub(crate) fn set_done(
    transaction: &WriteTransaction,
    instance: &str,
    what: &str,
    at_ms: i64,
) -> Result<(), Trouble> {
    transaction
        .open_table(DONE)?
        .insert((instance, what), at_ms)?;
    Ok(())
}

/// Notes what selects an instance's events; gives what was known before.
pub(crate) fn set_selection(
    transaction: &WriteTransaction,
    instance: &str,
    selection: &str,
) -> Result<Option<String>, Trouble> {
    let mut table = transaction.open_table(SELECTIONS)?;
    let known = table.insert(instance, selection)?;
    Ok(known.map(|known| known.value().to_owned()))
}

/// Forgets which jobs were done for an instance.
pub(crate) fn forget_done(transaction: &WriteTransaction, instance: &str) -> Result<(), Trouble> {
    let mut done = transaction.open_table(DONE)?;
    done.retain(|(name, _), _| name != instance)?;
    Ok(())
}

/// Makes an instance's times of jobs and its selection another's, unless that one has begun.
pub(crate) fn rename_jobs(
    transaction: &WriteTransaction,
    old: &str,
    new: &str,
    has_begun: bool,
) -> Result<(), Trouble> {
    let mut done = transaction.open_table(DONE)?;
    let mut moved = Vec::new();
    done.retain(|(name, what), at| {
        if name == old {
            moved.push((what.to_owned(), at));
        }
        name != old
    })?;
    for (what, at) in moved.iter().filter(|_| !has_begun) {
        done.insert((new, what.as_str()), *at)?;
    }
    let mut selections = transaction.open_table(SELECTIONS)?;
    let selection = selections
        .remove(old)?
        .map(|known| known.value().to_owned());
    if let Some(selection) = selection.filter(|_| !has_begun) {
        selections.insert(new, selection.as_str())?;
    }
    Ok(())
}

/// Makes one instance's part another's; what that one knows itself stays if it has begun.
pub(crate) fn merge(
    transaction: &WriteTransaction,
    old: u32,
    new: u32,
    has_begun: bool,
) -> Result<(), Trouble> {
    let mut standings = transaction.open_table(STANDINGS)?;
    let moved = take(&mut standings, old)?;
    for (output, behind) in moved.into_iter().filter(|_| !has_begun) {
        standings.insert((new, output), behind)?;
    }
    let mut events = transaction.open_table(EVENTS)?;
    for (event, published) in take(&mut events, old)? {
        let known = events.get((new, event))?.is_some();
        if !known {
            events.insert((new, event), published)?;
        }
    }
    Ok(())
}

/// Takes an instance's rows.
fn take<V: Copy + for<'v> redb::Value<SelfType<'v> = V> + 'static>(
    table: &mut redb::Table<'_, (u32, u32), V>,
    instance: u32,
) -> Result<Vec<(u32, V)>, Trouble> {
    let mut taken = Vec::new();
    let rows = (instance, 0)..(instance.saturating_add(1), 0);
    table.retain_in(rows, |(_, other), value| {
        taken.push((other, value));
        false
    })?;
    Ok(taken)
}

/// Forgets how far an instance was.
pub(crate) fn forget(transaction: &WriteTransaction, number: u32) -> Result<(), Trouble> {
    let mut standings = transaction.open_table(STANDINGS)?;
    standings.retain_in((number, 0)..(number.saturating_add(1), 0), |_, _| false)?;
    let mut events = transaction.open_table(EVENTS)?;
    events.retain_in((number, 0)..(number.saturating_add(1), 0), |_, _| false)?;
    Ok(())
}

/// Forgets what selects an instance's events, and when its jobs were done.
pub(crate) fn forget_jobs(transaction: &WriteTransaction, instance: &str) -> Result<(), Trouble> {
    transaction.open_table(SELECTIONS)?.remove(instance)?;
    forget_done(transaction, instance)
}
