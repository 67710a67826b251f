//! What is remembered, for people and other programs.

use std::collections::BTreeMap;

use pipeline::{Fate, OutputKey};
use serde::Serialize;

use crate::attribute_key::AttributeKey;
use crate::error::Trouble;
use crate::tables::{documents, names};
use crate::transaction::Reading;

/// How many documents an instance holds at an output, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HeldCounts {
    /// The instance's name.
    pub instance: String,
    /// The output's name.
    pub output: String,
    /// Where its documents end up.
    pub target: String,
    /// Documents that the output has.
    pub delivered: u64,
    /// Documents that were withdrawn or never to be there, and are still in MISP.
    pub deleted: u64,
    /// Documents that have expired.
    pub expired: u64,
    /// Documents that the output refused.
    pub refused: u64,
    /// Documents that were sent and not acknowledged.
    pub sent: u64,
}

impl HeldCounts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.delivered + self.deleted + self.expired + self.refused + self.sent
    }
}

/// One document that an instance holds at an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedDocument {
    /// The instance's name.
    pub instance: String,
    /// The output's name.
    pub output: String,
    /// Where its documents end up.
    pub target: String,
    /// The document's id.
    pub id: String,
    /// The event's uuid.
    pub event: String,
    /// MISP's attribute uuid.
    pub attribute: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// Its fingerprint, 16 hex digits.
    pub fingerprint: Option<String>,
    /// The write version it was last seen with.
    pub seen: u64,
    /// The write version of what was sent last.
    pub sent: u64,
    /// The digest of the mapping that made it.
    pub mapping: String,
    /// When it stops being valid, UNIX milliseconds.
    pub expires_ms: Option<i64>,
}

/// Counts by instance and output.
pub(crate) fn counts(transaction: &Reading) -> Result<Vec<HeldCounts>, Trouble> {
    let mut found: BTreeMap<(u32, u32), HeldCounts> = BTreeMap::new();
    documents::each(transaction, &mut |held| {
        let counts = found.entry((held.hold.instance, held.output)).or_default();
        let counter = match held.fate {
            Fate::Delivered => &mut counts.delivered,
            Fate::Deleted => &mut counts.deleted,
            Fate::Expired => &mut counts.expired,
            Fate::Refused => &mut counts.refused,
            Fate::Sent => &mut counts.sent,
        };
        *counter += 1;
        Ok(())
    })?;
    let mut named = Vec::new();
    for ((instance, output), counts) in found {
        let OutputKey { name, target } = names::output(transaction, output)?;
        named.push(HeldCounts {
            instance: names::text(transaction, instance)?,
            output: name,
            target,
            ..counts
        });
    }
    Ok(named)
}

/// Every document, one by one.
pub(crate) fn each(
    transaction: &Reading,
    see: &mut dyn FnMut(ExportedDocument) -> std::io::Result<()>,
) -> Result<std::io::Result<()>, Trouble> {
    let mut written = Ok(());
    documents::each(transaction, &mut |held| {
        if written.is_err() {
            return Ok(());
        }
        let OutputKey { name, target } = names::output(transaction, held.output)?;
        let mapping = names::mapping(transaction, held.mapping)?.digest;
        written = see(ExportedDocument {
            instance: names::text(transaction, held.hold.instance)?,
            output: name,
            target,
            id: held.id.to_owned(),
            event: names::text(transaction, held.event)?,
            attribute: AttributeKey::text(&held.hold.attribute),
            fate: held.fate,
            fingerprint: held.hold.fingerprint.map(|hash| format!("{hash:016x}")),
            seen: held.hold.seen,
            sent: held.sent,
            mapping,
            expires_ms: held.expires_ms,
        });
        Ok(())
    })?;
    Ok(written)
}
