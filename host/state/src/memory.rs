//! The store as the pipeline's [`State`].

use std::sync::Arc;

use crate::comparison::StoredComparison;
use crate::error::Trouble;
use crate::store::Store;
use crate::tables::cursors::{self, InstanceState};
use crate::tables::names::{self, Kind};
use crate::tables::{documents, mappings, meta, progress, targets, wanted};
use crate::transaction::Writing;
use pipeline::{
    Changes, Commit, Comparison, Cursor, Delivery, DueCounts, Held, OutputKey, Remembered,
    Standing, State, StateError, TargetChange, TargetIdentity, WaitingEvent, catch_up_walk, now_ms,
};

impl State for Store {
    fn cursor(&self, walk: &str) -> Result<Option<Cursor>, StateError> {
        let state = self.read(|transaction| cursors::get(transaction, walk));
        let state = state.map_err(StateError::new)?;
        Ok(state.map(|state| Cursor(state.cursor)))
    }

    fn next_version(&self, fetched_ms: i64) -> Result<u64, StateError> {
        Self::next_version(self, fetched_ms).map_err(StateError::new)
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), StateError> {
        let committed = self.change(|transaction| {
            if let Some(cursor) = commit.cursor {
                let state = InstanceState {
                    instance: commit.walk.to_owned(),
                    cursor: cursor.0.clone(),
                    version: commit.version,
                    updated_ms: now_ms(),
                };
                cursors::set(transaction, &state)?;
            }
            let instance = names::number(transaction, Kind::Instance, commit.instance)?;
            progress::set_events(transaction, instance, commit.whole)?;
            for event in commit.no_longer_wanted {
                wanted::remove(transaction, instance, event)?;
            }
            if commit.walk == commit.instance {
                for event in commit.whole {
                    wanted::was_read(transaction, instance, &event.uuid)?;
                }
            }
            for event in commit.unread {
                wanted::add_unread(transaction, instance, event, now_ms())?;
            }
            // A walk of its own says itself when it is at its end.
            if commit.walk == commit.instance {
                for output in commit.outputs {
                    progress::has_committed(transaction, commit.instance, output)?;
                }
            }
            meta::raise_last(transaction, commit.version)
        });
        committed.map_err(StateError::new)
    }

    fn standing(&self, instance: &str, output: &OutputKey) -> Result<Standing, StateError> {
        let standing = self.read(|transaction| {
            let known = progress::standing(transaction, instance, output)?;
            Ok(match known {
                Some(standing) => standing,
                None if cursors::get(transaction, instance)?.is_some() => Standing::Behind,
                None => Standing::New,
            })
        });
        standing.map_err(StateError::new)
    }

    fn leave_behind(
        &self,
        instance: &str,
        output: &OutputKey,
        everything: bool,
    ) -> Result<(), StateError> {
        let walk = catch_up_walk(instance, output);
        let left = self.change(|transaction| {
            if everything {
                cursors::remove(transaction, &walk)?;
            } else {
                cursors::copy(transaction, instance, &walk)?;
            }
            progress::set_standing(transaction, instance, output, true)
        });
        left.map_err(StateError::new)
    }

    fn leave_others_behind(
        &self,
        instance: &str,
        configured: &[OutputKey],
    ) -> Result<(), StateError> {
        let others = self.read(|transaction| {
            let mut others = progress::outputs(transaction, instance)?;
            others.retain(|output| !configured.contains(output));
            let mut current = Vec::new();
            for output in others {
                let standing = progress::standing(transaction, instance, &output)?;
                let walk = catch_up_walk(instance, &output);
                if standing != Some(Standing::Behind) || cursors::get(transaction, &walk)?.is_some()
                {
                    current.push(output);
                }
            }
            Ok(current)
        });
        for output in others.map_err(StateError::new)? {
            self.leave_behind(instance, &output, true)?;
        }
        Ok(())
    }

    fn caught_up(&self, instance: &str, output: &OutputKey) -> Result<(), StateError> {
        let walk = catch_up_walk(instance, output);
        let caught_up = self.change(|transaction| {
            cursors::remove(transaction, &walk)?;
            progress::set_standing(transaction, instance, output, false)
        });
        caught_up.map_err(StateError::new)
    }

    fn see_target(
        &self,
        output: &OutputKey,
        mapping: &str,
        target: &TargetIdentity,
    ) -> Result<Option<TargetChange>, StateError> {
        let is_known = self.read(|transaction| {
            let number = names::find(transaction, Kind::Output, &names::of_output(output))?;
            let Some(number) = number else {
                return Ok(false);
            };
            Ok(targets::get(transaction, number, mapping)?.is(target))
        });
        if is_known.map_err(StateError::new)? {
            return Ok(None);
        }
        self.change(|transaction| see_target(transaction, output, mapping, target))
            .map_err(StateError::new)
    }

    fn remembered(
        &self,
        instance: &str,
        output: &OutputKey,
        documents: &[Delivery],
    ) -> Result<Vec<Option<Remembered>>, StateError> {
        self.read(|transaction| documents::remembered(transaction, instance, output, documents))
            .map_err(StateError::new)
    }

    fn record(&self, changes: &[Changes<'_>]) -> Result<(), StateError> {
        let recorded = self.change(|transaction| {
            changes
                .iter()
                .try_for_each(|changes| documents::record(transaction, changes))
        });
        recorded.map_err(StateError::new)
    }

    fn older(
        &self,
        instance: &str,
        output: &OutputKey,
        event: &str,
        version: u64,
        limit: usize,
    ) -> Result<Vec<Held>, StateError> {
        let older =
            self.read(
                |transaction| match documents::place(transaction, instance, output)? {
                    Some(place) => documents::older(transaction, place, event, version, limit),
                    None => Ok(Vec::new()),
                },
            );
        older.map_err(StateError::new)
    }

    fn due(
        &self,
        instance: &str,
        output: &OutputKey,
        now_ms: i64,
        limit: usize,
    ) -> Result<Vec<Held>, StateError> {
        let due = self.read(
            |transaction| match documents::place(transaction, instance, output)? {
                Some(place) => documents::due(transaction, place, now_ms, limit),
                None => Ok(Vec::new()),
            },
        );
        due.map_err(StateError::new)
    }

    fn count_due(
        &self,
        instance: &str,
        output: &OutputKey,
        now_ms: i64,
        few: u64,
    ) -> Result<DueCounts, StateError> {
        let counts =
            self.read(
                |transaction| match documents::place(transaction, instance, output)? {
                    Some(place) => documents::count_due(transaction, place, now_ms, few),
                    None => Ok(DueCounts::default()),
                },
            );
        counts.map_err(StateError::new)
    }

    fn want_expired_too_early(&self, instance: &str, now_ms: i64) -> Result<u64, StateError> {
        let events =
            self.read(|transaction| documents::expired_too_early(transaction, instance, now_ms));
        let events = events.map_err(StateError::new)?;
        self.want(instance, &events)?;
        Ok(events.len() as u64)
    }

    fn held(
        &self,
        instance: &str,
        output: &OutputKey,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Held>, StateError> {
        let held =
            self.read(
                |transaction| match documents::place(transaction, instance, output)? {
                    Some(place) => documents::held(transaction, place, from, limit),
                    None => Ok(Vec::new()),
                },
            );
        held.map_err(StateError::new)
    }

    fn want(&self, instance: &str, events: &[String]) -> Result<(), StateError> {
        self.change(|transaction| mappings::want(transaction, instance, events))
            .map_err(StateError::new)
    }

    fn wanted(
        &self,
        instance: &str,
        now_ms: i64,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateError> {
        let wanted =
            self.read(
                |transaction| match names::find(transaction, Kind::Instance, instance)? {
                    Some(instance) => wanted::some(transaction, instance, now_ms, after, limit),
                    None => Ok(Vec::new()),
                },
            );
        wanted.map_err(StateError::new)
    }

    fn unread(&self, instance: &str, limit: usize) -> Result<(u64, Vec<WaitingEvent>), StateError> {
        let unread =
            self.read(
                |transaction| match names::find(transaction, Kind::Instance, instance)? {
                    Some(instance) => wanted::unread(transaction, instance, limit),
                    None => Ok((0, Vec::new())),
                },
            );
        unread.map_err(StateError::new)
    }

    fn last_done(&self, instance: &str, what: &str) -> Result<Option<i64>, StateError> {
        self.read(|transaction| progress::last_done(transaction, instance, what))
            .map_err(StateError::new)
    }

    fn set_done(&self, instance: &str, what: &str, at_ms: i64) -> Result<(), StateError> {
        self.change(|transaction| progress::set_done(transaction, instance, what, at_ms))
            .map_err(StateError::new)
    }

    fn want_or_delete(&self, instance: &str, events: &[String]) -> Result<(), StateError> {
        let wanted = self.change(|transaction| {
            mappings::want(transaction, instance, events)?;
            let instance = names::number(transaction, Kind::Instance, instance)?;
            wanted::mark(transaction, instance, events)
        });
        wanted.map_err(StateError::new)
    }

    fn to_delete(&self, instance: &str, events: &[String]) -> Result<Vec<String>, StateError> {
        let marked =
            self.read(
                |transaction| match names::find(transaction, Kind::Instance, instance)? {
                    Some(instance) => wanted::marked(transaction, instance, events),
                    None => Ok(Vec::new()),
                },
            );
        marked.map_err(StateError::new)
    }

    fn read_before(
        &self,
        instance: &str,
        events: &[String],
        seconds: i64,
    ) -> Result<Vec<String>, StateError> {
        let before = self.read(|transaction| {
            let Some(instance) = names::find(transaction, Kind::Instance, instance)? else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for event in events {
                let number = names::find(transaction, Kind::Event, event)?;
                let read = match number {
                    Some(number) => progress::published(transaction, instance, number)?,
                    None => None,
                };
                if read.is_some_and(|read| read < seconds) {
                    found.push(event.clone());
                }
            }
            Ok(found)
        });
        before.map_err(StateError::new)
    }

    fn select(&self, instance: &str, selection: &str, job: &str) -> Result<bool, StateError> {
        let changed = self.change(|transaction| {
            let known = progress::set_selection(transaction, instance, selection)?;
            let changed = known.is_some_and(|known| known != selection);
            if changed {
                cursors::remove(transaction, instance)?;
                cursors::remove_catch_ups(transaction, instance)?;
                progress::forget_done(transaction, instance)?;
                progress::set_done(transaction, instance, job, now_ms())?;
            }
            Ok(changed)
        });
        changed.map_err(StateError::new)
    }

    fn comparison(self: Arc<Self>, instance: &str) -> Result<Box<dyn Comparison>, StateError> {
        let folder = self.folder().to_owned();
        let comparison = StoredComparison::new(self, instance, &folder);
        Ok(Box::new(comparison.map_err(StateError::new)?))
    }
}

/// Remembers a target; if it is another one than before, nothing there counts any more.
fn see_target(
    transaction: &Writing,
    output: &OutputKey,
    mapping: &str,
    target: &TargetIdentity,
) -> Result<Option<TargetChange>, Trouble> {
    let number = names::number(transaction, Kind::Output, &names::of_output(output))?;
    let known = targets::get_while_writing(transaction, number, mapping)?;
    let has_documents = documents::has_documents(transaction, number)?;
    let change = known.change(target, has_documents);
    targets::set(transaction, number, mapping, target, change.is_some())?;
    if change.is_some() {
        documents::doubt(transaction, number)?;
        for instance in names::instances_while_writing(transaction)? {
            cursors::remove(transaction, &catch_up_walk(&instance, output))?;
            // One without a cursor has everything still to come.
            if cursors::is_known(transaction, &instance)? {
                progress::set_standing(transaction, &instance, output, true)?;
            }
        }
    }
    Ok(change)
}

/// Forgets an instance: its cursors, how far it was, and what it holds. Says whether there
/// was anything to forget.
pub(crate) fn forget(transaction: &Writing, instance: &str) -> Result<bool, Trouble> {
    let known = cursors::remove(transaction, instance)?;
    cursors::remove_catch_ups(transaction, instance)?;
    progress::forget_jobs(transaction, instance)?;
    let Some(number) = names::remove(transaction, Kind::Instance, instance)? else {
        return Ok(known);
    };
    progress::forget(transaction, number)?;
    wanted::forget(transaction, number)?;
    let held = documents::forget(transaction, number)?;
    Ok(known || held)
}
