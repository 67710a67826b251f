//! The bundled sample through a mapping, before it is put to work.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use runtime::Probe;

use crate::sample;

/// The clock of the sample, UNIX milliseconds.
const NOW_MS: i64 = 1_780_000_000_000;

/// Holds the mapping's answer against what no swap may break: nothing faults, each attribute is
/// a document or refused, and no two have one id. `mapping verify` looks closer.
pub(super) fn self_test(mut probe: Probe) -> anyhow::Result<()> {
    let records = sample::records()?;
    let mapped = probe
        .transform(&records, NOW_MS)
        .context("it fails on the sample")?;
    let mut ids = BTreeSet::new();
    for (record, mapped) in records.iter().zip(&mapped) {
        let event = &record.head.uuid;
        let outcome = match mapped {
            Ok(outcome) => outcome,
            Err(reason) => bail!("it refuses the sample's event {event}: {}", reason.text),
        };
        let came = outcome.documents.len() + outcome.refused.len();
        if u32::try_from(came) != Ok(record.attributes.max(1)) {
            bail!(
                "it made {came} of {} attributes of the sample's event {event}",
                record.attributes
            );
        }
        for document in &outcome.documents {
            if !ids.insert(document.id.as_str()) {
                bail!(
                    "it gives the id {} to two attributes of the sample",
                    document.id
                );
            }
        }
    }
    Ok(())
}
