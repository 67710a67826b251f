//! The refetch queue: events that must be read, whatever their clocks say, and what is known of
//! those that the source could not give.

use std::time::Duration;

use pipeline::{UnreadEvent, WaitingEvent};
use redb::WriteTransaction;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, TableError};

use crate::error::Trouble;
use crate::tables::names;

/// Instance and event's uuid.
const TABLE: TableDefinition<'_, (u32, &str), ()> = TableDefinition::new("wanted");
/// Instance and event's uuid, for those that could not be read, to: attempts, when the next one
/// is due (UNIX milliseconds), and the last error. Made with the first of them.
const UNREAD: TableDefinition<'_, (u32, &str), (u32, i64, &str)> = TableDefinition::new("unread");

/// Instance and event's uuid, for those of which everything is deleted if the source does not give
/// them. Made with the first of them.
const TO_DELETE: TableDefinition<'_, (u32, &str), ()> = TableDefinition::new("to delete");

/// The wait after the first attempt at an event that cannot be read; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(5 * 60);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);

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

/// Everything that is held of these is deleted if the source does not give them.
pub(crate) fn mark(
    transaction: &WriteTransaction,
    instance: u32,
    events: &[String],
) -> Result<(), Trouble> {
    let mut table = transaction.open_table(TO_DELETE)?;
    for event in events {
        table.insert((instance, event.as_str()), ())?;
    }
    Ok(())
}

/// Those of these events that are marked.
pub(crate) fn marked(
    transaction: &ReadTransaction,
    instance: u32,
    events: &[String],
) -> Result<Vec<String>, Trouble> {
    let table = match transaction.open_table(TO_DELETE) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for event in events {
        if table.get((instance, event.as_str()))?.is_some() {
            found.push(event.clone());
        }
    }
    Ok(found)
}

/// The source could not give this event: it is wanted, after a wait.
pub(crate) fn add_unread(
    transaction: &WriteTransaction,
    instance: u32,
    event: &UnreadEvent,
    now_ms: i64,
) -> Result<(), Trouble> {
    add_uuid(transaction, instance, &event.uuid)?;
    let mut table = transaction.open_table(UNREAD)?;
    let key = (instance, event.uuid.as_str());
    let before = table.get(key)?.map_or(0, |row| row.value().0);
    let wait = FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(before))
        .min(LONGEST_WAIT);
    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    let row = (
        before.saturating_add(1),
        now_ms.saturating_add(wait_ms),
        event.error.as_str(),
    );
    table.insert(key, row)?;
    Ok(())
}

/// Somebody asks for this event: an attempt does not wait any longer.
pub(crate) fn wait_no_longer(
    transaction: &WriteTransaction,
    instance: u32,
    uuid: &str,
) -> Result<(), Trouble> {
    let mut table = transaction.open_table(UNREAD)?;
    let row = table.get((instance, uuid))?.map(|row| {
        let (attempts, _, error) = row.value();
        (attempts, error.to_owned())
    });
    if let Some((attempts, error)) = row {
        table.insert((instance, uuid), (attempts, 0, error.as_str()))?;
    }
    Ok(())
}

/// The events that could not be read: at most `limit`, and how many there are.
pub(crate) fn unread(
    transaction: &ReadTransaction,
    instance: u32,
    limit: usize,
) -> Result<(u64, Vec<WaitingEvent>), Trouble> {
    let Some(table) = unread_table(transaction)? else {
        return Ok((0, Vec::new()));
    };
    let (mut count, mut some) = (0, Vec::new());
    for entry in table.range((instance, "")..(instance.saturating_add(1), ""))? {
        let (key, row) = entry?;
        count += 1;
        if some.len() < limit {
            let (attempts, again_ms, error) = row.value();
            some.push(WaitingEvent {
                uuid: key.value().1.to_owned(),
                error: error.to_owned(),
                attempts,
                again_ms,
            });
        }
    }
    Ok((count, some))
}

type UnreadTable = ReadOnlyTable<(u32, &'static str), (u32, i64, &'static str)>;

fn unread_table(transaction: &ReadTransaction) -> Result<Option<UnreadTable>, Trouble> {
    match transaction.open_table(UNREAD) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// All of an event was read: if it could not be read before, it waits no longer.
pub(crate) fn was_read(
    transaction: &WriteTransaction,
    instance: u32,
    uuid: &str,
) -> Result<(), Trouble> {
    let waits = {
        let table = transaction.open_table(UNREAD)?;
        table.get((instance, uuid))?.is_some()
    };
    if waits {
        remove(transaction, instance, uuid)?;
    }
    Ok(())
}

pub(crate) fn remove(
    transaction: &WriteTransaction,
    instance: u32,
    uuid: &str,
) -> Result<(), Trouble> {
    transaction.open_table(TABLE)?.remove((instance, uuid))?;
    transaction.open_table(UNREAD)?.remove((instance, uuid))?;
    transaction
        .open_table(TO_DELETE)?
        .remove((instance, uuid))?;
    Ok(())
}

/// Those whose time has come: at most `limit`, in the order of their uuids, after `after`.
pub(crate) fn some(
    transaction: &ReadTransaction,
    instance: u32,
    now_ms: i64,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, Trouble> {
    let table = transaction.open_table(TABLE)?;
    let unread = unread_table(transaction)?;
    let mut found = Vec::new();
    let from = (instance, after.unwrap_or_default());
    for entry in table.range(from..(instance.saturating_add(1), ""))? {
        let (key, _) = entry?;
        let (_, uuid) = key.value();
        let waits = match &unread {
            Some(unread) => unread
                .get((instance, uuid))?
                .is_some_and(|row| row.value().1 > now_ms),
            None => false,
        };
        if after != Some(uuid) && !waits {
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

/// Makes what one instance wants another's.
pub(crate) fn merge(transaction: &WriteTransaction, old: u32, new: u32) -> Result<(), Trouble> {
    let mut table = transaction.open_table(TABLE)?;
    let mut moved = Vec::new();
    table.retain_in((old, "")..(old.saturating_add(1), ""), |(_, uuid), ()| {
        moved.push(uuid.to_owned());
        false
    })?;
    for uuid in moved {
        table.insert((new, uuid.as_str()), ())?;
    }
    // It is another instance that tries now.
    let mut unread = transaction.open_table(UNREAD)?;
    unread.retain_in((old, "")..(old.saturating_add(1), ""), |_, _| false)?;
    Ok(())
}

pub(crate) fn forget(transaction: &WriteTransaction, instance: u32) -> Result<(), Trouble> {
    let mut table = transaction.open_table(TABLE)?;
    table.retain_in((instance, "")..(instance.saturating_add(1), ""), |_, ()| {
        false
    })?;
    let range = (instance, "")..(instance.saturating_add(1), "");
    let mut table = transaction.open_table(UNREAD)?;
    table.retain_in(range.clone(), |_, _| false)?;
    let mut table = transaction.open_table(TO_DELETE)?;
    table.retain_in(range, |_, ()| false)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use pipeline::{Commit, State, UnreadEvent};

    use crate::Store;

    const HOUR_MS: i64 = 3_600_000;

    fn commit(store: &Store, unread: &[&str], no_longer_wanted: &[&str]) {
        let unread: Vec<UnreadEvent> = unread
            .iter()
            .map(|uuid| UnreadEvent {
                uuid: (*uuid).to_owned(),
                error: "too large".to_owned(),
            })
            .collect();
        let no_longer_wanted: Vec<String> = no_longer_wanted
            .iter()
            .map(|one| (*one).to_owned())
            .collect();
        let commit = Commit {
            instance: "lab",
            walk: "lab",
            cursor: None,
            version: 1,
            outputs: &[],
            whole: &[],
            no_longer_wanted: &no_longer_wanted,
            unread: &unread,
        };
        State::commit(store, &commit).unwrap();
    }

    #[test]
    fn an_unread_event_waits_longer_each_time_until_it_is_read_or_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let now = pipeline::now_ms();
        let due = |store: &Store, at: i64| State::wanted(store, "lab", at, None, 9).unwrap();
        assert_eq!(State::unread(&store, "lab", 9).unwrap(), (0, Vec::new()));
        commit(&store, &["a", "b"], &[]);
        assert_eq!(due(&store, now), [""; 0]);
        assert_eq!(due(&store, now + HOUR_MS), ["a", "b"]);
        drop(store);

        let store = Store::open(folder.path()).unwrap();
        for _ in 0..20 {
            commit(&store, &["a"], &[]);
        }
        assert_eq!(due(&store, now + HOUR_MS), ["b"]);
        assert_eq!(due(&store, now + 7 * HOUR_MS), ["a", "b"]);
        let (count, some) = State::unread(&store, "lab", 1).unwrap();
        assert_eq!((count, some.len(), some[0].attempts), (2, 1, 21));
        assert_eq!(some[0].error, "too large");
        assert_eq!(store.wanted_count("lab").unwrap(), 2);

        State::want(&store, "lab", &["a".to_owned()]).unwrap();
        assert_eq!(due(&store, now), ["a"]);
        commit(&store, &[], &["a", "b"]);
        assert_eq!(due(&store, i64::MAX), [""; 0]);
        assert_eq!(State::unread(&store, "lab", 9).unwrap(), (0, Vec::new()));
    }
}
