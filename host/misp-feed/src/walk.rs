//! One read of a feed: the events that are to be read, and what became of them.

use std::collections::{BTreeMap, VecDeque};

use pipeline::UnreadEvent;
use uuid::Uuid;

use crate::error::{Blame, FeedError};
use crate::manifest::{Entry, Manifest, Stamp};
use crate::page::{Draft, Loaded, Wanted};
use crate::position::{Position, Validators};

/// How often one event is tried within a read, the others in between.
const TRIES: u32 = 3;
/// Events named in one line of the log.
const NAMED: usize = 10;

/// An event that is to be read.
#[derive(Debug)]
struct Todo {
    uuid: Uuid,
    entry: Entry,
    failed: u32,
}

/// What goes on after a failure.
#[derive(Debug)]
pub(crate) enum After {
    /// With the next event.
    Next,
    /// Not now: this is in the way.
    Stop(FeedError),
}

/// One read of a feed.
#[derive(Debug)]
pub(crate) struct Walk {
    todo: VecDeque<Todo>,
    draft: Draft,
    drafted: Vec<(Uuid, Stamp)>,
    /// Read, but it belongs on the next page.
    carried: Option<(Uuid, Stamp, Loaded)>,
    validators: Option<Validators>,
    changed: u64,
    unread: u64,
    /// Of them, those that no page has reported.
    unreported: Vec<UnreadEvent>,
    /// Without a page of its own, where this read began would be forgotten.
    begins: bool,
}

impl Walk {
    /// What of the manifest was not handed out yet, as it is there now. `from`: what is older
    /// counts as handed out, UNIX seconds; for the first read.
    pub(crate) fn new(
        manifest: Manifest,
        validators: Option<Validators>,
        position: &mut Position,
        from: Option<i64>,
    ) -> Self {
        forget_removed(&manifest.entries, position);
        let mut left_out = 0_u64;
        let mut todo = Vec::new();
        for (uuid, entry) in manifest.entries {
            if from.is_some_and(|from| entry.timestamp < from) {
                position.known.insert(uuid, entry.stamp);
                position.left_out.insert(uuid);
                left_out += 1;
            } else if position.known.get(&uuid) != Some(&entry.stamp) {
                todo.push(Todo {
                    uuid,
                    entry,
                    failed: 0,
                });
            }
        }
        if left_out > 0 {
            tracing::info!(
                events = left_out,
                "events older than `lookback` are left out"
            );
        }
        todo.sort_by_key(|todo| (todo.entry.timestamp, todo.uuid));
        let mut walk = Self {
            changed: todo.len() as u64,
            todo: todo.into(),
            draft: Draft::default(),
            drafted: Vec::new(),
            carried: None,
            validators,
            unread: 0,
            unreported: Vec::new(),
            begins: left_out > 0,
        };
        position.validators = walk.validators_if_done();
        walk
    }

    /// The next file to read; `None`: the page is as large as it gets, or nothing is left.
    pub(crate) fn wanted(&mut self) -> Option<Wanted> {
        if let Some((uuid, stamp, file)) = self.carried.take() {
            self.add(uuid, stamp, file);
        }
        if self.carried.is_some() || self.draft.is_full() {
            return None;
        }
        let next = self.todo.front()?;
        Some(Wanted::of(next.uuid, &next.entry))
    }

    /// The file that was wanted is here.
    pub(crate) fn read(&mut self, file: Loaded) {
        if let Some(done) = self.todo.pop_front() {
            self.add(done.uuid, done.entry.stamp, file);
        }
    }

    fn add(&mut self, uuid: Uuid, stamp: Stamp, file: Loaded) {
        match self.draft.push(file) {
            Ok(()) => self.drafted.push((uuid, stamp)),
            Err(file) => self.carried = Some((uuid, stamp, file)),
        }
    }

    /// The file that was wanted cannot be read.
    pub(crate) fn failed(&mut self, error: FeedError) -> After {
        let blame = error.blame();
        if blame == Blame::Feed {
            return After::Stop(error);
        }
        let Some(mut todo) = self.todo.pop_front() else {
            return After::Stop(error);
        };
        todo.failed += 1;
        if blame == Blame::Either && todo.failed < TRIES {
            // Behind the others, so that it keeps none of them waiting.
            self.todo.push_back(todo);
            return After::Stop(error);
        }
        self.unread += 1;
        self.unreported.push(UnreadEvent {
            uuid: todo.uuid.to_string(),
            error: error.to_string(),
        });
        After::Next
    }

    /// What makes the next page, the position once it is done, and the events that could not be
    /// read since the last one; `None` at the end.
    pub(crate) fn page(
        &mut self,
        position: &Position,
    ) -> Option<(Draft, Position, Vec<UnreadEvent>)> {
        let unread = std::mem::take(&mut self.unreported);
        if self.draft.is_empty() && unread.is_empty() && !self.begins {
            return None;
        }
        self.begins = false;
        let draft = std::mem::take(&mut self.draft);
        let mut after = position.clone();
        for (uuid, stamp) in self.drafted.drain(..) {
            after.left_out.remove(&uuid);
            after.known.insert(uuid, stamp);
        }
        after.validators = self.validators_if_done();
        Some((draft, after, unread))
    }

    /// Only a manifest of which nothing is left to read needs no other look.
    fn validators_if_done(&mut self) -> Option<Validators> {
        let done = self.todo.is_empty() && self.carried.is_none() && self.unread == 0;
        if done { self.validators.take() } else { None }
    }

    pub(crate) fn has_draft(&self) -> bool {
        !self.draft.is_empty()
    }

    /// Events that this read is about.
    pub(crate) fn changed(&self) -> u64 {
        self.changed
    }

    pub(crate) fn end(&self) {
        if self.unread > 0 {
            tracing::warn!(
                unread = self.unread,
                changed = self.changed,
                "some events of the feed could not be read; the next poll tries them again"
            );
        }
    }
}

/// Events that the manifest does not name any more: the next sweep withdraws what was handed out
/// of them; should they come back, they are read again.
fn forget_removed(entries: &BTreeMap<Uuid, Entry>, position: &mut Position) {
    let removed: Vec<Uuid> = position
        .known
        .extract_if(.., |uuid, _| !entries.contains_key(uuid))
        .map(|(uuid, _)| uuid)
        .filter(|uuid| !position.left_out.remove(uuid))
        .collect();
    if removed.is_empty() {
        return;
    }
    let named: Vec<String> = removed.iter().take(NAMED).map(Uuid::to_string).collect();
    tracing::info!(
        events = removed.len(),
        uuids = named.join(" "),
        "events were removed from the feed; the next sweep withdraws their documents"
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::page::Loaded;

    fn manifest(events: &BTreeMap<u8, i64>) -> Manifest {
        let entries: serde_json::Map<String, serde_json::Value> = events
            .iter()
            .map(|(number, timestamp)| {
                let uuid = Uuid::from_u128(u128::from(*number)).to_string();
                (uuid, serde_json::json!({"timestamp": timestamp}))
            })
            .collect();
        Manifest::parse(serde_json::Value::Object(entries).to_string().as_bytes()).unwrap()
    }

    fn failure(kind: u8) -> FeedError {
        let file = String::new();
        match kind {
            0 => FeedError::Gone { file },
            1 => FeedError::Timeout { file, seconds: 1 },
            _ => FeedError::RateLimited {
                wait: std::time::Duration::ZERO,
            },
        }
    }

    proptest! {
        /// Whatever the feed becomes, whatever cannot be read and whenever the host is killed:
        /// the cursor names what was handed out and nothing else, and in the end all was.
        #[test]
        fn every_state_is_handed_out(
            feeds in prop::collection::vec(prop::collection::btree_map(0_u8..12, 0_i64..4, 0..12), 1..5),
            fates in prop::collection::vec(0_u8..9, 0..60),
            joinable in any::<bool>(),
        ) {
            let mut fates = fates.into_iter();
            let mut handed_out = BTreeMap::new();
            let mut position = Position::default();
            let last = feeds.last().cloned().unwrap();
            for (at, feed) in feeds.into_iter().chain([last.clone(), last.clone()]).enumerate() {
                let mut walk = Walk::new(manifest(&feed), None, &mut position, None);
                let mut stored = position.write();
                let killed = 'reading: loop {
                    while let Some(wanted) = walk.wanted() {
                        let uuid = wanted.uuid.unwrap();
                        match fates.next() {
                            Some(kind @ 0..=2) => {
                                let _ = walk.failed(failure(kind));
                            }
                            Some(3) => break 'reading true,
                            _ => walk.read(Loaded::empty(uuid, joinable)),
                        }
                    }
                    let Some((draft, after, _)) = walk.page(&position) else {
                        break false;
                    };
                    for uuid in draft.uuids() {
                        let number = u8::try_from(uuid.as_u128()).unwrap();
                        handed_out.insert(number, feed[&number]);
                    }
                    position = after;
                    stored = position.write();
                };
                if killed || at % 2 == 0 {
                    position = Position::read(&stored).unwrap();
                }
                for (uuid, stamp) in &position.known {
                    let number = u8::try_from(uuid.as_u128()).unwrap();
                    let came = BTreeMap::from([(number, handed_out[&number])]);
                    prop_assert_eq!(manifest(&came).entries[uuid].stamp, *stamp);
                }
            }
            if fates.next().is_none() {
                let mut walk = Walk::new(manifest(&last), None, &mut position, None);
                while let Some(wanted) = walk.wanted() {
                    let uuid = wanted.uuid.unwrap();
                    let number = u8::try_from(uuid.as_u128()).unwrap();
                    handed_out.insert(number, last[&number]);
                    walk.read(Loaded::empty(uuid, true));
                }
                for (number, timestamp) in last {
                    prop_assert_eq!(handed_out.get(&number), Some(&timestamp));
                }
            }
        }
    }
}
