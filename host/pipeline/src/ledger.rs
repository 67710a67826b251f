//! What came in and what became of it: the account that must balance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::clock::now_ms;
use crate::error::RunError;
use crate::health::{Failure, Health, Slots};
use crate::memory::DifferenceCounts;
use crate::record::{Delivery, Mapped, NoteKind, Operation, PageFacts, RefusalKind, Verdict};
use crate::times::Times;

/// Counts of one instance since the host started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Walks that reached their end.
    pub walks: u64,
    /// Answers received.
    pub pages: u64,
    /// Their bytes, after decompression.
    pub bytes: u64,
    /// How many items the source said would match, at the start of the last walk.
    pub matched: Option<u64>,
    /// Events (or loose attributes) received.
    pub items: u64,
    /// Items left out because they were seen before at the same position.
    pub seen_before: u64,
    /// What must become one document each: attributes, and events that have none.
    pub received: u64,
    /// Documents that the mapping made.
    pub documents: u64,
    /// Those of them that say: delete.
    pub deletes: u64,
    /// Documents that were not delivered, or were deleted, because `only` or `except` excludes
    /// them.
    pub filtered: u64,
    /// What the mapping, the splitter or an output refused; each has its dead letter.
    pub refused: u64,
    /// Received and neither acknowledged nor refused yet.
    pub in_flight: u64,
    /// Attributes by MISP type and indicator type (`None`: the type has none in this mapping).
    #[serde(serialize_with = "named")]
    pub mapped: BTreeMap<String, BTreeMap<Option<String>, u64>>,
    /// Notes of the mapping, by kind.
    pub notes: BTreeMap<NoteKind, u64>,
    /// Refusals by kind.
    pub refusals: BTreeMap<RefusalKind, u64>,
    /// What each output did.
    pub outputs: BTreeMap<String, Verdicts>,
    /// Optional outputs that are behind, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub behind: BTreeMap<String, String>,
    /// Outputs to which everything was sent again since the start, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refilled: BTreeMap<String, String>,
    /// Events that the source could not give so far: they are in the refetch queue.
    pub unread: u64,
    /// What the last sweep found, at the last output.
    pub sweep: Option<DifferenceCounts>,
    /// What the last sweep did not withdraw because it was too much.
    pub sweep_held_back: u64,
    /// Did the filters, or what else selects events, change since the last start? Everything is
    /// then polled from the beginning and reconciled.
    pub selection_changed: bool,
    /// Expired documents that were not deleted because they were too many.
    pub expiry_held_back: u64,
    /// Seconds by which the host's clock is ahead of the server's, while that is so much that no
    /// expired document is deleted.
    pub clocks_apart_s: Option<i64>,
}

/// Verdicts of one output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// Stored, or deleted.
    pub stored: u64,
    /// The same was there.
    pub duplicate: u64,
    /// Something newer was there.
    pub stale: u64,
    /// Left out by the output's settings.
    pub skipped: u64,
    /// Not sent: there already as it is, or not to be there and not there.
    pub unchanged: u64,
    /// Refused for good.
    pub rejected: u64,
    /// Not sent because the output, an optional one, is behind: it gets them when it catches up.
    pub missed: u64,
    /// Withdrawn because it is no longer there, or has expired. No documents of a record: not
    /// part of the total.
    pub withdrawn: u64,
    /// Deleted because another mapping had made it, before this one did. Not part of the total.
    pub replaced: u64,
}

impl Verdicts {
    /// All of them.
    pub fn total(&self) -> u64 {
        let sent = self.stored + self.duplicate + self.stale + self.rejected;
        sent + self.skipped + self.unchanged + self.missed
    }

    fn count(&mut self, verdict: &Verdict) {
        let counter = match verdict {
            Verdict::Stored => &mut self.stored,
            Verdict::Duplicate => &mut self.duplicate,
            Verdict::Stale => &mut self.stale,
            Verdict::Skipped => &mut self.skipped,
            Verdict::Unchanged => &mut self.unchanged,
            Verdict::Rejected { .. } => &mut self.rejected,
        };
        *counter += 1;
    }
}

impl Counts {
    /// Does the account balance? Everything received is a document or refused or
    /// on its way, and every output has a verdict for every document that is not.
    ///
    /// # Errors
    /// One sentence that names the two sides.
    pub fn balance(&self) -> Result<(), String> {
        let mapping_refused: u64 = self
            .refusals
            .iter()
            .filter(|(kind, _)| **kind != RefusalKind::Output)
            .map(|(_, count)| count)
            .sum();
        let settled = self.documents + mapping_refused;
        if self.received != settled + self.in_flight {
            return Err(format!(
                "received {} but {} documents + {} refused + {} in flight",
                self.received, self.documents, mapping_refused, self.in_flight
            ));
        }
        for (name, verdicts) in &self.outputs {
            if verdicts.total() != self.documents {
                return Err(format!(
                    "{} documents but {} verdicts of output {name}",
                    self.documents,
                    verdicts.total()
                ));
            }
        }
        Ok(())
    }

    /// Attributes whose type the mapping has no indicator type for, most first: it
    /// gave them none, or ECS's way of saying so.
    pub fn unmapped(&self) -> Vec<(&str, u64)> {
        let mut unmapped: Vec<(&str, u64)> = self
            .mapped
            .iter()
            .filter(|(kind, _)| !kind.is_empty())
            .map(|(kind, by)| {
                let without = by
                    .iter()
                    .filter(|(indicator, _)| !is_mapped(indicator.as_deref()));
                (kind.as_str(), without.map(|(_, count)| count).sum())
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        unmapped.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        unmapped
    }
}

/// JSON has no keys but texts: the lack of an indicator type is `none`.
fn named<S: serde::Serializer>(
    mapped: &BTreeMap<String, BTreeMap<Option<String>, u64>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let named = mapped.iter().map(|(kind, by)| {
        let by = by.iter();
        let by: BTreeMap<&str, u64> = by
            .map(|(indicator, count)| (indicator.as_deref().unwrap_or("none"), *count))
            .collect();
        (kind, by)
    });
    serializer.collect_map(named)
}

/// Is this an indicator type, or the lack of one?
pub fn is_mapped(indicator_type: Option<&str>) -> bool {
    indicator_type.is_some_and(|indicator_type| indicator_type != "unknown")
}

/// The running account of one instance, shared between the pipeline and whoever reports.
#[derive(Debug, Default)]
pub struct Ledger {
    counts: Mutex<Counts>,
    slots: Arc<Slots>,
    /// When a poll last reached its end, UNIX milliseconds.
    polled_ms: Mutex<Option<i64>>,
    pub(crate) times: Times,
}

impl Ledger {
    /// An account beside another one of the same instance: the health is that of both.
    pub(crate) fn beside(other: &Self) -> Self {
        Self {
            slots: Arc::clone(&other.slots),
            ..Self::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A panic while counting leaves plain numbers behind: nothing to protect.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts as they are now.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// How the instance is doing now.
    pub fn health(&self) -> Health {
        self.slots.health()
    }

    /// The last failure of any stage since the host started, over or not.
    pub fn last_failure(&self) -> Option<Failure> {
        self.slots.last()
    }

    /// When a poll last reached its end since the host started, UNIX milliseconds.
    pub fn polled_ms(&self) -> Option<i64> {
        *self
            .polled_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the time went since the host started, by stage in the order of a batch: wall clock,
    /// waiting included. Stages overlap.
    pub fn times(&self) -> Vec<(&'static str, Duration)> {
        self.times.all()
    }

    /// A stage failed, and is tried again after this wait; `None`: with the next poll. Returns
    /// whether it worked before.
    pub(crate) fn fails(&self, stage: &str, error: &str, wait: Option<Duration>) -> bool {
        let wait = wait.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let again_ms = wait.map(|wait| now_ms().saturating_add(wait));
        self.slots.fails(stage, error, again_ms)
    }

    /// A stage works. Logs it if it failed before.
    pub(crate) fn works(&self, stage: &str) {
        if let Some(failed) = self.slots.works(stage) {
            let after_s = now_ms().saturating_sub(failed.since_ms) / 1_000;
            tracing::info!(stage, attempts = failed.attempts, after_s, "works again");
        }
    }

    /// The instance has stopped for good.
    pub(crate) fn failed(&self, error: &RunError) {
        self.slots.failed(error.to_string());
    }

    /// How many events could not be read so far and wait in the refetch queue.
    pub(crate) fn set_unread(&self, events: u64) {
        self.lock().unread = events;
    }

    pub(crate) fn name_outputs<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut guard = self.lock();
        for name in names {
            guard.outputs.entry(name.to_owned()).or_default();
        }
    }

    pub(crate) fn page(&self, facts: &PageFacts, first_of_walk: bool) {
        let counts = &mut self.lock();
        counts.pages += 1;
        counts.bytes += facts.bytes;
        counts.items += facts.items;
        counts.seen_before += facts.seen_before;
        if first_of_walk {
            counts.matched = facts.matched;
        }
    }

    pub(crate) fn received(&self, units: u64) {
        let counts = &mut self.lock();
        counts.received += units;
        counts.in_flight += units;
    }

    /// Everything of a batch is acknowledged or refused.
    pub(crate) fn settled(&self, batch: &Settled<'_>) {
        let counts = &mut self.lock();
        counts.in_flight = counts.in_flight.saturating_sub(batch.expected);
        let documents = batch.deliveries.len() as u64;
        counts.documents += documents;
        counts.filtered += batch.filtered;
        let mut deletes = 0;
        for Delivery { document, .. } in batch.deliveries {
            deletes += u64::from(document.operation == Operation::Delete);
            for note in &document.notes {
                *counts.notes.entry(note.kind).or_default() += 1;
            }
        }
        counts.deletes += deletes - batch.filtered.min(deletes);
        for tally in batch.mapped.iter().flatten().flat_map(|one| &one.tallies) {
            *counts
                .mapped
                .entry(tally.attribute_type.clone())
                .or_default()
                .entry(tally.indicator_type.clone())
                .or_default() += u64::from(tally.count);
        }
        for (kind, units) in batch.refused {
            counts.refused += units;
            *counts.refusals.entry(*kind).or_default() += units;
        }
        // A record of an odd shape can hold more than was counted, never less: the
        // runtime holds a mapping to that.
        let mapping_refused = batch
            .refused
            .iter()
            .filter(|(kind, _)| *kind != RefusalKind::Output);
        let came = documents + mapping_refused.map(|(_, units)| units).sum::<u64>();
        counts.received += came.saturating_sub(batch.expected);
        for (name, verdicts) in batch.verdicts {
            let output = counts.outputs.entry((*name).to_owned()).or_default();
            verdicts.iter().for_each(|verdict| output.count(verdict));
        }
        for name in batch.missed {
            let output = counts.outputs.entry((*name).to_owned()).or_default();
            output.missed += documents;
        }
    }

    pub(crate) fn left_behind(&self, output: &str, error: &str) {
        let behind = &mut self.lock().behind;
        behind.insert(output.to_owned(), error.to_owned());
    }

    /// Everything is sent again to an output whose target is another one.
    pub(crate) fn refilled(&self, output: &str, why: &str) {
        let counts = &mut self.lock();
        counts.refilled.insert(output.to_owned(), why.to_owned());
        counts.behind.insert(output.to_owned(), why.to_owned());
    }

    pub(crate) fn caught_up(&self, output: &str) {
        self.lock().behind.remove(output);
        self.works(&output_stage(output));
    }

    /// Documents were deleted: because they are gone, and because a swap replaced them.
    pub(crate) fn withdrawn(&self, output: &str, gone: u64, replaced: u64) {
        let mut guard = self.lock();
        let output = guard.outputs.entry(output.to_owned()).or_default();
        output.withdrawn += gone;
        output.replaced += replaced;
    }

    pub(crate) fn swept(&self, counts: DifferenceCounts) {
        self.lock().sweep = Some(counts);
    }

    pub(crate) fn sweep_begins(&self) {
        self.lock().sweep_held_back = 0;
    }

    pub(crate) fn sweep_held_back(&self, orphans: u64) {
        self.lock().sweep_held_back += orphans;
    }

    pub(crate) fn selection_changed(&self) {
        self.lock().selection_changed = true;
    }

    /// Notes how many expired documents are held back; says how many were before.
    pub(crate) fn expiry_held_back(&self, documents: u64) -> u64 {
        std::mem::replace(&mut self.lock().expiry_held_back, documents)
    }

    /// Notes that the clocks differ, or that they do not; says what was known before.
    pub(crate) fn clocks_apart(&self, seconds: Option<i64>) -> Option<i64> {
        std::mem::replace(&mut self.lock().clocks_apart_s, seconds)
    }

    pub(crate) fn walked(&self) {
        self.lock().walks += 1;
        let mut polled = self
            .polled_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *polled = Some(now_ms());
    }
}

/// What a batch came to.
pub(crate) struct Settled<'a> {
    /// What was counted when it was received.
    pub(crate) expected: u64,
    /// What the mapping made of it, beside the documents.
    pub(crate) mapped: &'a [Mapped],
    /// The documents.
    pub(crate) deliveries: &'a [Delivery],
    /// How many of them the instance's `only` and `except` exclude.
    pub(crate) filtered: u64,
    /// What was refused, and how many units each refusal stands for.
    pub(crate) refused: &'a [(RefusalKind, u64)],
    /// The verdicts of each output.
    pub(crate) verdicts: &'a [(&'a str, &'a [Verdict])],
    /// The outputs that got nothing of it, because they are behind.
    pub(crate) missed: &'a [&'a str],
}

/// The stage of writing to an output, as health and logs name it.
pub(crate) fn output_stage(output: &str) -> String {
    format!("output {output}")
}
