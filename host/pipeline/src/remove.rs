//! Takes an instance that is not configured any more out of the outputs.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::{Heard, now_ms};
use crate::context::{Context, StateInUse};
use crate::error::RunError;
use crate::ledger::Ledger;
use crate::memory::Fate;
use crate::options::Options;
use crate::sink::Sink;
use crate::slot::Slot;
use crate::traits::{DeadLetters, State};
use crate::withdraw;

/// Documents that are looked at together.
const AT_ONCE: usize = 1_000;

/// What the removal of an instance works on.
pub struct Removal {
    /// The instance's name: its state is kept under it.
    pub instance: String,
    /// The mapping, for documents of which the state does not know by which they were made.
    pub mapping: Slot,
    /// Where its documents are.
    pub outputs: Vec<Sink>,
    /// Where deletes go that an output refuses.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What the instance delivered.
    pub state: Arc<dyn State>,
    /// Counts the deletes.
    pub ledger: Arc<Ledger>,
    /// How failures are tried again.
    pub options: Options,
}

impl Removal {
    /// Deletes from the outputs what only this instance delivered. What another configured
    /// instance has too stays. Returns the outputs that did not take every delete: what they
    /// refused is in the dead letters, and the state still knows it.
    ///
    /// # Errors
    /// When an output or the state cannot be reached. What was deleted until then is known.
    pub async fn run(self, stop: CancellationToken) -> Result<Vec<String>, RunError> {
        let state = StateInUse::new(self.state);
        let heard = Heard::default();
        let context = Context {
            instance: &self.instance,
            walk: &self.instance,
            mapping: &self.mapping,
            sinks: &self.outputs,
            unordered: false,
            dead_letters: &*self.dead_letters,
            state: &state,
            heard: &heard,
            ledger: &self.ledger,
            options: &self.options,
            stop: &stop,
        };
        let mut left = Vec::new();
        for sink in &self.outputs {
            if !delete(&context, sink).await? {
                left.push(sink.key.name.clone());
            }
        }
        Ok(left)
    }
}

/// Returns whether the output took every delete.
async fn delete(context: &Context<'_>, sink: &Sink) -> Result<bool, RunError> {
    let mut from: Option<String> = None;
    loop {
        let (instance, key) = (context.instance.to_owned(), sink.key.clone());
        let held = context
            .on_state(move |state| state.held(&instance, &key, from.as_deref(), AT_ONCE))
            .await?;
        let Some(last) = held.last() else {
            return Ok(true);
        };
        from = Some(last.event.clone());
        let now = now_ms();
        let version = context
            .on_state(move |state| state.next_version(now))
            .await?;
        if !withdraw::these(context, sink, held, Fate::Deleted, version, now).await? {
            return Ok(false);
        }
    }
}
