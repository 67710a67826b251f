//! Deletes documents from outputs: those of attributes that left their event, those that expired,
//! and those that a sweep found without an owner.

use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::context::Context;
use crate::crash;
use crate::error::RunError;
use crate::letters;
use crate::memory::{Changes, Fate, Held, LetGo};
use crate::record::{DeadLetter, Delivery, Document, MappingIdentity, Verdict};
use crate::sink::Sink;

/// Withdrawn in one go: what is held in memory, and what an output gets at once.
pub(crate) const AT_ONCE: usize = 1_000;

/// Withdraws what an event held before the write version `since` and was not seen again.
pub(crate) async fn older(
    context: &Context<'_>,
    event: &str,
    since: u64,
    version: u64,
    now_ms: i64,
) -> Result<(), RunError> {
    let outputs = context.current().map(|sink| async move {
        loop {
            let (instance, key) = (context.instance.to_owned(), sink.key.clone());
            let event = event.to_owned();
            let held =
                context.on_state(move |state| state.older(&instance, &key, &event, since, AT_ONCE));
            let held = held.await?;
            if held.is_empty() {
                return Ok(());
            }
            // What it holds now was made just now: what another mapping made makes room for that.
            let deleted = delete(context, sink, held, Fate::Deleted, version, now_ms, true);
            if !deleted.await? {
                return Ok(());
            }
        }
    });
    try_join_all(outputs).await.map(drop)
}

/// Withdraws these from one output. What another instance, or another event, still wants is
/// let go without a word to the output. What the output refuses to delete stays held, with a dead
/// letter, to be tried again. `false`: the output was left behind, or refused something.
pub(crate) async fn these(
    context: &Context<'_>,
    sink: &Sink,
    held: Vec<Held>,
    fate: Fate,
    version: u64,
    now_ms: i64,
) -> Result<bool, RunError> {
    delete(context, sink, held, fate, version, now_ms, false).await
}

/// As [`these`]. `is_mapped_again`: what another mapping made is deleted because of the swap.
async fn delete(
    context: &Context<'_>,
    sink: &Sink,
    held: Vec<Held>,
    fate: Fate,
    version: u64,
    now_ms: i64,
    is_mapped_again: bool,
) -> Result<bool, RunError> {
    let mapping = context.mapping.current().identity();
    let (deletes, rest): (Vec<Held>, Vec<Held>) = held
        .into_iter()
        .partition(|held| held.fate.may_be_there() && !held.others);
    note(context, sink, &deletes, version).await?;
    let deliveries: Vec<Delivery> = deletes
        .iter()
        .map(|held| tombstone(held, version, &mapping, now_ms))
        .collect();
    let Some(verdicts) = context.send(sink, &deliveries).await? else {
        return Ok(false);
    };
    crash::point("deleted");
    let letters: Vec<DeadLetter> = deliveries
        .iter()
        .zip(&verdicts)
        .filter_map(|(delivery, verdict)| {
            letters::of_delete(context.instance, &sink.key.name, delivery, verdict, now_ms)
        })
        .collect();
    context.keep(&letters).await?;
    let any_stale = verdicts.contains(&Verdict::Stale);
    let verdicts_of = deletes.into_iter().zip(&verdicts);
    let deletes: Vec<(Held, Fate)> = verdicts_of
        .filter_map(|(held, verdict)| match verdict {
            Verdict::Rejected { .. } => None,
            // Something newer is there: it stays held, unless the state knows what that is.
            Verdict::Stale => Some((held, Fate::Sent)),
            _ => Some((held, fate)),
        })
        .collect();
    let of_former = |(held, _): &&(Held, Fate)| {
        let place = held.places.last();
        is_mapped_again && place.is_some_and(|place| place.name != mapping.name)
    };
    let replaced = deletes.iter().filter(of_former).count();
    let (name, gone) = (&sink.key.name, deletes.len() - replaced);
    context.ledger.withdrawn(name, gone as u64, replaced as u64);
    if replaced > 0 {
        tracing::info!(
            output = name,
            deleted = replaced,
            "documents of the former mapping deleted"
        );
    }
    if gone + rest.len() > 0 {
        tracing::info!(
            output = name,
            deleted = gone,
            let_go = rest.len(),
            why = if fate == Fate::Expired {
                "expired"
            } else {
                "no longer there"
            },
            "withdrawn"
        );
    }
    let (instance, key) = (context.instance.to_owned(), sink.key.clone());
    context
        .on_state(move |state| {
            let sent = deletes.iter().map(|(held, fate)| (held, Some(*fate)));
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
        .await?;
    Ok(letters.is_empty() && !any_stale)
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
        document: Document::tombstone(held.id.clone(), held.attribute.clone(), now_ms),
    }
}
