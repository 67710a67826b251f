//! A transaction of the database, with the ids that are not in its index yet.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

use redb::{ReadTransaction, WriteTransaction};

use crate::error::Trouble;
use crate::precedence::{Configured, Ranks};
use crate::tables::documents::NewIds;

/// Reads the state as it was when this began.
pub(crate) struct Reading {
    transaction: ReadTransaction,
    new_ids: Arc<NewIds>,
    configured: Configured,
}

impl Reading {
    pub(crate) fn new(
        transaction: ReadTransaction,
        new_ids: Arc<NewIds>,
        configured: Configured,
    ) -> Self {
        Self {
            transaction,
            new_ids,
            configured,
        }
    }

    /// Which instances are configured, and which of them takes precedence.
    pub(crate) fn ranks(&self) -> Result<Ranks, Trouble> {
        Ranks::read(&self.transaction, &self.configured)
    }

    /// The ids that are not in the index yet.
    pub(crate) fn new_ids(&self) -> Arc<NewIds> {
        Arc::clone(&self.new_ids)
    }
}

impl Deref for Reading {
    type Target = ReadTransaction;

    fn deref(&self) -> &ReadTransaction {
        &self.transaction
    }
}

/// Writes the state: all of it or nothing.
pub(crate) struct Writing {
    transaction: WriteTransaction,
    new_ids: Arc<NewIds>,
    added: RefCell<NewIds>,
    configured: Configured,
}

impl Writing {
    pub(crate) fn new(
        transaction: WriteTransaction,
        new_ids: Arc<NewIds>,
        configured: Configured,
    ) -> Self {
        Self {
            transaction,
            new_ids,
            added: RefCell::default(),
            configured,
        }
    }

    /// Which instances are configured, and which of them takes precedence.
    pub(crate) fn ranks(&self) -> Result<Ranks, Trouble> {
        Ranks::while_writing(&self.transaction, &self.configured)
    }

    /// The ids that are not in the index yet, from before.
    pub(crate) fn new_ids(&self) -> Arc<NewIds> {
        Arc::clone(&self.new_ids)
    }

    /// Those that this transaction adds.
    pub(crate) fn added(&self) -> &RefCell<NewIds> {
        &self.added
    }

    /// All of it is on the disk when this returns. Gives the ids that are not in the index then.
    pub(crate) fn commit(self) -> Result<Arc<NewIds>, Trouble> {
        let Self {
            transaction,
            mut new_ids,
            added,
            ..
        } = self;
        let added = added.into_inner();
        let are_many = new_ids.are_many_with(&added);
        if are_many {
            new_ids.index(&transaction)?;
            added.index(&transaction)?;
            NewIds::unmark_all(&transaction)?;
        } else {
            added.mark(&transaction)?;
        }
        transaction.commit()?;
        if are_many {
            return Ok(Arc::default());
        }
        if !added.is_empty() {
            // Copied only while somebody reads for long.
            Arc::make_mut(&mut new_ids).extend(added);
        }
        Ok(new_ids)
    }
}

impl Deref for Writing {
    type Target = WriteTransaction;

    fn deref(&self) -> &WriteTransaction {
        &self.transaction
    }
}
