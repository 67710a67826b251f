//! The attributes that an instance holds at an output, in the order of their keys.
//!
//! They lie by event, and a listing comes in any order: so everything is gone through several
//! times, and each time the next ones are kept. Memory does not grow with what is held.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::vec::IntoIter;

use pipeline::Fate;
use redb::{TableDefinition, WriteTransaction};

use super::read::{Reader, rows};
use crate::error::Trouble;
use crate::transaction::Reading;

/// Attributes that are kept in memory.
const AT_ONCE: usize = 100_000;

/// Output, instance and attribute to event: known, and the mapping made no document of it.
pub(super) const REFUSED: TableDefinition<'_, (u32, u32, &[u8]), u32> =
    TableDefinition::new("refused");

/// An attribute that is known at an output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KnownAttribute {
    /// As [`crate::attribute_key::AttributeKey`].
    pub(crate) key: Vec<u8>,
    /// The event's number.
    pub(crate) event: u32,
    /// Its document's id; empty if there is none.
    pub(crate) id: String,
    /// Its timestamp, UNIX seconds.
    pub(crate) timestamp: Option<i64>,
    /// The write version it was last seen with; 0 without a document.
    pub(crate) seen: u64,
    /// What became of its document.
    pub(crate) fate: Fate,
}

impl KnownAttribute {
    fn order(&self) -> (&[u8], u32, &str) {
        (&self.key, self.event, &self.id)
    }
}

impl Ord for KnownAttribute {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for KnownAttribute {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Goes through the attributes.
pub(crate) struct Attributes<'t> {
    transaction: &'t Reading,
    place: (u32, u32),
    at_once: usize,
    ready: Peekable<IntoIter<KnownAttribute>>,
    /// Where the next ones begin.
    last: Option<(Vec<u8>, u32, String)>,
    is_done: bool,
}

impl<'t> Attributes<'t> {
    /// Those of an instance at an output; none if either is unknown.
    pub(crate) fn new(transaction: &'t Reading, place: Option<(u32, u32)>) -> Self {
        Self::so_many_at_once(transaction, place, AT_ONCE)
    }

    fn so_many_at_once(
        transaction: &'t Reading,
        place: Option<(u32, u32)>,
        at_once: usize,
    ) -> Self {
        Self {
            transaction,
            // 0 is nobody's number: no row has it.
            place: place.unwrap_or_default(),
            at_once,
            ready: Vec::new().into_iter().peekable(),
            last: None,
            is_done: place.is_none(),
        }
    }

    /// Everything that is known of the next attribute: more than one where a mapping with other
    /// ids has taken the place of another, or where events had the same one after another. The
    /// one that was seen last comes first.
    pub(crate) fn next(&mut self) -> Result<Vec<KnownAttribute>, Trouble> {
        let mut found: Vec<KnownAttribute> = Vec::new();
        loop {
            if self.ready.peek().is_none() && !self.is_done {
                self.fill()?;
            }
            let is_same =
                |next: &KnownAttribute| found.first().is_none_or(|first| first.key == next.key);
            let Some(next) = self.ready.next_if(is_same) else {
                break;
            };
            found.push(next);
        }
        found.sort_by_key(|known| std::cmp::Reverse(known.seen));
        Ok(found)
    }

    fn fill(&mut self) -> Result<(), Trouble> {
        let (output, instance) = self.place;
        let mut kept = Smallest {
            heap: BinaryHeap::new(),
            most: self.at_once,
            after: self.last.take(),
        };
        let mut reader = Reader::new(self.transaction, self.place)?;
        for row in rows(self.transaction, output, None)? {
            let row = row?;
            for entry in &row.entries {
                for hold in entry.holds_of(instance) {
                    let order = (hold.attribute.as_slice(), row.event, entry.id.as_str());
                    if hold.attribute.is_empty() || !kept.wants(order) {
                        continue;
                    }
                    kept.keep(KnownAttribute {
                        key: hold.attribute.clone(),
                        event: row.event,
                        id: entry.id.clone(),
                        timestamp: hold.timestamp,
                        seen: hold.seen,
                        fate: reader.fate(row.event, entry)?,
                    });
                }
            }
        }
        let none: &[u8] = &[];
        let from = kept.after.as_ref().map_or(none, |(key, _, _)| key);
        let refused = self.transaction.open_table(REFUSED)?;
        let to = (output, instance.saturating_add(1), none);
        for entry in refused.range((output, instance, from)..to)? {
            let (key, event) = entry?;
            let (_, _, key) = key.value();
            let event = event.value();
            if kept.wants((key, event, "")) {
                kept.keep(KnownAttribute {
                    key: key.to_owned(),
                    event,
                    id: String::new(),
                    timestamp: None,
                    seen: 0,
                    fate: Fate::Deleted,
                });
            } else if kept.is_full() {
                break;
            }
        }
        self.is_done = !kept.is_full();
        let found = kept.heap.into_sorted_vec();
        self.last = found
            .last()
            .map(|last| (last.key.clone(), last.event, last.id.clone()));
        self.ready = found.into_iter().peekable();
        Ok(())
    }
}

/// The smallest ones after a place.
struct Smallest {
    heap: BinaryHeap<KnownAttribute>,
    most: usize,
    after: Option<(Vec<u8>, u32, String)>,
}

impl Smallest {
    fn is_full(&self) -> bool {
        self.heap.len() >= self.most
    }

    fn wants(&self, order: (&[u8], u32, &str)) -> bool {
        let after = self.after.as_ref();
        let comes = after.is_none_or(|(key, event, id)| order > (key.as_slice(), *event, id));
        let largest = self.heap.peek().filter(|_| self.is_full());
        comes && largest.is_none_or(|largest| order < largest.order())
    }

    fn keep(&mut self, known: KnownAttribute) {
        if self.is_full() {
            self.heap.pop();
        }
        self.heap.push(known);
    }
}

/// Notes an attribute of which the mapping made no document.
pub(super) fn refuse(
    transaction: &WriteTransaction,
    (output, instance): (u32, u32),
    attribute: &[u8],
    event: u32,
) -> Result<(), Trouble> {
    let mut refused = transaction.open_table(REFUSED)?;
    refused.insert((output, instance, attribute), event)?;
    Ok(())
}
