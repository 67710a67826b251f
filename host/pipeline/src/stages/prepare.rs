//! What comes before a batch is sent: what is known of it, what is to be done, and a note of it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::MappedBatch;
use crate::context::Context;
use crate::error::RunError;
use crate::memory::{Act, Changes, Fate, LetGo, Remembered};
use crate::plan::{Plan, needs_note, plan};
use crate::record::{Delivery, Operation};
use crate::sink::Sink;
use crate::times::Stage;
use crate::withdraw;

/// A batch that may be sent: what is about to happen is noted.
pub(super) struct Prepared<'p> {
    pub(super) batch: MappedBatch,
    /// One for each output that was not behind.
    pub(super) outputs: Vec<Planned<'p>>,
}

/// What one output is to do with a batch.
pub(super) struct Planned<'p> {
    pub(super) sink: &'p Sink,
    /// One for each delivery.
    pub(super) plans: Vec<Plan>,
    remembered: Vec<Option<Remembered>>,
}

/// Finds out what each output is to do with a batch, and notes it.
pub(super) async fn prepare<'p>(
    context: &Context<'p>,
    batch: MappedBatch,
) -> Result<Prepared<'p>, RunError> {
    let outputs = context.current().map(async |sink| {
        let planned = look_up(context, sink, &batch).await?;
        let noting = note(context, &planned, &batch.deliveries);
        context.ledger.times.timed(Stage::Note, noting).await?;
        Ok::<_, RunError>(planned)
    });
    let outputs = try_join_all(outputs).await?;
    Ok(Prepared { batch, outputs })
}

impl Prepared<'_> {
    /// Is a document in both? What happens to it here, the other must see when it is looked up.
    pub(super) fn shares_a_document_with(&self, other: &MappedBatch) -> bool {
        fn ids(batch: &MappedBatch) -> impl Iterator<Item = &str> {
            let deliveries = batch.deliveries.iter();
            deliveries.map(|delivery| delivery.document.id.as_str())
        }
        let mine: HashSet<&str> = ids(&self.batch).collect();
        ids(other).any(|id| mine.contains(id))
    }
}

impl Planned<'_> {
    /// What the output gets of these.
    pub(super) fn sending<'d>(&self, deliveries: &'d [Delivery]) -> Cow<'d, [Delivery]> {
        let known = || self.remembered.iter();
        if known().all(Option::is_none) && self.plans.iter().all(|plan| *plan == Plan::Put) {
            return Cow::Borrowed(deliveries);
        }
        let planned = deliveries.iter().zip(&self.plans).zip(known());
        let sending = planned.filter_map(|((delivery, plan), known)| match plan {
            Plan::Put => Some(as_put(delivery, known.as_ref())),
            Plan::Delete(_) => Some(as_delete(delivery, known.as_ref())),
            Plan::Nothing(_) => None,
        });
        sending.collect()
    }
}

/// Asks the state what is known of a batch at an output, and decides.
async fn look_up<'p>(
    context: &Context<'p>,
    sink: &'p Sink,
    batch: &MappedBatch,
) -> Result<Planned<'p>, RunError> {
    let (instance, key, asked) = (
        context.instance.to_owned(),
        sink.key.clone(),
        Arc::clone(&batch.deliveries),
    );
    let remembered = context.on_state(move |state| state.remembered(&instance, &key, &asked));
    let times = &context.ledger.times;
    let remembered = times.timed(Stage::LookUp, remembered).await?;
    let resend = context.options.resend;
    let now_ms = context.expired_at(batch.now_ms);
    let plans = batch.deliveries.iter().zip(&remembered);
    let plans = plans
        .map(|(delivery, known)| plan(&delivery.document, known.as_ref(), now_ms, resend))
        .collect();
    Ok(Planned {
        sink,
        plans,
        remembered,
    })
}

/// Writes down, before anything is sent, of what nobody will know whether it is there.
async fn note(
    context: &Context<'_>,
    planned: &Planned<'_>,
    deliveries: &Arc<Vec<Delivery>>,
) -> Result<(), RunError> {
    let noted: Vec<(usize, Plan)> = deliveries
        .iter()
        .zip(planned.plans.iter().zip(&planned.remembered))
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
        context.instance.to_owned(),
        planned.sink.key.clone(),
        Arc::clone(deliveries),
    );
    context
        .on_state(move |state| {
            let noted = noted
                .iter()
                .filter_map(|(place, plan)| Some((deliveries.get(*place)?, *plan)));
            let (puts, deletes): (Vec<_>, Vec<_>) = noted.partition(|(_, plan)| *plan == Plan::Put);
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

/// With what the output has under its id now.
fn as_put(delivery: &Delivery, known: Option<&Remembered>) -> Delivery {
    let mut delivery = delivery.clone();
    if let Some(known) = known {
        delivery.revision =
            known.next_revision(Some(delivery.document.fingerprint), delivery.version);
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
        delivery.revision = known.next_revision(None, delivery.version);
        delivery.before = withdraw::others(&known.places);
        if let Some(place) = known.places.last() {
            delivery.mapping = Arc::clone(place);
        }
    }
    delivery
}
