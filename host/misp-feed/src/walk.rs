//! One read of a feed: the events that are to be read, and what became of them.

use std::collections::{BTreeMap, VecDeque};

use uuid::Uuid;

use crate::error::{Blame, FeedError};
use crate::manifest::{Entry, Manifest, Stamp};
use crate::page::{Draft, Loaded, Wanted};
use crate::position::{Position, Validators};

/// How often one event is tried within a read, the others in between.
const TRIES: u32 = 3;
/// Events named in one line of the log.
const NAMED: usize = 10;
/// Events that could not be read, told one by one; after them they are only counted.
const TOLD: u64 = 20;

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
        forget_removed(&manifest.entries, &mut position.known);
        let mut left_out = 0_u64;
        let mut todo = Vec::new();
        for (uuid, entry) in manifest.entries {
            if from.is_some_and(|from| entry.timestamp < from) {
                position.known.insert(uuid, entry.stamp);
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
        if self.unread <= TOLD {
            tracing::warn!(%error, "an event could not be read; the next poll tries it again");
        }
        After::Next
    }

    /// What makes the next page, and the position once it is done; `None` at the end.
    pub(crate) fn page(&mut self, position: &Position) -> Option<(Draft, Position)> {
        if self.draft.is_empty() && !std::mem::take(&mut self.begins) {
            return None;
        }
        self.begins = false;
        let draft = std::mem::take(&mut self.draft);
        let mut after = position.clone();
        after.known.extend(self.drafted.drain(..));
        after.validators = self.validators_if_done();
        Some((draft, after))
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

/// Events that the manifest does not name any more: the pipeline knows no way to withdraw a whole
/// event, so what was handed out of them stays; should they come back, they are read again.
fn forget_removed(entries: &BTreeMap<Uuid, Entry>, known: &mut BTreeMap<Uuid, Stamp>) {
    let removed: Vec<Uuid> = known
        .extract_if(.., |uuid, _| !entries.contains_key(uuid))
        .map(|(uuid, _)| uuid)
        .collect();
    if removed.is_empty() {
        return;
    }
    let named: Vec<String> = removed.iter().take(NAMED).map(Uuid::to_string).collect();
    tracing::warn!(
        events = removed.len(),
        uuids = named.join(" "),
        "events were removed from the feed; their documents stay"
    );
}
