//! Whether each output's target is still the one that was written: an index may be deleted, and a
//! cluster replaced, without the host.

use tokio::time::Instant;

use crate::context::Context;
use crate::error::RunError;
use crate::ledger::output_stage;
use crate::memory::TargetIdentity;
use crate::sink::Sink;

/// Looks at the targets of all outputs, but for optional ones that are behind: these are looked at
/// when they catch up.
pub(crate) async fn look_at_all(context: &Context<'_>) -> Result<(), RunError> {
    for sink in context.sinks {
        if !(sink.is_optional() && sink.is_behind()) {
            look_at(context, sink).await?;
        }
    }
    Ok(())
}

/// Looks at one target, and waits until it can be written. Returns whether it is another one than
/// before: then everything is to be sent to it again.
pub(crate) async fn look_at(context: &Context<'_>, sink: &Sink) -> Result<bool, RunError> {
    let name = &sink.key.name;
    let mapping = context.mapping.current().identity();
    let Some(target) = prepared(context, sink, &mapping.name).await? else {
        return Ok(false);
    };
    let key = sink.key.clone();
    let change = context
        .on_state(move |state| state.see_target(&key, &mapping.name, &target))
        .await?;
    let Some(change) = change else {
        return Ok(false);
    };
    tracing::error!(
        output = name,
        %change,
        "the target is not the one that was written before: everything is sent to it again; \
         `misp-ecs audit --output {name} --repair` deletes what else is in it"
    );
    context.ledger.refilled(name, &change.to_string());
    sink.set_behind(true);
    Ok(true)
}

/// Asks the output until it is ready. `None`: its target has no identity, or the output is optional
/// and was left behind.
async fn prepared(
    context: &Context<'_>,
    sink: &Sink,
    mapping: &str,
) -> Result<Option<TargetIdentity>, RunError> {
    let name = &sink.key.name;
    let mut attempts = context.attempts(output_stage(name));
    if let Some(after) = sink.patience() {
        attempts.not_after(Instant::now() + after);
    }
    loop {
        let prepared = tokio::select! {
            prepared = sink.output.prepare(mapping) => prepared,
            () = context.stop.cancelled() => return Err(RunError::Stopped {
                stage: output_stage(name),
                error: "it was being asked whether it is ready".to_owned(),
            }),
        };
        let error = match prepared {
            Ok(target) => {
                attempts.recovered();
                return Ok(target);
            }
            Err(error) => error,
        };
        let give_up = |error| RunError::Output {
            name: name.clone(),
            error,
        };
        match attempts.failed(error, give_up).await {
            Ok(()) => {}
            Err(RunError::Output { error, .. }) if sink.is_optional() => {
                context.leave_behind(sink, &error).await?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
}
