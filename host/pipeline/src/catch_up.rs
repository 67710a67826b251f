//! Outputs that lack what the others got: each is brought up to date by a walk of its own.

use crate::context::Context;
use crate::error::RunError;
use crate::ledger::{Ledger, output_stage};
use crate::memory::{OutputKey, Standing};
use crate::sink::Sink;
use crate::stages::{Asked, Ended, pass};
use crate::targets;
use crate::traits::BeginWalk;

/// The name under which the cursor of an output that catches up is kept: instance, output and
/// target, with unit separators between them. A new target never continues at the place of
/// another one.
pub fn catch_up_walk(instance: &str, output: &OutputKey) -> String {
    // No name in a configuration file holds a control character.
    format!("{instance}\u{1f}{}\u{1f}{}", output.name, output.target)
}

/// Finds out which outputs are behind.
pub(crate) async fn find(context: &Context<'_>) -> Result<(), RunError> {
    let instance = context.instance.to_owned();
    let keys: Vec<OutputKey> = context.sinks.iter().map(|sink| sink.key.clone()).collect();
    context
        .on_state(move |state| state.leave_others_behind(&instance, &keys))
        .await?;
    for sink in context.sinks {
        let (instance, key) = (context.instance.to_owned(), sink.key.clone());
        let standing = context.on_state(move |state| state.standing(&instance, &key));
        if standing.await? == Standing::Behind && !sink.is_behind() {
            tracing::info!(
                output = sink.key.name,
                "this output is new, goes elsewhere now, or missed something: it gets a walk of \
                 its own first"
            );
            sink.set_behind(true);
            context
                .ledger
                .left_behind(&sink.key.name, "it catches up with what was sent before");
        }
    }
    Ok(())
}

/// Brings every output up to date that is behind and answers. An optional one that does not
/// stays behind until the next time. `ever_succeeded`: has the source answered before?
pub(crate) async fn catch_up(
    context: &Context<'_>,
    begin_walk: &BeginWalk,
    ever_succeeded: &mut bool,
) -> Result<Ended, RunError> {
    for sink in context.sinks.iter().filter(|sink| sink.is_behind()) {
        let name = &sink.key.name;
        if sink.is_optional() {
            let checked = tokio::select! {
                checked = sink.output.check() => checked,
                () = context.stop.cancelled() => return Ok(Ended::Stopped),
            };
            if let Err(error) = checked {
                let text = error.to_string();
                context.ledger.left_behind(name, &text);
                if context.ledger.fails(&output_stage(name), &text, None) {
                    tracing::error!(output = name, %error, "output does not answer, still behind");
                }
                continue;
            }
            targets::look_at(context, sink).await?;
        }
        match alone(context, sink, begin_walk, ever_succeeded).await {
            Ok(Ended::Done) => {}
            Ok(Ended::Stopped) => return Ok(Ended::Stopped),
            Err(RunError::Output { error, .. }) if sink.is_optional() => {
                tracing::debug!(output = name, %error, "still behind: it failed while it caught up");
                context.ledger.left_behind(name, &error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Ended::Done)
}

/// A walk for one output, which goes on where an earlier one of it was interrupted.
async fn alone(
    context: &Context<'_>,
    sink: &Sink,
    begin_walk: &BeginWalk,
    ever_succeeded: &mut bool,
) -> Result<Ended, RunError> {
    let name = &sink.key.name;
    let walk = catch_up_walk(context.instance, &sink.key);
    let cursor = {
        let walk = walk.clone();
        context.on_state(move |state| state.cursor(&walk)).await?
    };
    tracing::info!(
        output = name,
        from = if cursor.is_some() {
            "where it was left"
        } else {
            "the beginning"
        },
        "catches up"
    );
    let mut source = begin_walk(cursor.as_ref()).map_err(RunError::Source)?;
    // What it gets is no news of the instance: it has an account of its own.
    let ledger = Ledger::beside(context.ledger);
    let own = sink.alone();
    let catching_up = Context {
        walk: &walk,
        sinks: std::slice::from_ref(&own),
        ledger: &ledger,
        ..*context
    };
    let ended = pass(catching_up, source.as_mut(), Asked::Walk, ever_succeeded).await?;
    // What was sent to a target that is gone by now is sent again with the next poll.
    if ended == Ended::Done && !targets::look_at(context, sink).await? {
        let (instance, key) = (context.instance.to_owned(), sink.key.clone());
        context
            .on_state(move |state| state.caught_up(&instance, &key))
            .await?;
        sink.set_behind(false);
        context.ledger.caught_up(name);
        let counts = ledger.counts();
        let verdicts = counts.outputs.get(name).copied().unwrap_or_default();
        tracing::info!(
            output = name,
            documents = counts.documents,
            stored = verdicts.stored,
            unchanged = verdicts.unchanged,
            "caught up"
        );
    }
    Ok(ended)
}
