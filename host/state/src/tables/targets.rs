//! What the targets of outputs were when they were written.

use pipeline::{TargetChange, TargetIdentity};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use crate::error::Trouble;

/// Output and name of a mapping to the uuid of the index that has its documents; an empty name to
/// that of the cluster.
const TABLE: TableDefinition<'_, (u32, &str), &str> = TableDefinition::new("targets");
const CLUSTER: &str = "";

/// What is remembered of one target.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownTarget {
    cluster: Option<String>,
    index: Option<String>,
}

impl KnownTarget {
    /// Is it exactly this one?
    pub(crate) fn is(&self, target: &TargetIdentity) -> bool {
        self.cluster.as_ref() == Some(&target.cluster) && self.index.as_ref() == Some(&target.index)
    }

    /// How a target differs. `has_documents`: something was delivered there.
    pub(crate) fn change(
        &self,
        target: &TargetIdentity,
        has_documents: bool,
    ) -> Option<TargetChange> {
        match (&self.cluster, &self.index) {
            (None, _) => has_documents.then_some(TargetChange::Unidentified),
            (Some(cluster), _) if *cluster != target.cluster => Some(TargetChange::Cluster),
            (_, Some(index)) if *index != target.index && !target.earlier.contains(index) => {
                Some(TargetChange::Index)
            }
            _ => None,
        }
    }
}

pub(crate) fn get(
    transaction: &ReadTransaction,
    output: u32,
    mapping: &str,
) -> Result<KnownTarget, Trouble> {
    match transaction.open_table(TABLE) {
        // Nothing was remembered yet.
        Err(TableError::TableDoesNotExist(_)) => Ok(KnownTarget::default()),
        table => known(&table?, output, mapping),
    }
}

/// As [`get`], in a transaction that writes.
pub(crate) fn get_while_writing(
    transaction: &WriteTransaction,
    output: u32,
    mapping: &str,
) -> Result<KnownTarget, Trouble> {
    known(&transaction.open_table(TABLE)?, output, mapping)
}

fn known(
    table: &impl ReadableTable<(u32, &'static str), &'static str>,
    output: u32,
    mapping: &str,
) -> Result<KnownTarget, Trouble> {
    let text = |name| {
        let uuid = table.get((output, name))?;
        Ok::<_, Trouble>(uuid.map(|uuid| uuid.value().to_owned()))
    };
    Ok(KnownTarget {
        cluster: text(CLUSTER)?,
        index: text(mapping)?,
    })
}

/// Remembers a target. `is_another`: those of the other mappings are forgotten.
pub(crate) fn set(
    transaction: &WriteTransaction,
    output: u32,
    mapping: &str,
    target: &TargetIdentity,
    is_another: bool,
) -> Result<(), Trouble> {
    let mut table = transaction.open_table(TABLE)?;
    if is_another {
        table.retain_in((output, "")..(output.saturating_add(1), ""), |_, _| false)?;
    }
    table.insert((output, CLUSTER), target.cluster.as_str())?;
    table.insert((output, mapping), target.index.as_str())?;
    Ok(())
}
