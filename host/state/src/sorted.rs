//! More than memory holds, in order: sorted pieces in a database, read side by side.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::vec::IntoIter;

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Trouble;

/// What is sorted, run and part to items. The items of a run are in order, part after part.
const PARTS: TableDefinition<'_, (u8, u32, u32), &[u8]> = TableDefinition::new("sorted parts");

/// Items of a run: what is held in memory to be sorted.
pub(crate) const RUN: usize = 50_000;
/// Items of a part: what is held in memory of each run that is read.
const PART: usize = 500;

pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(PARTS)?;
    Ok(())
}

/// Takes things in, in any order.
#[derive(Debug)]
pub(crate) struct Sorter<T> {
    /// Which of the things that are sorted in this database.
    kind: u8,
    runs: u32,
    waiting: Vec<T>,
}

impl<T: Ord + Serialize + DeserializeOwned> Sorter<T> {
    pub(crate) fn new(kind: u8) -> Self {
        Self {
            kind,
            runs: 0,
            waiting: Vec::new(),
        }
    }

    /// Forgets what was taken in.
    pub(crate) fn clear(&mut self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        let all = (self.kind, 0, 0)..=(self.kind, u32::MAX, u32::MAX);
        let mut parts = transaction.open_table(PARTS)?;
        parts.retain_in(all, |_, _| false)?;
        self.runs = 0;
        self.waiting.clear();
        Ok(())
    }

    pub(crate) fn add(&mut self, transaction: &WriteTransaction, item: T) -> Result<(), Trouble> {
        self.waiting.push(item);
        if self.waiting.len() >= RUN {
            self.write(transaction)?;
        }
        Ok(())
    }

    /// Writes down what is still in memory.
    pub(crate) fn write(&mut self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        // Of equal ones the order stays.
        self.waiting.sort();
        let mut parts = transaction.open_table(PARTS)?;
        for (part, items) in (0..).zip(self.waiting.chunks(PART)) {
            let bytes = postcard::to_allocvec(items)
                .map_err(|error| Trouble::Damaged(format!("a part to be written: {error}")))?;
            parts.insert((self.kind, self.runs, part), bytes.as_slice())?;
        }
        self.runs += 1;
        self.waiting.clear();
        Ok(())
    }

    /// Everything that was written, in order; of equal ones the first taken in is the first.
    pub(crate) fn read(&self, transaction: &ReadTransaction) -> Result<Sorted<T>, Trouble> {
        let mut sorted = Sorted {
            table: transaction.open_table(PARTS)?,
            kind: self.kind,
            runs: (0..self.runs).map(|number| Run::new(number)).collect(),
            fronts: BinaryHeap::new(),
        };
        for place in 0..sorted.runs.len() {
            sorted.advance(place)?;
        }
        Ok(sorted)
    }
}

/// Gives things out in order.
pub(crate) struct Sorted<T> {
    table: ReadOnlyTable<(u8, u32, u32), &'static [u8]>,
    kind: u8,
    runs: Vec<Run<T>>,
    /// The next item of each run.
    fronts: BinaryHeap<Reverse<(T, usize)>>,
}

struct Run<T> {
    number: u32,
    next_part: u32,
    items: IntoIter<T>,
}

impl<T> Run<T> {
    fn new(number: u32) -> Self {
        Self {
            number,
            next_part: 0,
            items: Vec::new().into_iter(),
        }
    }
}

impl<T: Ord + DeserializeOwned> Sorted<T> {
    pub(crate) fn next(&mut self) -> Result<Option<T>, Trouble> {
        let Some(Reverse((item, place))) = self.fronts.pop() else {
            return Ok(None);
        };
        self.advance(place)?;
        Ok(Some(item))
    }

    /// The next one, if it is such a one.
    pub(crate) fn next_if(&mut self, is: impl Fn(&T) -> bool) -> Result<Option<T>, Trouble> {
        match self.fronts.peek() {
            Some(Reverse((item, _))) if is(item) => self.next(),
            _ => Ok(None),
        }
    }

    fn advance(&mut self, place: usize) -> Result<(), Trouble> {
        let Some(run) = self.runs.get_mut(place) else {
            return Ok(());
        };
        if let Some(item) = run.items.next() {
            self.fronts.push(Reverse((item, place)));
            return Ok(());
        }
        let part = self.table.get((self.kind, run.number, run.next_part))?;
        let Some(part) = part else {
            // What was not written must not look as if it were not there.
            return match run.next_part {
                0 => Err(Trouble::Damaged("a sorted part is missing".to_owned())),
                _ => Ok(()),
            };
        };
        let items: Vec<T> = postcard::from_bytes(part.value())
            .map_err(|error| Trouble::Damaged(format!("a part of what is sorted: {error}")))?;
        run.items = items.into_iter();
        run.next_part += 1;
        if let Some(item) = run.items.next() {
            self.fronts.push(Reverse((item, place)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase};

    use super::*;

    #[test]
    fn what_goes_in_in_any_order_comes_out_in_order() {
        let database = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap();
        let transaction = database.begin_write().unwrap();
        create(&transaction).unwrap();
        // Two kinds beside each other, of three runs; of equal keys the second is newer.
        let mut others = Sorter::<u64>::new(9);
        let mut sorter = Sorter::<(u64, u64)>::new(1);
        let count = 2 * RUN as u64 + PART as u64 + 7;
        let mut random = fastrand::Rng::with_seed(7);
        let mut expected = Vec::new();
        for number in 0..count {
            let item = (random.u64(..1_000), number);
            expected.push(item);
            sorter.add(&transaction, item).unwrap();
            others.add(&transaction, number).unwrap();
        }
        sorter.write(&transaction).unwrap();
        transaction.commit().unwrap();
        expected.sort_unstable();
        let reading = database.begin_read().unwrap();
        let mut sorted = sorter.read(&reading).unwrap();
        for item in &expected {
            assert_eq!(sorted.next_if(|next| next != item).unwrap(), None);
            assert_eq!(sorted.next().unwrap().as_ref(), Some(item));
        }
        assert_eq!(sorted.next().unwrap(), None);
        let transaction = database.begin_write().unwrap();
        sorter.clear(&transaction).unwrap();
        sorter.add(&transaction, (3, 3)).unwrap();
        sorter.write(&transaction).unwrap();
        transaction.commit().unwrap();
        let reading = database.begin_read().unwrap();
        let mut sorted = sorter.read(&reading).unwrap();
        assert_eq!(sorted.next().unwrap(), Some((3, 3)));
        assert_eq!(sorted.next().unwrap(), None);
    }
}
