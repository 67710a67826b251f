//! Which mapping made what went out, and what is to be read again under another.

use std::collections::{BTreeMap, BTreeSet};

use redb::WriteTransaction;
use serde::Serialize;

use crate::error::Trouble;
use crate::tables::names::{self, Kind};
use crate::tables::{documents, progress, wanted};
use crate::transaction::Reading;

/// Documents of one mapping that an instance's outputs have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MappingCount {
    /// The digest of the mapping that made them, or would make the same.
    pub digest: String,
    /// The settings that they were made with; empty if unknown.
    pub settings: String,
    /// How many, each once an output.
    pub documents: u64,
}

/// What is to be read and mapped again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reprocess {
    /// Every event that was ever read whole.
    All,
    /// Those whose publish time, as last read, is this or later, UNIX seconds.
    Since(i64),
    /// This one, by uuid, known or not.
    Event(String),
    /// Those of which something may still be in an output that another mapping made, or this one
    /// with other settings.
    NotOf {
        /// The digest of the mapping.
        digest: String,
        /// Its settings, as in its identity.
        settings: String,
    },
}

impl MappingCount {
    /// Were these documents made by this mapping with these settings, as far as is known?
    #[must_use]
    pub fn is_of(&self, digest: &str, settings: &str) -> bool {
        is_same((&self.digest, &self.settings), (digest, settings))
    }
}

/// Compares digests and settings; unknown settings count as the same.
fn is_same(one: (&str, &str), other: (&str, &str)) -> bool {
    one.0 == other.0 && (one.1 == other.1 || one.1.is_empty() || other.1.is_empty())
}

/// Is another mapping known than this one, or other settings of it?
pub(crate) fn has_others(
    transaction: &Reading,
    digest: &str,
    settings: &str,
) -> Result<bool, Trouble> {
    for text in names::all(transaction, Kind::Mapping)? {
        let known = names::mapping_of(&text);
        if !is_same((&known.digest, &known.settings), (digest, settings)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// By digest and settings, most first.
pub(crate) fn counts(transaction: &Reading, instance: &str) -> Result<Vec<MappingCount>, Trouble> {
    let mut found: BTreeMap<u32, u64> = BTreeMap::new();
    if let Some(instance) = names::find(transaction, Kind::Instance, instance)? {
        documents::each(transaction, &mut |held| {
            if held.hold.instance == instance && held.fate.may_be_there() {
                *found.entry(held.mapping).or_default() += 1;
            }
            Ok(())
        })?;
    }
    let mut counts = Vec::new();
    for (number, documents) in found {
        let mapping = names::mapping(transaction, number)?;
        counts.push(MappingCount {
            digest: mapping.digest,
            settings: mapping.settings,
            documents,
        });
    }
    counts.sort_by_key(|count| std::cmp::Reverse(count.documents));
    Ok(counts)
}

/// The uuids of the events that are meant.
pub(crate) fn events(
    transaction: &Reading,
    instance: &str,
    what: &Reprocess,
) -> Result<Vec<String>, Trouble> {
    if let Reprocess::Event(uuid) = what {
        return Ok(vec![uuid.clone()]);
    }
    let Some(instance) = names::find(transaction, Kind::Instance, instance)? else {
        return Ok(Vec::new());
    };
    let numbers: BTreeSet<u32> = match what {
        Reprocess::NotOf { digest, settings } => {
            let (mut numbers, mut same) = (BTreeSet::new(), BTreeMap::new());
            documents::each(transaction, &mut |held| {
                if held.hold.instance != instance || !held.fate.may_be_there() {
                    return Ok(());
                }
                let same = match same.get(&held.mapping) {
                    Some(same) => *same,
                    None => {
                        let known = names::mapping(transaction, held.mapping)?;
                        let known = (known.digest.as_str(), known.settings.as_str());
                        let is = is_same(known, (digest, settings));
                        same.insert(held.mapping, is);
                        is
                    }
                };
                if !same {
                    numbers.insert(held.event);
                }
                Ok(())
            })?;
            numbers
        }
        Reprocess::Since(seconds) => progress::events_since(transaction, instance, *seconds)?,
        Reprocess::All | Reprocess::Event(_) => {
            progress::events_since(transaction, instance, i64::MIN)?
        }
    };
    let uuids = numbers.into_iter();
    uuids
        .map(|number| names::text(transaction, number))
        .collect()
}

/// Wants these.
pub(crate) fn want(
    transaction: &WriteTransaction,
    instance: &str,
    events: &[String],
) -> Result<(), Trouble> {
    let instance = names::number(transaction, Kind::Instance, instance)?;
    events.iter().try_for_each(|event| {
        wanted::add_uuid(transaction, instance, event)?;
        wanted::wait_no_longer(transaction, instance, event)
    })
}
