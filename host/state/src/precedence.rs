//! The configured instances, in the order in which they take precedence.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadTransaction, WriteTransaction};

use crate::error::Trouble;
use crate::tables::names::{self, Kind};

/// The names of the configured instances in the order of the configuration. `None` if nobody has
/// said which these are: then every instance counts as configured, and none takes precedence.
pub(crate) type Configured = Option<Arc<[String]>>;

/// The ranks of the instances that are configured, by number: 0 takes precedence of all others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ranks {
    configured: Configured,
    by_number: BTreeMap<u32, usize>,
}

impl Ranks {
    pub(crate) fn read(
        transaction: &ReadTransaction,
        configured: &Configured,
    ) -> Result<Self, Trouble> {
        Self::with(configured, |name| {
            names::find(transaction, Kind::Instance, name)
        })
    }

    pub(crate) fn while_writing(
        transaction: &WriteTransaction,
        configured: &Configured,
    ) -> Result<Self, Trouble> {
        Self::with(configured, |name| {
            names::find_while_writing(transaction, Kind::Instance, name)
        })
    }

    fn with(
        configured: &Configured,
        find: impl Fn(&str) -> Result<Option<u32>, Trouble>,
    ) -> Result<Self, Trouble> {
        let mut by_number = BTreeMap::new();
        for (rank, name) in configured.iter().flat_map(|names| names.iter()).enumerate() {
            if let Some(number) = find(name)? {
                by_number.insert(number, rank);
            }
        }
        Ok(Self {
            configured: configured.clone(),
            by_number,
        })
    }

    /// The rank of an instance; `None` if it is not configured.
    pub(crate) fn of(&self, instance: u32) -> Option<usize> {
        match self.configured {
            None => Some(0),
            Some(_) => self.by_number.get(&instance).copied(),
        }
    }

    /// The rank of an instance that may have no number yet.
    pub(crate) fn of_name(&self, instance: &str) -> Option<usize> {
        match &self.configured {
            None => Some(0),
            Some(names) => names.iter().position(|name| name == instance),
        }
    }

    /// Does the one take precedence of the other? An instance that is not configured comes last.
    pub(crate) fn is_before(one: Option<usize>, other: Option<usize>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => one < other,
            (one, other) => one.is_some() && other.is_none(),
        }
    }

    /// The one that takes precedence among these, if any of them is configured.
    pub(crate) fn first(&self, among: &[(u32, u32)]) -> Option<(u32, u32)> {
        let ranked = among.iter().filter_map(|who| Some((self.of(who.0)?, *who)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, who)| who)
    }
}
