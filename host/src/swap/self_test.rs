//! The bundled sample through a mapping, before it is put to work.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use runtime::{Field, Probe};

use crate::commands::document_problems;
use crate::sample;
use crate::summary::plural;

/// The clock of the sample, UNIX milliseconds.
const NOW_MS: i64 = 1_780_000_000_000;

/// The most problems that an error names.
const NAMED: usize = 3;

/// Checks what the mapping makes of the sample: nothing faults, each attribute is a document or
/// refused, no two have one id, and every field is listed and of its type. `mapping verify` checks
/// more.
pub(crate) fn self_test(mut probe: Probe, fields: &[Field]) -> anyhow::Result<()> {
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
    let problems = document_problems(fields, &mapped);
    if !problems.is_empty() {
        let more = problems.len().saturating_sub(NAMED);
        let named: Vec<&str> = problems.iter().take(NAMED).map(String::as_str).collect();
        let more = if more > 0 {
            format!("; and {}", plural(more as u64, "more problem"))
        } else {
            String::new()
        };
        bail!(
            "its documents do not keep to its own catalogue: {}{more}; `misp-ecs mapping verify` \
             lists all of them",
            named.join("; ")
        );
    }
    Ok(())
}
