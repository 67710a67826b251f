//! A mapped batch, and how several that wait become one.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use splitter::Record;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::batch::Broken;
use crate::record::{Delivery, Mapped, MappingIdentity};

/// Documents that are delivered at once: what an output, and the state with two durable
/// transactions, pays for a batch is paid for all of them.
const TOGETHER: usize = 2_000;
/// Bytes of records and documents between the mapping and the end of their delivery: two
/// batches of a thousand usual attributes that are delivered, and some that wait. A larger batch
/// is there alone.
const ROOM: usize = 16 << 20;
/// What the room is counted in.
const UNIT: usize = 1 << 10;
const UNITS: u32 = (ROOM / UNIT) as u32;

/// A batch, mapped.
#[derive(Debug)]
pub(crate) struct MappedBatch {
    pub(crate) version: u64,
    pub(crate) now_ms: i64,
    pub(crate) mapping: Arc<MappingIdentity>,
    /// The mapping's private types.
    pub(crate) redact: Arc<BTreeSet<String>>,
    pub(crate) records: Vec<Record>,
    pub(crate) broken: Vec<Broken>,
    /// What came of each record, without its documents: they are the deliveries.
    pub(crate) mapped: Vec<Mapped>,
    pub(crate) deliveries: Vec<Delivery>,
    room: Option<OwnedSemaphorePermit>,
}

/// What the batches of a pass have room in.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(UNITS as usize)))
    }

    /// Waits until the batch has room; it has it until it is dropped.
    pub(crate) async fn take(&self, batch: &mut MappedBatch) {
        let units = u32::try_from(batch.bytes().div_ceil(UNIT)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0).acquire_many_owned(units.min(UNITS));
        // It is never closed.
        batch.room = room.await.ok();
    }
}

impl MappedBatch {
    /// Takes the documents out of what was mapped: nothing of them is copied.
    pub(crate) fn new(
        (version, now_ms): (u64, i64),
        mapping: Arc<MappingIdentity>,
        redact: Arc<BTreeSet<String>>,
        (records, broken): (Vec<Record>, Vec<Broken>),
        mut mapped: Vec<Mapped>,
    ) -> Self {
        let mut deliveries = Vec::new();
        for outcome in mapped.iter_mut().flatten() {
            let event: Arc<str> = Arc::from(outcome.event.as_str());
            let documents = std::mem::take(&mut outcome.documents);
            deliveries.extend(documents.into_iter().map(|document| Delivery {
                event: Arc::clone(&event),
                version,
                mapping: Arc::clone(&mapping),
                before: Vec::new(),
                revision: 1,
                document,
            }));
        }
        Self {
            version,
            now_ms,
            mapping,
            redact,
            records,
            broken,
            mapped,
            deliveries,
            room: None,
        }
    }

    fn bytes(&self) -> usize {
        let records = self.records.iter().map(|record| record.json.len());
        let documents = self.deliveries.iter().map(|one| one.document.body.len());
        records.chain(documents).sum()
    }
}

/// Batches that are delivered as one.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) batch: MappedBatch,
    /// Hashes of the ids in it.
    ids: HashSet<u64>,
}

impl Gathered {
    pub(crate) fn new(batch: MappedBatch) -> Self {
        let ids = ids(&batch).collect();
        Self { batch, ids }
    }

    /// May another be added?
    pub(crate) fn has_place(&self) -> bool {
        self.batch.deliveries.len() < TOGETHER
    }

    /// Adds a batch of the same page, unless it has an id that is here already: what the second
    /// one does follows from what became of the first. Gives back one that is not added.
    pub(crate) fn add(&mut self, next: MappedBatch) -> Option<MappedBatch> {
        let batch = &mut self.batch;
        let fits = batch.version == next.version
            && batch.mapping == next.mapping
            && batch.deliveries.len() + next.deliveries.len() <= TOGETHER
            && ids(&next).all(|id| !self.ids.contains(&id));
        if !fits {
            return Some(next);
        }
        self.ids.extend(ids(&next));
        batch.records.extend(next.records);
        batch.broken.extend(next.broken);
        batch.mapped.extend(next.mapped);
        batch.deliveries.extend(next.deliveries);
        match (&mut batch.room, next.room) {
            (Some(room), Some(more)) => room.merge(more),
            (None, more) => batch.room = more,
            (Some(_), None) => {}
        }
        None
    }
}

fn ids(batch: &MappedBatch) -> impl Iterator<Item = u64> {
    batch.deliveries.iter().map(|delivery| {
        let mut hasher = DefaultHasher::new();
        delivery.document.id.hash(&mut hasher);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Document, Outcome};

    fn batch(mapping: &Arc<MappingIdentity>, version: u64, ids: &[&str]) -> MappedBatch {
        batch_of(5 << 20, mapping, version, ids)
    }

    /// Documents of so many bytes each.
    fn batch_of(
        bytes: usize,
        mapping: &Arc<MappingIdentity>,
        version: u64,
        ids: &[&str],
    ) -> MappedBatch {
        let documents = ids.iter().map(|id| {
            let mut document = Document::tombstone((*id).to_owned(), None, 0);
            document.body = vec![b' '; bytes].into();
            document
        });
        let outcome = Outcome {
            event: "e".to_owned(),
            documents: documents.collect(),
            ..Outcome::default()
        };
        let redact = Arc::default();
        let mapping = Arc::clone(mapping);
        let mapped = vec![Ok(outcome)];
        MappedBatch::new(
            (version, 7),
            mapping,
            redact,
            (Vec::new(), Vec::new()),
            mapped,
        )
    }

    fn mapping(name: &str) -> Arc<MappingIdentity> {
        Arc::new(MappingIdentity {
            name: name.to_owned(),
            version: "1".to_owned(),
            digest: String::new(),
        })
    }

    #[test]
    fn batches_of_a_page_become_one_and_others_do_not() {
        let (one, other) = (mapping("one"), mapping("other"));
        let mut gathered = Gathered::new(batch(&one, 1, &["a"]));
        assert!(gathered.add(batch(&one, 1, &["b"])).is_none());
        for stranger in [
            batch(&one, 2, &["c"]),
            batch(&other, 1, &["c"]),
            batch(&one, 1, &["c", "a"]),
            batch(&one, 1, &["b"]),
            batch_of(0, &one, 1, &["x"; TOGETHER]),
        ] {
            assert!(gathered.add(stranger).is_some());
        }
        let all = &gathered.batch;
        let ids: Vec<&str> = all.deliveries.iter().map(|one| &*one.document.id).collect();
        assert_eq!((ids, all.mapped.len()), (vec!["a", "b"], 2));
        assert!(gathered.has_place());
    }

    #[tokio::test]
    async fn batches_have_room_until_they_are_dropped_and_a_large_one_is_alone() {
        let (room, mapping) = (Room::new(), mapping("one"));
        let free = || room.0.available_permits() / (5 << 10);
        let mut first = batch(&mapping, 1, &["a"]);
        room.take(&mut first).await;
        let mut second = batch(&mapping, 1, &["b"]);
        room.take(&mut second).await;
        assert_eq!(free(), 1);
        let mut gathered = Gathered::new(first);
        assert!(gathered.add(second).is_none());
        assert_eq!(free(), 1);
        let mut large = batch(&mapping, 1, &["c", "d", "e", "f"]);
        let waits = tokio::time::timeout(std::time::Duration::ZERO, room.take(&mut large));
        assert!(waits.await.is_err());
        drop(gathered);
        room.take(&mut large).await;
        assert_eq!(room.0.available_permits(), 0);
    }
}
