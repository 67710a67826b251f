//! What the outputs did with a batch: who is asked, what is kept, remembered and counted.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::MappedBatch;
use super::prepare::{Planned, Prepared};
use crate::batch::units;
use crate::context::Context;
use crate::error::RunError;
use crate::ledger::Settled;
use crate::letters::{Letters, attributes_of};
use crate::memory::{Act, Changes, Fate, NoDocument, OutputKey};
use crate::plan::Plan;
use crate::record::{DeadLetter, Delivery, RefusalKind, Verdict};
use crate::sink::Sink;
use crate::times::Stage;

/// What one output did with a batch.
pub(super) struct Answered<'p> {
    sink: &'p Sink,
    /// One for each delivery.
    verdicts: Vec<Verdict>,
    /// What each means for the state.
    acts: Vec<Act>,
}

/// Sends each output what it does not have yet, until all have answered. Who is behind by now, or
/// is left behind, is not among them.
pub(super) async fn send<'p>(
    context: &Context<'p>,
    prepared: &Prepared<'p>,
) -> Result<Vec<Answered<'p>>, RunError> {
    let outputs = prepared.outputs.iter();
    // One may have been left behind since it was prepared.
    let current = outputs.filter(|planned| !planned.sink.is_behind());
    let deliveries = &prepared.batch.deliveries;
    let answers = current.map(|planned| send_to(context, planned, deliveries));
    let answers = try_join_all(answers).await?;
    Ok(answers.into_iter().flatten().collect())
}

/// Sends one output what it does not have yet; `None` if it was left behind.
async fn send_to<'p>(
    context: &Context<'p>,
    planned: &Planned<'p>,
    deliveries: &[Delivery],
) -> Result<Option<Answered<'p>>, RunError> {
    let sink = planned.sink;
    let sending = planned.sending(deliveries);
    let came = context.send(sink, &sending);
    let Some(came) = context.ledger.times.timed(Stage::Send, came).await? else {
        return Ok(None);
    };
    let mut came = came.into_iter();
    let plans = planned.plans.iter().zip(deliveries);
    let answers = plans.map(|(plan, delivery)| match *plan {
        Plan::Nothing(act) => (Verdict::Unchanged, act),
        Plan::Put => stored(sink, delivery, sent(came.next(), Fate::Delivered)),
        Plan::Delete(fate) => sent(came.next(), fate),
    });
    let (verdicts, acts) = answers.unzip();
    Ok(Some(Answered {
        sink,
        verdicts,
        acts,
    }))
}

/// A verdict on a put, with the hash of what is there now if it is this.
fn stored(sink: &Sink, delivery: &Delivery, (verdict, act): (Verdict, Act)) -> (Verdict, Act) {
    let is_this = matches!(verdict, Verdict::Stored | Verdict::Duplicate);
    let hash = is_this.then(|| sink.output.stored_hash(delivery)).flatten();
    (verdict, hash.map_or(act, Act::Stored))
}

/// A verdict on something that was sent, and what it means for the state.
fn sent(verdict: Option<Verdict>, fate: Fate) -> (Verdict, Act) {
    match verdict {
        Some(verdict @ Verdict::Rejected { .. }) => (verdict, Act::Sent(Fate::Refused)),
        Some(Verdict::Stale) => (Verdict::Stale, Act::Stale(fate)),
        Some(verdict) => (verdict, Act::Sent(fate)),
        // Cannot be: they were counted. If it were, nothing may be taken for stored.
        None => {
            let text = "the output gave no verdict".to_owned();
            (Verdict::Rejected { text }, Act::Sent(Fate::Refused))
        }
    }
}

/// What was refused, by whom: letters, and counts by kind.
pub(super) fn refusals(
    context: &Context<'_>,
    batch: &MappedBatch,
    answers: &[Answered<'_>],
) -> (Vec<DeadLetter>, Vec<(RefusalKind, u64)>) {
    let MappedBatch {
        mapping, now_ms, ..
    } = batch;
    let writer = Letters {
        instance: context.instance.to_owned(),
        redact: Arc::clone(&batch.redact),
    };
    let (mut letters, mut refused) = (Vec::new(), Vec::new());
    for broken in &batch.broken {
        refused.push((RefusalKind::Malformed, 1));
        letters.push(writer.of_broken(broken, mapping, *now_ms));
    }
    for (record, mapped) in batch.records.iter().zip(&batch.mapped) {
        match mapped {
            Err(reason) => refused.push((reason.kind, units(record))),
            Ok(outcome) => {
                refused.extend(outcome.refused.iter().map(|one| (one.reason.kind, 1)));
            }
        }
        letters.extend(writer.of_mapped(record, mapped, mapping, *now_ms));
    }
    for answer in answers {
        let name = answer.sink.output.name();
        for (delivery, verdict) in batch.deliveries.iter().zip(&answer.verdicts) {
            let letter = writer.of_verdict(delivery, verdict, name, *now_ms);
            if let Some(letter) = letter {
                refused.push((RefusalKind::Output, 1));
                letters.push(letter);
            }
        }
    }
    (letters, refused)
}

/// Writes down what became of a batch.
pub(super) async fn remember(
    context: &Context<'_>,
    batch: &MappedBatch,
    answers: &[Answered<'_>],
) -> Result<(), RunError> {
    let acts: Vec<(OutputKey, Vec<Act>)> = answers
        .iter()
        .map(|answer| (answer.sink.key.clone(), answer.acts.clone()))
        .collect();
    let without: Vec<(String, String)> = batch
        .records
        .iter()
        .zip(&batch.mapped)
        .flat_map(|(record, mapped)| {
            let (event, attributes) = match mapped {
                Ok(outcome) => {
                    let refused = outcome.refused.iter();
                    let attributes = refused.filter_map(|one| one.attribute.clone());
                    (&outcome.event, attributes.collect())
                }
                // Else reconciliation would find them missing, and read the event again each day.
                Err(_) => (&record.head.uuid, attributes_of(record)),
            };
            let attributes = attributes.into_iter();
            attributes.map(|attribute| (event.clone(), attribute))
        })
        .collect();
    let instance = context.instance.to_owned();
    let deliveries = Arc::clone(&batch.deliveries);
    let version = batch.version;
    context
        .on_state(move |state| {
            let changes: Vec<Changes<'_>> = acts
                .iter()
                .map(|(output, acts)| Changes {
                    instance: &instance,
                    output,
                    version,
                    documents: deliveries.iter().zip(acts.iter().copied()).collect(),
                    without: without
                        .iter()
                        .map(|(event, attribute)| NoDocument { event, attribute })
                        .collect(),
                    let_go: Vec::new(),
                })
                .collect();
            state.record(&changes)
        })
        .await
}

/// Counts what became of a batch.
pub(super) fn count(
    context: &Context<'_>,
    batch: &MappedBatch,
    answers: &[Answered<'_>],
    refused: &[(RefusalKind, u64)],
) {
    let expected = batch.records.iter().map(units).sum::<u64>() + batch.broken.len() as u64;
    let verdicts: Vec<(&str, &[Verdict])> = answers
        .iter()
        .map(|answer| (answer.sink.output.name(), &answer.verdicts[..]))
        .collect();
    let behind = context.sinks.iter().filter(|sink| sink.is_behind());
    let missed: Vec<&str> = behind.map(|sink| sink.output.name()).collect();
    context.ledger.settled(&Settled {
        expected,
        mapped: &batch.mapped,
        deliveries: &batch.deliveries,
        filtered: batch.filtered,
        refused,
        verdicts: &verdicts,
        missed: &missed,
    });
}
