//! What happens when a call faults: a fresh instance, and the input in halves, down
//! to the one attribute at fault. Everything else is mapped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;

use pipeline::{Mapped, Outcome, Reason, RefusalKind, Refused, Tally};
use splitter::Record;

use crate::collisions::{self, Taken};
use crate::error::{Fault, RuntimeError, StartError};
use crate::instance::Instance;
use crate::options::RuntimeOptions;

/// After the first fault of a batch its pieces get this part of the time: a loop
/// without end costs a dozen steps, and a piece needs milliseconds.
const IMPATIENCE: u32 = 10;

/// Starts an instance.
pub(crate) type Start = Box<dyn Fn() -> Result<Instance, StartError> + Send>;

/// An instance and what to do when it faults.
pub(crate) struct Ladder {
    options: RuntimeOptions,
    /// MISP attribute types whose values may be written nowhere.
    private_types: Arc<BTreeSet<String>>,
    start: Start,
    instance: Option<Instance>,
    /// Attributes in a row that faulted.
    faults: u32,
    /// Attributes in a row whose id was another's.
    collisions: u32,
}

impl Ladder {
    pub(crate) fn new(
        options: RuntimeOptions,
        private_types: Arc<BTreeSet<String>>,
        start: Start,
        instance: Instance,
    ) -> Self {
        Self {
            options,
            private_types,
            start,
            instance: Some(instance),
            faults: 0,
            collisions: 0,
        }
    }

    /// Maps a batch; one result a record.
    pub(crate) fn map(
        &mut self,
        records: &[Record],
        now_ms: i64,
    ) -> Result<Vec<Mapped>, RuntimeError> {
        let mapped = match self.call(records, now_ms, self.options.call_timeout)? {
            Ok(mapped) => mapped,
            Err(fault) => {
                // The text of a panic may quote any of the records.
                let shown = fault.without_text();
                tracing::warn!(fault = %shown, records = records.len(), "the mapping faulted, looking for the cause");
                self.narrow(records, now_ms, fault)?
            }
        };
        let mapped = records
            .iter()
            .zip(mapped)
            .map(|(record, mapped)| self.narrow_malformed(record, now_ms, mapped))
            .collect::<Result<Vec<_>, _>>()?;
        if !collisions::any(&mapped) {
            self.collisions = 0;
            return Ok(mapped);
        }
        tracing::warn!("the mapping gave one id to two attributes, looking for them");
        let mut taken = Taken::default();
        records
            .iter()
            .zip(mapped)
            .map(|(record, mapped)| self.narrow_colliding(record, now_ms, mapped, &mut taken))
            .collect()
    }

    /// Of attributes with the same id the first keeps it, the others are refused: each
    /// half by itself would pass, so this looks at what came of all of them.
    fn narrow_colliding(
        &mut self,
        record: &Record,
        now_ms: i64,
        mapped: Mapped,
        taken: &mut Taken,
    ) -> Result<Mapped, RuntimeError> {
        let Ok(outcome) = &mapped else {
            return Ok(mapped);
        };
        let Err(text) = taken.take(outcome) else {
            if !outcome.documents.is_empty() {
                self.collisions = 0;
            }
            return Ok(mapped);
        };
        let Some((left, right)) = record.halves() else {
            self.collisions += 1;
            // A call that comes back ends a row of faults; it does not end this one.
            self.faults = self.collisions - 1;
            return self.blame(record, Fault::Contract { text });
        };
        let mut whole = Outcome {
            event: record.head.uuid.clone(),
            ..Outcome::default()
        };
        for half in [left, right] {
            for mapped in self.piece(std::slice::from_ref(&half), now_ms)? {
                let mapped = self.narrow_colliding(&half, now_ms, mapped, taken)?;
                merge(&mut whole, &half, mapped);
            }
        }
        Ok(Ok(whole))
    }

    /// A record that the mapping could not read as a whole: one attribute with a lone
    /// surrogate or a number beyond all bounds must not cost the thousand others.
    fn narrow_malformed(
        &mut self,
        record: &Record,
        now_ms: i64,
        mapped: Mapped,
    ) -> Result<Mapped, RuntimeError> {
        let malformed = matches!(&mapped, Err(reason) if reason.kind == RefusalKind::Malformed);
        let halves = if malformed { record.halves() } else { None };
        let Some((left, right)) = halves else {
            return Ok(mapped);
        };
        let mut whole = Outcome {
            event: record.head.uuid.clone(),
            ..Outcome::default()
        };
        for half in [left, right] {
            for mapped in self.piece(std::slice::from_ref(&half), now_ms)? {
                let mapped = self.narrow_malformed(&half, now_ms, mapped)?;
                merge(&mut whole, &half, mapped);
            }
        }
        Ok(Ok(whole))
    }

    /// Maps records of which at least one makes the mapping fault.
    fn narrow(
        &mut self,
        records: &[Record],
        now_ms: i64,
        fault: Fault,
    ) -> Result<Vec<Mapped>, RuntimeError> {
        if let [record] = records {
            return Ok(vec![self.narrow_record(record, now_ms, fault)?]);
        }
        let (left, right) = records.split_at(records.len() / 2);
        let mut mapped = self.piece(left, now_ms)?;
        mapped.append(&mut self.piece(right, now_ms)?);
        Ok(mapped)
    }

    fn piece(&mut self, records: &[Record], now_ms: i64) -> Result<Vec<Mapped>, RuntimeError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let timeout = (self.options.call_timeout / IMPATIENCE).max(Duration::from_millis(100));
        match self.call(records, now_ms, timeout)? {
            Ok(mapped) => Ok(mapped),
            Err(fault) => self.narrow(records, now_ms, fault),
        }
    }

    fn narrow_record(
        &mut self,
        record: &Record,
        now_ms: i64,
        fault: Fault,
    ) -> Result<Mapped, RuntimeError> {
        let Some((left, right)) = record.halves() else {
            return self.blame(record, fault);
        };
        let mut whole = Outcome {
            event: record.head.uuid.clone(),
            ..Outcome::default()
        };
        for half in [left, right] {
            let mapped = self.piece(std::slice::from_ref(&half), now_ms)?;
            mapped
                .into_iter()
                .for_each(|mapped| merge(&mut whole, &half, mapped));
        }
        Ok(Ok(whole))
    }

    /// This attribute is what the mapping cannot take.
    fn blame(&mut self, record: &Record, fault: Fault) -> Result<Mapped, RuntimeError> {
        let fault = if self.is_private(record) {
            fault.without_text()
        } else {
            fault
        };
        self.faults += 1;
        if self.faults >= self.options.fault_limit {
            return Err(RuntimeError::Broken {
                count: self.faults,
                last: fault,
            });
        }
        let attribute = record.attribute_uuid();
        tracing::warn!(%fault, event = record.head.uuid, attribute, "refused: the mapping faults on it");
        let reason = Reason {
            kind: RefusalKind::Fault,
            text: format!("the mapping failed on it: {fault}"),
        };
        if record.attributes == 0 {
            return Ok(Err(reason));
        }
        Ok(Ok(Outcome {
            event: record.head.uuid.clone(),
            refused: vec![Refused { attribute, reason }],
            ..Outcome::default()
        }))
    }

    /// Does the record name a type whose values may be written nowhere?
    fn is_private(&self, record: &Record) -> bool {
        let mut kinds = self.private_types.iter();
        kinds.any(|kind| memmem::find(&record.json, kind.as_bytes()).is_some())
    }

    /// One call; after a fault the instance is gone.
    fn call(
        &mut self,
        records: &[Record],
        now_ms: i64,
        timeout: Duration,
    ) -> Result<Result<Vec<Mapped>, Fault>, RuntimeError> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => (self.start)().map_err(RuntimeError::Restart)?,
        };
        let result = instance.transform(&self.options, records, now_ms, timeout);
        if result.is_ok() {
            self.faults = 0;
            if instance.is_spent(&self.options) {
                instance.retire(&self.options);
            } else {
                self.instance = Some(instance);
            }
        }
        Ok(result)
    }
}

/// Adds what became of a part to what became of the whole.
fn merge(whole: &mut Outcome, part: &Record, mapped: Mapped) {
    match mapped {
        Ok(mut outcome) => {
            if !outcome.event.is_empty() {
                whole.event = outcome.event;
            }
            whole.documents.append(&mut outcome.documents);
            whole.refused.append(&mut outcome.refused);
            for tally in outcome.tallies {
                add_tally(&mut whole.tallies, tally);
            }
        }
        // The part as a whole: each of its attributes.
        Err(reason) => whole.refused.extend((0..part.attributes).map(|_| Refused {
            attribute: part.attribute_uuid(),
            reason: reason.clone(),
        })),
    }
}

fn add_tally(tallies: &mut Vec<Tally>, tally: Tally) {
    let same = tallies.iter_mut().find(|known| {
        known.attribute_type == tally.attribute_type && known.indicator_type == tally.indicator_type
    });
    match same {
        Some(known) => known.count += tally.count,
        None => tallies.push(tally),
    }
}
