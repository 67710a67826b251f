//! Takes back what is no longer there: attributes that left their event, indicators that
//! expired, and what a sweep found without an owner.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::context::{Context, Sink};
use crate::crash;
use crate::error::RunError;
use crate::memory::{Changes, Fate, Held, LetGo};
use crate::record::{Delivery, Document, MappingIdentity, Operation, Verdict};

/// Withdrawn in one go: what is held in memory, and what an output gets at once.
const AT_ONCE: usize = 1_000;

/// Withdraws what an event held before the write version `since` and was not seen again.
pub(crate) async fn older(
    context: &Context<'_>,
    event: &str,
    since: u64,
    version: u64,
    now_ms: i64,
) -> Result<(), RunError> {
    let outputs = context.sinks.iter().map(|sink| async move {
        loop {
            let (instance, key) = (context.instance.to_owned(), sink.key.clone());
            let event = event.to_owned();
            let held =
                context.on_state(move |state| state.older(&instance, &key, &event, since, AT_ONCE));
            let held = held.await?;
            if held.is_empty() {
                return Ok(());
            }
            these(context, sink, held, Fate::Deleted, version, now_ms).await?;
        }
    });
    try_join_all(outputs).await.map(drop)
}

/// Withdraws what this instance sent and what has stopped being valid.
pub(crate) async fn expired(context: &Context<'_>, now_ms: i64) -> Result<(), RunError> {
    let outputs = context.sinks.iter().map(|sink| async move {
        loop {
            let (instance, key) = (context.instance.to_owned(), sink.key.clone());
            let held = context.on_state(move |state| state.due(&instance, &key, now_ms, AT_ONCE));
            let held = held.await?;
            if held.is_empty() {
                return Ok(());
            }
            let version = context
                .on_state(move |state| state.next_version(now_ms))
                .await?;
            these(context, sink, held, Fate::Expired, version, now_ms).await?;
        }
    });
    try_join_all(outputs).await.map(drop)
}

/// Withdraws these from one output. What another instance, or another event, still wants is
/// let go without a word to the output.
pub(crate) async fn these(
    context: &Context<'_>,
    sink: &Sink,
    held: Vec<Held>,
    fate: Fate,
    version: u64,
    now_ms: i64,
) -> Result<(), RunError> {
    let mapping = context.mapping.current().identity();
    let (deletes, rest): (Vec<Held>, Vec<Held>) = held
        .into_iter()
        .partition(|held| held.fate.may_be_there() && !held.others);
    note(context, sink, &deletes, version).await?;
    let deliveries: Vec<Delivery> = deletes
        .iter()
        .map(|held| tombstone(held, version, &mapping, now_ms))
        .collect();
    let verdicts = context.send(&*sink.output, &deliveries).await?;
    for (held, verdict) in deletes.iter().zip(&verdicts) {
        if let Verdict::Rejected { text } = verdict {
            tracing::error!(
                id = held.id,
                output = sink.key.name,
                text,
                "a delete was refused: the output may still have the document"
            );
        }
    }
    crash::point("deleted");
    context.ledger.withdrawn(&sink.key.name, &verdicts);
    tracing::info!(
        output = sink.key.name,
        deleted = deletes.len(),
        let_go = rest.len(),
        why = if fate == Fate::Expired {
            "expired"
        } else {
            "no longer there"
        },
        "withdrawn"
    );
    let (instance, key) = (context.instance.to_owned(), sink.key.clone());
    context
        .on_state(move |state| {
            let sent = deletes.iter().map(|held| (held, Some(fate)));
            let unsent = rest.iter().map(|held| (held, None));
            state.record(&[Changes {
                instance: &instance,
                output: &key,
                version,
                documents: Vec::new(),
                without: Vec::new(),
                let_go: sent
                    .chain(unsent)
                    .map(|(held, sent)| LetGo {
                        id: &held.id,
                        event: &held.event,
                        attribute: held.attribute.as_deref(),
                        sent,
                        still_listed: fate == Fate::Expired,
                    })
                    .collect(),
            }])
        })
        .await
}

/// Writes down, before a delete is sent, that nobody knows what the output has from now on.
async fn note(
    context: &Context<'_>,
    sink: &Sink,
    deletes: &[Held],
    version: u64,
) -> Result<(), RunError> {
    // Also what was noted before: that may have been a put.
    if deletes.is_empty() {
        return Ok(());
    }
    let deletes = deletes.to_vec();
    let (instance, key) = (context.instance.to_owned(), sink.key.clone());
    context
        .on_state(move |state| {
            state.record(&[Changes {
                instance: &instance,
                output: &key,
                version,
                documents: Vec::new(),
                without: Vec::new(),
                let_go: deletes
                    .iter()
                    .map(|held| LetGo {
                        id: &held.id,
                        event: &held.event,
                        attribute: held.attribute.as_deref(),
                        sent: Some(Fate::Sent),
                        still_listed: true,
                    })
                    .collect(),
            }])
        })
        .await
}

/// The places but the last.
pub(crate) fn others(places: &[Arc<MappingIdentity>]) -> Vec<Arc<MappingIdentity>> {
    let (_, others) = places.split_last().unzip();
    others.map(<[_]>::to_vec).unwrap_or_default()
}

fn tombstone(held: &Held, version: u64, mapping: &Arc<MappingIdentity>, now_ms: i64) -> Delivery {
    Delivery {
        event: Arc::from(held.event.as_str()),
        version,
        mapping: held
            .places
            .last()
            .map_or_else(|| Arc::clone(mapping), Arc::clone),
        before: others(&held.places),
        revision: held.delete_revision,
        document: Document {
            id: held.id.clone(),
            attribute: held.attribute.clone(),
            attribute_timestamp: None,
            operation: Operation::Delete,
            dataset: None,
            timestamp_ms: now_ms,
            modified_ms: now_ms,
            expires_ms: None,
            fingerprint: 0,
            body: Bytes::from_static(b"{}"),
            notes: Vec::new(),
        },
    }
}
