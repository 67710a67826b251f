//! Deletes documents whose `expires-ms` has passed, on a timer beside the polls: it goes on while
//! MISP does not answer and during a long first walk.

use std::collections::HashSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{MOST_APART_MS, now_ms};
use crate::context::Context;
use crate::error::RunError;
use crate::memory::{DueCounts, Fate};
use crate::sink::Sink;
use crate::sweep::{FEW, is_too_much};
use crate::wake::Wake;
use crate::withdraw::{self, AT_ONCE};

/// From one look for expired documents to the next, unless polls come more often.
const EVERY: Duration = Duration::from_secs(60);
/// What [`crate::State::last_done`] knows a look for expired documents as.
const EXPIRY: &str = "expiry";

/// Takes a write version that is newer than everything delivered by an earlier process, and finds
/// out whether the clock was set back since.
pub(crate) async fn begin(context: &Context<'_>) -> Result<(), RunError> {
    let mut turn = context.state.turn().await;
    let now_ms = now_ms();
    *turn = context
        .on_state(move |state| state.next_version(now_ms))
        .await?;
    look_back(context).await?;
    Ok(())
}

/// Looks for expired documents again and again, until `finished`. The first time when the source
/// has been asked once, so that its clock is known if it answers.
pub(crate) async fn every(
    context: &Context<'_>,
    wake: &Wake,
    finished: &CancellationToken,
) -> Result<(), RunError> {
    tokio::select! {
        () = finished.cancelled() => return Ok(()),
        () = context.heard.tried() => {}
        () = tokio::time::sleep(EVERY) => {}
    }
    let interval = context.options.interval.unwrap_or(EVERY);
    loop {
        let looked = async {
            if look_back(context).await? > 0 {
                wake.wake();
            }
            once(context).await
        };
        let wait = match looked.await {
            Ok(Looked::Everything) => EVERY.min(interval),
            Ok(Looked::Refused) => EVERY.max(interval),
            Err(RunError::Stopped { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        tokio::select! {
            () = finished.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// If the host's clock was set back since the last look for expired documents, wants the events of
/// those that have not expired after all; says how many events.
async fn look_back(context: &Context<'_>) -> Result<u64, RunError> {
    if context.heard.apart_s().is_some() {
        return Ok(0);
    }
    let now_ms = now_ms();
    let last = context.last_done(EXPIRY).await?.unwrap_or(i64::MIN);
    if now_ms.saturating_add(MOST_APART_MS) < last {
        let instance = context.instance.to_owned();
        let events = context
            .on_state(move |state| state.want_expired_too_early(&instance, now_ms))
            .await?;
        tracing::warn!(
            events,
            "the host's clock was set back: events whose documents expired by the wrong clock are \
             read again"
        );
        context.done(EXPIRY).await?;
        return Ok(events);
    }
    // Now and then is enough: a smaller step back is no wrong clock.
    if now_ms.saturating_sub(MOST_APART_MS) > last {
        context.done(EXPIRY).await?;
    }
    Ok(0)
}

/// How far a look for expired documents came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// No expired document is left, or its output is behind.
    Everything,
    /// An output refused a delete.
    Refused,
}

/// Deletes what this instance delivered and what has expired, unless a guard holds it back.
pub(crate) async fn once(context: &Context<'_>) -> Result<Looked, RunError> {
    let apart = context.heard.apart_s();
    let before = context.ledger.clocks_apart(apart);
    if let Some(host_ahead_s) = apart {
        if before.is_none() {
            tracing::error!(
                host_ahead_s,
                "the clocks of this host and of the server differ by more than an hour: no expired \
                 document is deleted until they agree"
            );
        }
        return Ok(Looked::Everything);
    }
    if before.is_some() {
        tracing::info!("the clocks of this host and of the server agree again");
    }
    let now_ms = now_ms();
    let (mut looked, mut held_back) = (Looked::Everything, 0);
    for sink in context.current() {
        let counts = count(context, sink, now_ms).await?;
        let share = context.options.sweep_share;
        if is_too_much(counts.due, counts.there, share) && !context.options.sweep_confirmed {
            held_back += counts.due;
        } else if delete_due(context, sink, now_ms).await? == Looked::Refused {
            looked = Looked::Refused;
        }
    }
    if context.ledger.expiry_held_back(held_back) == 0 && held_back > 0 {
        tracing::error!(
            documents = held_back,
            "so many documents have expired at once that none of them is deleted: check this \
             host's clock, then run `misp-ecs sweep --confirm`"
        );
    }
    Ok(looked)
}

async fn count(context: &Context<'_>, sink: &Sink, now_ms: i64) -> Result<DueCounts, RunError> {
    let (instance, key) = (context.instance.to_owned(), sink.key.clone());
    context
        .on_state(move |state| state.count_due(&instance, &key, now_ms, FEW))
        .await
}

async fn delete_due(context: &Context<'_>, sink: &Sink, now_ms: i64) -> Result<Looked, RunError> {
    let mut seen = HashSet::new();
    while !context.stop.is_cancelled() {
        let turn = context.state.turn().await;
        let (instance, key) = (context.instance.to_owned(), sink.key.clone());
        let held = context.on_state(move |state| state.due(&instance, &key, now_ms, AT_ONCE));
        let mut held = held.await?;
        // A document that is still due after it was dealt with is left for the next look.
        held.retain(|one| seen.insert(one.id.clone()));
        if held.is_empty() {
            break;
        }
        if !withdraw::these(context, sink, held, Fate::Expired, *turn, now_ms).await? {
            return Ok(match sink.is_behind() {
                true => Looked::Everything,
                false => Looked::Refused,
            });
        }
    }
    Ok(Looked::Everything)
}
