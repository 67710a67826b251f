//! The end of a page: what its whole events no longer hold is withdrawn, then the cursor moves.

use std::collections::BTreeSet;

use super::{MappedBatch, PageEnd};
use crate::context::Context;
use crate::crash;
use crate::error::RunError;
use crate::memory::OutputKey;
use crate::record::{EventSeen, Whole};
use crate::traits::Commit;
use crate::withdraw;

/// What is known of the page that is being delivered.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Events whose last slice has been delivered.
    finished: Vec<EventSeen>,
    /// Events of which a part was refused, on this page or an earlier one: nothing of them is
    /// deleted.
    faulted: BTreeSet<String>,
    /// A part of the page could not be read: whose it was, nobody knows.
    broken: bool,
    /// The write version of the first page since the last one that moved the cursor: an event
    /// may be spread over these pages.
    first_version: Option<u64>,
    /// Events of which something came since the cursor moved last.
    came: BTreeSet<String>,
    /// A part of a page could not be read since the cursor moved last.
    any_broken: bool,
}

impl Progress {
    /// A batch has been delivered: which events are finished, and which have a fault.
    pub(super) fn see(&mut self, batch: &MappedBatch) {
        self.first_version.get_or_insert(batch.version);
        for broken in &batch.broken {
            match broken.error.event() {
                Some(uuid) => {
                    self.faulted.insert(uuid.to_owned());
                    self.came.insert(uuid.to_owned());
                }
                None => (self.broken, self.any_broken) = (true, true),
            }
        }
        for (record, mapped) in batch.records.iter().zip(&batch.mapped) {
            let uuid = &record.head.uuid;
            if !self.came.contains(uuid) {
                self.came.insert(uuid.clone());
            }
            let faulted = mapped
                .as_ref()
                .map_or(true, |outcome| !outcome.refused.is_empty());
            if faulted {
                self.faulted.insert(uuid.clone());
            }
            if record.last && !uuid.is_empty() {
                self.finished.push(EventSeen {
                    uuid: uuid.clone(),
                    publish_timestamp: record.head.publish_timestamp.unwrap_or(0),
                });
            }
        }
    }

    /// Withdraws what the page's whole events no longer hold, then moves the cursor.
    pub(super) async fn end(
        &mut self,
        context: &Context<'_>,
        page: PageEnd,
    ) -> Result<(), RunError> {
        let Self {
            finished,
            faulted,
            broken,
            first_version,
            mut came,
            any_broken,
        } = std::mem::take(self);
        let since = first_version.unwrap_or(page.version);
        // Such an event may have begun with an earlier page, and may end with a later one.
        let spread = matches!(page.whole, Whole::Events(_)) && page.cursor.is_none();
        let whole = match page.whole {
            Whole::Slices => finished,
            Whole::Events(events) => events,
        };
        let sound = whole
            .iter()
            .filter(|event| !broken && !faulted.contains(&event.uuid));
        for event in sound {
            withdraw::older(context, &event.uuid, since, page.version, page.now_ms).await?;
        }
        came.extend(whole.iter().map(|event| event.uuid.clone()));
        if !any_broken {
            for event in left(context, &page.no_longer_wanted, &came).await? {
                withdraw::older(context, &event, page.version, page.version, page.now_ms).await?;
            }
        }
        crash::point("withdrawn");
        if page.cursor.is_none() {
            self.first_version = Some(since);
            self.came = came;
            self.any_broken = any_broken;
        }
        if spread {
            self.broken = broken && whole.is_empty();
            self.faulted = faulted;
            for event in &whole {
                self.faulted.remove(&event.uuid);
            }
        }
        let (instance, walk) = (context.instance.to_owned(), context.walk.to_owned());
        let current = context.current();
        let keys: Vec<OutputKey> = current.map(|sink| sink.key.clone()).collect();
        let (cursor, wanted, unread) = (page.cursor, page.no_longer_wanted, page.unread);
        let version = page.version;
        context
            .on_state(move |state| {
                state.commit(&Commit {
                    instance: &instance,
                    walk: &walk,
                    cursor: cursor.as_ref(),
                    version,
                    outputs: &keys,
                    whole: &whole,
                    no_longer_wanted: &wanted,
                    unread: &unread,
                })
            })
            .await?;
        crash::point("committed");
        Ok(())
    }
}

/// Those of the events asked for by name that the source did not give, and that are to be deleted
/// then.
async fn left(
    context: &Context<'_>,
    asked: &[String],
    came: &BTreeSet<String>,
) -> Result<Vec<String>, RunError> {
    let gone = asked.iter().filter(|event| !came.contains(*event));
    let gone: Vec<String> = gone.cloned().collect();
    if gone.is_empty() {
        return Ok(gone);
    }
    let instance = context.instance.to_owned();
    context
        .on_state(move |state| state.to_delete(&instance, &gone))
        .await
}
