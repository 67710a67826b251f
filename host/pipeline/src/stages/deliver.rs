//! Writes documents and dead letters, remembers what happened, then commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::sync::mpsc::Receiver;

use super::{MappedBatch, PageEnd, Work};
use crate::batch::units;
use crate::context::Context;
use crate::crash;
use crate::error::RunError;
use crate::ledger::Settled;
use crate::letters::Letters;
use crate::memory::{Act, Changes, Fate, LetGo, NoDocument, OutputKey, Remembered};
use crate::plan::{Plan, needs_note, plan};
use crate::record::{DeadLetter, Delivery, EventSeen, Operation, RefusalKind, Verdict, Whole};
use crate::sink::Sink;
use crate::times::Stage;
use crate::traits::Commit;
use crate::withdraw;

/// What is known of the page that is being delivered.
#[derive(Debug, Default)]
struct Progress {
    /// Events whose last slice has been delivered.
    finished: Vec<EventSeen>,
    /// Events of which a part was refused: nothing of them is withdrawn.
    faulted: BTreeSet<String>,
    /// A part of the page could not be read: whose it was, nobody knows.
    broken: bool,
}

/// Writes documents and dead letters, remembers what happened, then commits.
pub(super) struct Deliver<'p> {
    context: Context<'p>,
    progress: Progress,
    /// The write version of the first page since the last one that moved the cursor: an event
    /// may be spread over these pages.
    first_version: Option<u64>,
}

/// What one output did with a batch.
struct Answered<'p> {
    sink: &'p Sink,
    verdicts: Vec<Verdict>,
    acts: Vec<Act>,
}

impl<'p> Deliver<'p> {
    pub(super) fn new(context: Context<'p>) -> Self {
        Self {
            context,
            progress: Progress::default(),
            first_version: None,
        }
    }

    pub(super) async fn run(mut self, mut work: Receiver<Work>) -> Result<(), RunError> {
        while let Some(item) = work.recv().await {
            match item {
                Work::Mapped(batch) => self.batch(batch).await?,
                Work::PageEnd(end) => {
                    let times = &self.context.ledger.times;
                    times.timed(Stage::Commit, self.page_end(end)).await?;
                }
            }
        }
        Ok(())
    }

    async fn batch(&mut self, mut batch: MappedBatch) -> Result<(), RunError> {
        self.first_version.get_or_insert(batch.version);
        let times = &self.context.ledger.times;
        let deliveries = Arc::new(std::mem::take(&mut batch.deliveries));
        let outputs = self.context.current();
        let answers =
            try_join_all(outputs.map(|sink| self.deliver(sink, &deliveries, batch.now_ms)));
        let answers: Vec<Answered<'_>> = answers.await?.into_iter().flatten().collect();
        crash::point("acknowledged");
        let (letters, refused) = self.refusals(&batch, &deliveries, &answers);
        let keeping = self.context.keep(&letters);
        times.timed(Stage::Keep, keeping).await?;
        crash::point("kept");
        self.see(&batch);
        let remembering = self.remember(&batch, &deliveries, &answers);
        times.timed(Stage::Remember, remembering).await?;
        crash::point("remembered");
        let expected = batch.records.iter().map(units).sum::<u64>() + batch.broken.len() as u64;
        let verdicts: Vec<(&str, &[Verdict])> = answers
            .iter()
            .map(|answer| (answer.sink.output.name(), &answer.verdicts[..]))
            .collect();
        let behind = self.context.sinks.iter().filter(|sink| sink.is_behind());
        let missed: Vec<&str> = behind.map(|sink| sink.output.name()).collect();
        self.context.ledger.settled(&Settled {
            expected,
            mapped: &batch.mapped,
            deliveries: &deliveries,
            refused: &refused,
            verdicts: &verdicts,
            missed: &missed,
        });
        Ok(())
    }

    /// Sends an output what it does not have yet; `None` if it was left behind.
    async fn deliver<'s>(
        &self,
        sink: &'s Sink,
        deliveries: &Arc<Vec<Delivery>>,
        now_ms: i64,
    ) -> Result<Option<Answered<'s>>, RunError> {
        let context = &self.context;
        let (instance, key, asked) = (
            context.instance.to_owned(),
            sink.key.clone(),
            Arc::clone(deliveries),
        );
        let remembered = context.on_state(move |state| state.remembered(&instance, &key, &asked));
        let times = &context.ledger.times;
        let remembered = times.timed(Stage::LookUp, remembered).await?;
        let plans: Vec<Plan> = deliveries
            .iter()
            .zip(remembered.iter())
            .map(|(delivery, known)| {
                plan(
                    &delivery.document,
                    known.as_ref(),
                    now_ms,
                    context.options.resend,
                )
            })
            .collect();
        let noting = self.note(sink, deliveries, &plans, &remembered);
        times.timed(Stage::Note, noting).await?;
        let known = || remembered.iter();
        let came = if known().all(Option::is_none) && plans.iter().all(|plan| *plan == Plan::Put) {
            times
                .timed(Stage::Send, context.send(sink, deliveries))
                .await?
        } else {
            let planned = deliveries.iter().zip(&plans).zip(known());
            let sending: Vec<Delivery> = planned
                .filter_map(|((delivery, plan), known)| match plan {
                    Plan::Put => Some(as_put(delivery, known.as_ref())),
                    Plan::Delete(_) => Some(as_delete(delivery, known.as_ref())),
                    Plan::Nothing(_) => None,
                })
                .collect();
            times
                .timed(Stage::Send, context.send(sink, &sending))
                .await?
        };
        let Some(came) = came else {
            return Ok(None);
        };
        let mut came = came.into_iter();
        let (mut verdicts, mut acts) = (Vec::new(), Vec::new());
        for plan in plans {
            let (verdict, act) = match plan {
                Plan::Nothing(act) => (Verdict::Unchanged, act),
                Plan::Put => sent(came.next(), Fate::Delivered),
                Plan::Delete(fate) => sent(came.next(), fate),
            };
            verdicts.push(verdict);
            acts.push(act);
        }
        Ok(Some(Answered {
            sink,
            verdicts,
            acts,
        }))
    }

    /// Writes down, before anything is sent, of what nobody will know whether it is there.
    async fn note(
        &self,
        sink: &Sink,
        deliveries: &Arc<Vec<Delivery>>,
        plans: &[Plan],
        remembered: &[Option<Remembered>],
    ) -> Result<(), RunError> {
        let noted: Vec<(usize, Plan)> = deliveries
            .iter()
            .zip(plans.iter().zip(remembered))
            .enumerate()
            .filter(|(_, (delivery, (plan, known)))| needs_note(**plan, delivery, known.as_ref()))
            .map(|(place, (_, (plan, _)))| (place, *plan))
            .collect();
        let Some(version) = deliveries.first().map(|delivery| delivery.version) else {
            return Ok(());
        };
        if noted.is_empty() {
            return Ok(());
        }
        let (instance, key, deliveries) = (
            self.context.instance.to_owned(),
            sink.key.clone(),
            Arc::clone(deliveries),
        );
        self.context
            .on_state(move |state| {
                let noted = noted
                    .iter()
                    .filter_map(|(place, plan)| Some((deliveries.get(*place)?, *plan)));
                let (puts, deletes): (Vec<_>, Vec<_>) =
                    noted.partition(|(_, plan)| *plan == Plan::Put);
                state.record(&[Changes {
                    instance: &instance,
                    output: &key,
                    version,
                    documents: puts
                        .into_iter()
                        .map(|(delivery, _)| (delivery, Act::Sent(Fate::Sent)))
                        .collect(),
                    without: Vec::new(),
                    let_go: deletes
                        .iter()
                        .map(|(delivery, _)| LetGo {
                            id: &delivery.document.id,
                            event: &delivery.event,
                            attribute: delivery.document.attribute.as_deref(),
                            sent: Some(Fate::Sent),
                            still_listed: true,
                        })
                        .collect(),
                }])
            })
            .await
    }

    /// What was refused, by whom: letters, and counts by kind.
    fn refusals(
        &self,
        batch: &MappedBatch,
        deliveries: &[Delivery],
        answers: &[Answered<'_>],
    ) -> (Vec<DeadLetter>, Vec<(RefusalKind, u64)>) {
        let MappedBatch {
            mapping, now_ms, ..
        } = batch;
        let writer = Letters {
            instance: self.context.instance.to_owned(),
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
            for (delivery, verdict) in deliveries.iter().zip(&answer.verdicts) {
                let letter = writer.of_verdict(delivery, verdict, name, *now_ms);
                if let Some(letter) = letter {
                    refused.push((RefusalKind::Output, 1));
                    letters.push(letter);
                }
            }
        }
        (letters, refused)
    }

    /// Which events are finished, and which have a fault.
    fn see(&mut self, batch: &MappedBatch) {
        let progress = &mut self.progress;
        progress.broken |= !batch.broken.is_empty();
        for (record, mapped) in batch.records.iter().zip(&batch.mapped) {
            let uuid = &record.head.uuid;
            let faulted = mapped
                .as_ref()
                .map_or(true, |outcome| !outcome.refused.is_empty());
            if faulted {
                progress.faulted.insert(uuid.clone());
            }
            if record.last && !uuid.is_empty() {
                progress.finished.push(EventSeen {
                    uuid: uuid.clone(),
                    publish_timestamp: record.head.publish_timestamp.unwrap_or(0),
                });
            }
        }
    }

    async fn remember(
        &self,
        batch: &MappedBatch,
        deliveries: &Arc<Vec<Delivery>>,
        answers: &[Answered<'_>],
    ) -> Result<(), RunError> {
        let acts: Vec<(OutputKey, Vec<Act>)> = answers
            .iter()
            .map(|answer| (answer.sink.key.clone(), answer.acts.clone()))
            .collect();
        let without: Vec<(String, String)> = batch
            .mapped
            .iter()
            .flatten()
            .flat_map(|outcome| {
                let attributes = outcome
                    .refused
                    .iter()
                    .filter_map(|one| one.attribute.clone());
                attributes.map(|attribute| (outcome.event.clone(), attribute))
            })
            .collect();
        let (instance, deliveries) = (self.context.instance.to_owned(), Arc::clone(deliveries));
        let version = batch.version;
        self.context
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

    /// Withdraws what its whole events no longer hold, then moves the cursor.
    async fn page_end(&mut self, end: PageEnd) -> Result<(), RunError> {
        let since = *self.first_version.get_or_insert(end.version);
        let Progress {
            finished,
            faulted,
            broken,
        } = std::mem::take(&mut self.progress);
        let whole = match end.whole {
            Whole::Slices => finished,
            Whole::Events(events) => events,
        };
        let sound = whole
            .iter()
            .filter(|event| !broken && !faulted.contains(&event.uuid));
        for event in sound {
            withdraw::older(&self.context, &event.uuid, since, end.version, end.now_ms).await?;
        }
        crash::point("withdrawn");
        if end.cursor.is_some() {
            self.first_version = None;
        }
        let (instance, walk) = (
            self.context.instance.to_owned(),
            self.context.walk.to_owned(),
        );
        let current = self.context.current();
        let keys: Vec<OutputKey> = current.map(|sink| sink.key.clone()).collect();
        let (cursor, wanted) = (end.cursor, end.no_longer_wanted);
        let version = end.version;
        self.context
            .on_state(move |state| {
                state.commit(&Commit {
                    instance: &instance,
                    walk: &walk,
                    cursor: cursor.as_ref(),
                    version,
                    outputs: &keys,
                    whole: &whole,
                    no_longer_wanted: &wanted,
                })
            })
            .await?;
        crash::point("committed");
        Ok(())
    }
}

/// A verdict on something that was sent, and what it means for the state.
fn sent(verdict: Option<Verdict>, fate: Fate) -> (Verdict, Act) {
    match verdict {
        Some(verdict @ Verdict::Rejected { .. }) => (verdict, Act::Sent(Fate::Refused)),
        Some(verdict) => (verdict, Act::Sent(fate)),
        // Cannot be: they were counted. If it were, nothing may be taken for stored.
        None => {
            let text = "the output gave no verdict".to_owned();
            (Verdict::Rejected { text }, Act::Sent(Fate::Refused))
        }
    }
}

/// With what the output has under its id now.
fn as_put(delivery: &Delivery, known: Option<&Remembered>) -> Delivery {
    let mut delivery = delivery.clone();
    if let Some(known) = known {
        delivery.revision = known.next_revision(Some(delivery.document.fingerprint));
        let elsewhere = known.places.iter();
        let elsewhere = elsewhere.filter(|place| **place != delivery.mapping);
        delivery.before = elsewhere.cloned().collect();
    }
    delivery
}

fn as_delete(delivery: &Delivery, known: Option<&Remembered>) -> Delivery {
    let mut delivery = delivery.clone();
    delivery.document.operation = Operation::Delete;
    if let Some(known) = known {
        delivery.revision = known.next_revision(None);
        delivery.before = withdraw::others(&known.places);
        if let Some(place) = known.places.last() {
            delivery.mapping = Arc::clone(place);
        }
    }
    delivery
}
