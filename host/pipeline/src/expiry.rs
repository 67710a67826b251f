//! Deletes documents whose `expires-ms` has passed, on a timer beside the polls: it goes on while
//! MISP does not answer and during a long first walk.

use std::collections::HashSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::context::Context;
use crate::error::RunError;
use crate::memory::Fate;
use crate::sink::Sink;
use crate::withdraw::{self, AT_ONCE};

/// From one look for expired documents to the next, unless polls come more often.
const EVERY: Duration = Duration::from_secs(60);

/// Takes a write version that is newer than everything delivered by an earlier process.
pub(crate) async fn begin(context: &Context<'_>) -> Result<(), RunError> {
    let mut turn = context.state.turn().await;
    let now_ms = now_ms();
    *turn = context
        .on_state(move |state| state.next_version(now_ms))
        .await?;
    Ok(())
}

/// Looks for expired documents again and again, until `finished`.
pub(crate) async fn every(
    context: &Context<'_>,
    finished: &CancellationToken,
) -> Result<(), RunError> {
    let interval = context.options.interval.unwrap_or(EVERY);
    let mut wait = EVERY.min(interval);
    loop {
        tokio::select! {
            () = finished.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = match once(context).await {
            Ok(Looked::Everything) => EVERY.min(interval),
            Ok(Looked::Refused) => EVERY.max(interval),
            Err(RunError::Stopped { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
    }
}

/// How far a look for expired documents came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// No expired document is left, or its output is behind.
    Everything,
    /// An output refused a delete.
    Refused,
}

/// Deletes what this instance delivered and what has expired.
pub(crate) async fn once(context: &Context<'_>) -> Result<Looked, RunError> {
    let now_ms = now_ms();
    let mut looked = Looked::Everything;
    for sink in context.current() {
        if delete_due(context, sink, now_ms).await? == Looked::Refused {
            looked = Looked::Refused;
        }
    }
    Ok(looked)
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
