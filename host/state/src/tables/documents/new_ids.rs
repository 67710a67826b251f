//! Ids that are not in the index yet. They lie far from each other in it: a thousand of them one by
//! one change as many pages, and many thousands at once not many more. Until then the database
//! knows the events that have such ids, and they are read from those when it is opened.

use std::collections::BTreeSet;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::block;
use super::blocks::{BLOCKS, IDS, hash};
use crate::error::Trouble;

/// Output and event that has ids which are not in [`IDS`].
pub(super) const NOT_INDEXED: TableDefinition<'_, (u32, u32), ()> =
    TableDefinition::new("events not indexed");

/// They are indexed when there are more: some MB of memory, and some ms when a database is opened.
/// In this crate's tests so few that both ways are taken.
const MOST: usize = if cfg!(test) { 100 } else { 32_768 };

/// Output, hash of an id, and an event that may have its document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NewIds(BTreeSet<(u32, u64, u32)>);

impl NewIds {
    /// Those of a database.
    pub(crate) fn load(transaction: &WriteTransaction) -> Result<Self, Trouble> {
        let mut ids = BTreeSet::new();
        let blocks = transaction.open_table(BLOCKS)?;
        for entry in transaction.open_table(NOT_INDEXED)?.iter()? {
            let (key, _) = entry?;
            let (output, event) = key.value();
            let to = (output, event.saturating_add(1), "");
            for entry in blocks.range((output, event, "")..to)? {
                let entries = block::read(entry?.1.value())?;
                let here = entries.iter().filter(|entry| entry.document.is_some());
                ids.extend(here.map(|entry| (output, hash(&entry.id), event)));
            }
        }
        Ok(Self(ids))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Are they to be indexed?
    pub(super) fn are_many(&self) -> bool {
        self.0.len() > MOST
    }

    /// Are they, with those that come now, to be indexed?
    pub(crate) fn are_many_with(&self, added: &Self) -> bool {
        !added.is_empty() && self.0.len() + added.0.len() > MOST
    }

    /// The events that may have the document of an id.
    pub(super) fn events(&self, output: u32, hash: u64) -> impl Iterator<Item = u32> {
        let range = (output, hash, 0)..=(output, hash, u32::MAX);
        self.0.range(range).map(|(_, _, event)| *event)
    }

    pub(super) fn insert(&mut self, output: u32, hash: u64, event: u32) {
        self.0.insert((output, hash, event));
    }

    pub(super) fn remove(&mut self, output: u32, hash: u64, event: u32) {
        self.0.remove(&(output, hash, event));
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Notes the events that have them.
    pub(crate) fn mark(&self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        if self.is_empty() {
            return Ok(());
        }
        let mut table = transaction.open_table(NOT_INDEXED)?;
        let events: BTreeSet<(u32, u32)> = self
            .0
            .iter()
            .map(|(output, _, event)| (*output, *event))
            .collect();
        for event in events {
            table.insert(event, ())?;
        }
        Ok(())
    }

    /// Nothing is left that is not in the index.
    pub(crate) fn unmark_all(transaction: &WriteTransaction) -> Result<(), Trouble> {
        transaction.open_table(NOT_INDEXED)?.retain(|_, ()| false)?;
        Ok(())
    }

    /// Puts them into the index.
    pub(crate) fn index(&self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        let mut ids = transaction.open_table(IDS)?;
        for id in &self.0 {
            ids.insert(id, ())?;
        }
        Ok(())
    }
}
