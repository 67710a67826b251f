//! Which instances are configured, and what the state knows of others.

use std::collections::BTreeSet;

use crate::StoreError;
use crate::error::Trouble;
use crate::store::Store;
use crate::tables::names::{self, Kind};
use crate::tables::{cursors, documents, meta, progress, wanted};
use crate::transaction::{Reading, Writing};

impl Store {
    /// Says which instances are configured, in the order in which they take precedence. What only
    /// others had before is asked of them: documents that they delivered are sent again by the
    /// configured instance that has them and takes precedence.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn configure(&self, instances: &[String]) -> Result<(), StoreError> {
        self.set_configured(Some(instances.into()));
        let known = self.read(|transaction| meta::instances(transaction))?;
        if known.as_deref() == Some(instances) {
            return Ok(());
        }
        self.change(|transaction| {
            documents::arrange(transaction)?;
            meta::set_instances(transaction, instances)
        })
    }

    /// The instances in the state that are not among these, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn unconfigured(&self, instances: &[String]) -> Result<Vec<String>, StoreError> {
        let mut known = self.read(known)?;
        known.retain(|name| !instances.contains(name));
        Ok(known.into_iter().collect())
    }

    /// Gives an instance another name. What is known under the other name already is kept where
    /// both know something. Returns whether the old name is known.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn rename(&self, old: &str, new: &str) -> Result<bool, StoreError> {
        if !self.read(known)?.contains(old) {
            return Ok(false);
        }
        if old != new {
            self.change(|transaction| rename(transaction, old, new))?;
        }
        Ok(true)
    }
}

/// Every instance of which anything is known.
fn known(transaction: &Reading) -> Result<BTreeSet<String>, Trouble> {
    let numbered = names::all(transaction, Kind::Instance)?;
    // The walk of an output that catches up is kept under the instance's name and the output's.
    let walks = cursors::all(transaction)?.into_iter();
    let walks = walks.filter_map(|walk| {
        let name = walk.instance.split('\u{1f}').next();
        name.map(str::to_owned)
    });
    Ok(numbered.into_iter().chain(walks).collect())
}

fn rename(transaction: &Writing, old: &str, new: &str) -> Result<(), Trouble> {
    let has_begun = cursors::rename(transaction, old, new)?;
    progress::rename_jobs(transaction, old, new, has_begun)?;
    let number = names::find_while_writing(transaction, Kind::Instance, old)?;
    let known = names::find_while_writing(transaction, Kind::Instance, new)?;
    match (number, known) {
        (Some(number), Some(new)) => {
            documents::merge(transaction, number, new)?;
            progress::merge(transaction, number, new, has_begun)?;
            wanted::merge(transaction, number, new)?;
            names::remove(transaction, Kind::Instance, old)?;
        }
        (Some(_), None) => names::rename(transaction, Kind::Instance, old, new)?,
        (None, _) => {}
    }
    Ok(())
}
