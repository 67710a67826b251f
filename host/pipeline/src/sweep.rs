//! Compares what is there now with what went out, and mends the difference, so that nothing
//! stays lost, nor stays for ever, whatever went wrong before.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::attempts::Attempts;
use crate::context::Context;
use crate::error::{Class, Classify, RunError, SourceError, StateError};
use crate::memory::{Difference, DifferenceCounts, Fate, Held};
use crate::sink::Sink;
use crate::traits::{Comparison, Listing};
use crate::withdraw;

/// How many orphans are held in memory at a time.
const ORPHANS_AT_ONCE: usize = 20_000;
/// Fewer orphans than this are never too many: a share of little is little.
pub(crate) const FEW: u64 = 10;

/// Tries in a row to list what is there (some 15 s): polling waits meanwhile.
const TRIES: u32 = 5;

/// What a sweep found at each output that is not behind, with the output's name.
pub(crate) type Found = Vec<(String, DifferenceCounts)>;

/// Sweeps: wants what is missing or stale, withdraws what is not there any more. Fails with
/// [`RunError::Source`] where what is there cannot be listed.
pub(crate) async fn sweep(
    context: &Context<'_>,
    mut listing: Box<dyn Listing>,
    now_ms: i64,
) -> Result<Found, RunError> {
    let instance = context.instance.to_owned();
    let comparison = context
        .on_state(move |state| Arc::clone(state).comparison(&instance))
        .await?;
    let mut comparison = list(context, listing.as_mut(), comparison).await?;
    let mut found = Found::new();
    for sink in context.current() {
        let (back, counts) = mend(context, sink, comparison, now_ms).await?;
        comparison = back;
        found.push((sink.key.name.clone(), counts));
    }
    Ok(found)
}

/// Writes the whole listing down.
async fn list(
    context: &Context<'_>,
    listing: &mut dyn Listing,
    mut comparison: Box<dyn Comparison>,
) -> Result<Box<dyn Comparison>, RunError> {
    let mut attempts = context.attempts("sweep");
    attempts.at_most(TRIES);
    loop {
        let attributes = tokio::select! {
            attributes = listing.attributes() => attributes,
            () = context.stop.cancelled() => return Err(stopped()),
        };
        match attributes {
            Ok(None) => break,
            Ok(Some(attributes)) => {
                attempts.progressed();
                comparison = on_comparison(comparison, move |comparison| {
                    comparison.add_attributes(&attributes)
                })
                .await?
                .0;
            }
            Err(error) => failed(&mut attempts, error).await?,
        }
    }
    // The events after the attributes: what was edited in between is then seen as edited.
    loop {
        let events = tokio::select! {
            events = listing.events() => events,
            () = context.stop.cancelled() => return Err(stopped()),
        };
        match events {
            Ok(None) => return Ok(comparison),
            Ok(Some(events)) => {
                attempts.progressed();
                comparison =
                    on_comparison(comparison, move |comparison| comparison.add_events(&events))
                        .await?
                        .0;
            }
            Err(error) => failed(&mut attempts, error).await?,
        }
    }
}

/// Waits for the next try. What is refused is refused again: there is none.
async fn failed(attempts: &mut Attempts<'_>, error: SourceError) -> Result<(), RunError> {
    if error.class() == Class::Fatal {
        return Err(RunError::Source(error));
    }
    attempts.failed(error, RunError::Source).await
}

async fn mend(
    context: &Context<'_>,
    sink: &Sink,
    comparison: Box<dyn Comparison>,
    now_ms: i64,
) -> Result<(Box<dyn Comparison>, DifferenceCounts), RunError> {
    let key = sink.key.clone();
    let (mut comparison, (counts, wanted, unsure, any_orphan)) =
        on_comparison(comparison, move |comparison| {
            let (mut wanted, mut unsure, mut any_orphan) =
                (BTreeSet::new(), BTreeSet::new(), false);
            let counts = comparison.compare(&key, &mut |difference| {
                match difference {
                    Difference::Missing {
                        event: Some(event), ..
                    }
                    | Difference::Stale { event, .. } => {
                        wanted.insert(event);
                    }
                    Difference::Unsure { event, .. } => {
                        unsure.insert(event);
                    }
                    Difference::Orphan { worked_on, .. } => any_orphan |= !worked_on,
                    Difference::Missing { event: None, .. } => {}
                }
                true
            })?;
            Ok((counts, wanted, unsure, any_orphan))
        })
        .await?;
    if !wanted.is_empty() {
        tracing::warn!(
            output = sink.key.name,
            missing = counts.missing,
            stale = counts.stale,
            events = wanted.len(),
            "the sweep found what had not come: it is fetched now"
        );
        let (instance, wanted) = (
            context.instance.to_owned(),
            wanted.into_iter().collect::<Vec<_>>(),
        );
        context
            .on_state(move |state| state.want(&instance, &wanted))
            .await?;
    }
    let share = context.options.sweep_share;
    if is_too_much(counts.orphaned, counts.held, share) && !context.options.sweep_confirmed {
        tracing::error!(
            output = sink.key.name,
            orphaned = counts.orphaned,
            held = counts.held,
            "the sweep would withdraw too much, so it withdrew nothing: look whether MISP, the \
             key and the filters are as they should be, then run `misp-ecs sweep --confirm`"
        );
        context.ledger.sweep_held_back(counts.orphaned);
        return Ok((comparison, counts));
    }
    if !unsure.is_empty() {
        let (instance, unsure) = (
            context.instance.to_owned(),
            unsure.into_iter().collect::<Vec<_>>(),
        );
        context
            .on_state(move |state| state.want_or_delete(&instance, &unsure))
            .await?;
    }
    if !any_orphan {
        // Going through everything once more would find nothing.
        return Ok((comparison, counts));
    }
    loop {
        let mut turn = context.state.turn().await;
        let key = sink.key.clone();
        let (back, orphans) = on_comparison(comparison, move |comparison| {
            let mut orphans: Vec<Held> = Vec::new();
            comparison.compare(&key, &mut |difference| {
                if let Difference::Orphan {
                    held,
                    worked_on: false,
                } = difference
                {
                    orphans.push(held);
                }
                orphans.len() < ORPHANS_AT_ONCE
            })?;
            Ok(orphans)
        })
        .await?;
        comparison = back;
        if orphans.is_empty() {
            return Ok((comparison, counts));
        }
        let version = context
            .on_state(move |state| state.next_version(now_ms))
            .await?;
        *turn = version;
        if !withdraw::these(context, sink, orphans, Fate::Deleted, version, now_ms).await? {
            return Ok((comparison, counts));
        }
    }
}

/// Would so much of what is there be deleted that an error is likelier than the truth? `share`:
/// the largest that is not, 0 to 1.
#[must_use]
pub fn is_too_much(deleted: u64, there: u64, share: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no last digit")]
    let beyond = deleted as f64 > there as f64 * share;
    deleted > FEW && beyond
}

/// Works on the comparison on a thread that may wait for the disk.
async fn on_comparison<T: Send + 'static>(
    mut comparison: Box<dyn Comparison>,
    work: impl FnOnce(&mut dyn Comparison) -> Result<T, StateError> + Send + 'static,
) -> Result<(Box<dyn Comparison>, T), RunError> {
    tokio::task::spawn_blocking(move || {
        let done = work(comparison.as_mut()).map_err(RunError::State)?;
        Ok((comparison, done))
    })
    .await?
}

fn stopped() -> RunError {
    RunError::Stopped {
        stage: "sweep".to_owned(),
        error: "it will be made at the next start".to_owned(),
    }
}
