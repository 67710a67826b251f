//! Runs one instance: passes of fetch, map, deliver, commit; before them outputs that are behind
//! catch up, and now and then a sweep compares what went out with what is there. Expired documents
//! are deleted beside all of this.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::catch_up::{self, catch_up};
use crate::clock::{Heard, now_ms};
use crate::context::{Context, StateInUse};
use crate::error::RunError;
use crate::expiry;
use crate::ledger::Ledger;
use crate::options::Options;
use crate::record::PublishedSince;
use crate::sink::Sink;
use crate::slot::Slot;
use crate::stages::{Asked, Ended, pass};
use crate::sweep::{self, Found};
use crate::targets;
use crate::traits::{BeginWalk, DeadLetters, Source, State};
use crate::wake::{Swept, Wake};

/// Events that are asked for by name in one pass.
const NAMED_AT_ONCE: usize = 500;
/// Events that have left the filters since the last poll. With more of them the server may not know
/// the parameters of the list.
const MOST_LEFT: usize = 2_000;
/// What [`State::last_done`] knows a sweep as.
const SWEEP: &str = "sweep";
/// The stage of events that the source could not give, as health names it.
const EVENTS: &str = "events";
/// When a sweep that failed is tried again, unless sweeps come more often.
const SWEEP_AGAIN: Duration = Duration::from_secs(3_600);
/// What [`State::last_done`] knows a change of the filters as.
const SELECTION: &str = "selection changed";
/// What [`State::last_done`] knows a full walk as.
const FULL_WALK: &str = "full walk";

/// What an instance is made of.
pub struct Pipeline {
    /// The instance's name: its state is kept under it.
    pub instance: String,
    /// Where records come from: the instance's walk, and one for each output that catches up.
    pub begin_walk: BeginWalk,
    /// What maps them, and may be replaced meanwhile.
    pub mapping: Slot,
    /// Where documents go: each gets every document.
    pub outputs: Vec<Sink>,
    /// Where refused input goes.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What survives.
    pub state: Arc<dyn State>,
    /// The account.
    pub ledger: Arc<Ledger>,
    /// How it runs.
    pub options: Options,
    /// Wakes it between two rounds, when [`State::wanted`] has got more or a sweep is asked for.
    pub wake: Arc<Wake>,
}

impl Pipeline {
    /// Runs until the walk has ended (one pass) or `stop` is cancelled. After
    /// `stop` nothing more is fetched; what was fetched is delivered and committed.
    /// To give up on that too, drop the future: nothing uncommitted counts.
    ///
    /// # Errors
    /// When a stage fails for good; nothing unacknowledged was committed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let Self {
            instance,
            begin_walk,
            mapping,
            wake,
            outputs,
            dead_letters,
            state,
            ledger,
            options,
        } = self;
        let state = StateInUse::new(state);
        let heard = Heard::default();
        ledger.name_outputs(outputs.iter().map(|sink| sink.key.name.as_str()));
        let context = Context {
            instance: &instance,
            walk: &instance,
            mapping: &mapping,
            sinks: &outputs,
            unordered: false,
            dead_letters: &*dead_letters,
            state: &state,
            heard: &heard,
            ledger: &ledger,
            options: &options,
            stop: &stop,
        };
        let _ends = Ends(&wake);
        let result = run(context, &begin_walk, &wake).await;
        if let Err(error) = &result {
            ledger.failed(error);
        }
        result
    }
}

/// Tells whoever asks that nobody listens any more, also when the run is dropped.
struct Ends<'w>(&'w Wake);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn run(context: Context<'_>, begin_walk: &BeginWalk, wake: &Wake) -> Result<(), RunError> {
    context.select().await?;
    let walk = context.walk.to_owned();
    let cursor = context.on_state(move |state| state.cursor(&walk)).await?;
    let mut source = begin_walk(cursor.as_ref()).map_err(RunError::Source)?;
    expiry::begin(&context).await?;
    let mut runner = Runner {
        context,
        source: source.as_mut(),
        begin_walk,
        wake,
        ever_succeeded: false,
        unswept: None,
    };
    if context.options.interval.is_none() {
        let ended = runner.run().await;
        if matches!(ended, Err(RunError::Source(_))) {
            // Documents expire whether or not the source answers.
            expiry::once(&context).await?;
        }
        return ended;
    }
    let finished = CancellationToken::new();
    let polling = async {
        let ended = runner.run().await;
        finished.cancel();
        ended
    };
    let ended = tokio::try_join!(polling, expiry::every(&context, wake, &finished));
    context.state.settled().await;
    ended.map(drop)
}

struct Runner<'p, 's> {
    context: Context<'p>,
    source: &'s mut dyn Source,
    begin_walk: &'p BeginWalk,
    wake: &'s Wake,
    ever_succeeded: bool,
    unswept: Option<Unswept>,
}

/// A sweep that could not list what is there.
struct Unswept {
    /// When it is tried again.
    again: Instant,
}

impl Runner<'_, '_> {
    async fn run(&mut self) -> Result<(), RunError> {
        let options = self.context.options;
        loop {
            let started = Instant::now();
            if self.round().await? == Ended::Stopped {
                return Ok(());
            }
            let Some(interval) = options.interval else {
                return Ok(());
            };
            tokio::select! {
                () = tokio::time::sleep_until(started + interval) => {}
                () = self.wake.woken() => tracing::info!("asked for before its time"),
                () = self.context.stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Everything that is due now.
    async fn round(&mut self) -> Result<Ended, RunError> {
        let context = self.context;
        if self.bring_up_to_date().await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        let first = context.last_done(FULL_WALK).await?.is_none();
        let fresh = first && context.is_fresh().await?;
        if self.wanted().await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        let full = first || context.is_due(FULL_WALK, context.options.refresh).await?;
        if full && !first {
            tracing::info!("everything is read again (refresh)");
            self.source.restart();
        }
        if self.pass(Asked::Walk, full && !first).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        context.ledger.walked();
        tracing::info!("walk finished");
        if full {
            context.done(FULL_WALK).await?;
        }
        if !full && self.find_what_left().await? && self.wanted().await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        if context.options.interval.is_none() {
            expiry::once(&context).await?;
        }
        let asked = self.wake.take();
        if fresh && asked.is_none() {
            // Nothing is held that this very walk did not bring. A first walk that others began
            // is swept: what went, or came behind it, between them and now is not seen otherwise.
            context.done(SWEEP).await?;
        } else if asked.is_some() || (context.is_sweep_due().await? && self.may_sweep()) {
            // What the state holds counts only where the target is the one that was written.
            if self.bring_up_to_date().await? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
            let confirmed = asked.as_ref().is_some_and(|asked| asked.confirmed);
            let swept = match self.sweep(confirmed).await {
                Err(RunError::Stopped { .. }) => return Ok(Ended::Stopped),
                // Whoever asked for one pass wants to hear it; a service goes on polling.
                Err(RunError::Source(error)) if context.options.interval.is_some() => {
                    self.sweep_later(&error.to_string());
                    None
                }
                swept => {
                    let swept = swept?;
                    self.unswept = None;
                    Some(swept)
                }
            };
            if self.wanted().await? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
            if let (Some(asked), Some(swept)) = (asked, swept) {
                asked.tell(&swept);
            }
        }
        if self.unswept.is_none() {
            context.ledger.works(SWEEP);
        }
        context.note_unread().await?;
        Ok(Ended::Done)
    }

    /// Finds the outputs whose target is new, another one or missed something, and brings them up
    /// to date.
    async fn bring_up_to_date(&mut self) -> Result<Ended, RunError> {
        let context = self.context;
        match targets::look_at_all(&context).await {
            Err(RunError::Stopped { .. }) => return Ok(Ended::Stopped),
            looked => looked?,
        }
        catch_up::find(&context).await?;
        catch_up(&context, self.begin_walk, &mut self.ever_succeeded).await
    }

    /// Wants the events that have been published and were not in the walk: they have left the
    /// filters, or were published after it. Says whether there are any.
    async fn find_what_left(&mut self) -> Result<bool, RunError> {
        let context = self.context;
        let published = tokio::select! {
            published = self.source.published() => published,
            () = context.stop.cancelled() => return Ok(false),
        };
        let PublishedSince { seconds, events } = match published {
            Ok(Some(published)) => published,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the events published since the last poll could not be listed: what has left \
                     the filters is found by the next poll"
                );
                return Ok(false);
            }
        };
        let instance = context.instance.to_owned();
        let left = context
            .on_state(move |state| state.read_before(&instance, &events, seconds))
            .await?;
        if left.is_empty() {
            return Ok(false);
        }
        if left.len() > MOST_LEFT {
            tracing::warn!(
                events = left.len(),
                "so many events have left the filters that the next sweep compares them"
            );
            return Ok(false);
        }
        tracing::info!(
            events = left.len(),
            "events were published and were not in the poll: they are asked for by name"
        );
        let instance = context.instance.to_owned();
        context
            .on_state(move |state| state.want_or_delete(&instance, &left))
            .await?;
        Ok(true)
    }

    fn may_sweep(&self) -> bool {
        let again = self.unswept.as_ref().map(|unswept| unswept.again);
        again.is_none_or(|again| Instant::now() >= again)
    }

    fn sweep_later(&mut self, error: &str) {
        let every = self.context.options.sweep.unwrap_or(SWEEP_AGAIN);
        let wait = every.min(SWEEP_AGAIN);
        if self.context.ledger.fails(SWEEP, error, Some(wait)) {
            tracing::error!(
                error,
                again_in_s = wait.as_secs(),
                "what is there could not be listed, so nothing is swept: what vanished stays, what \
                 never came is not fetched"
            );
        }
        self.unswept = Some(Unswept {
            again: Instant::now() + wait,
        });
    }

    /// `confirmed`: whatever the options say.
    async fn sweep(&mut self, confirmed: bool) -> Result<Swept, RunError> {
        let options = Options {
            sweep_confirmed: confirmed || self.context.options.sweep_confirmed,
            ..self.context.options.clone()
        };
        let context = Context {
            options: &options,
            ..self.context
        };
        if confirmed {
            expiry::once(&context).await?;
        }
        context.ledger.sweep_begins();
        let mut swept = Swept::default();
        if let Some(listing) = self.source.listing() {
            swept.outputs = sweep::sweep(&context, listing, now_ms()).await?;
            swept.held_back = context.ledger.counts().sweep_held_back;
            context.report(&swept.outputs);
        }
        context.done(SWEEP).await?;
        Ok(swept)
    }

    /// Reads the events that something else than their clocks asks for.
    async fn wanted(&mut self) -> Result<Ended, RunError> {
        let mut after: Option<String> = None;
        loop {
            let (instance, from) = (self.context.instance.to_owned(), after);
            let events = self.context.on_state(move |state| {
                state.wanted(&instance, now_ms(), from.as_deref(), NAMED_AT_ONCE)
            });
            let events = events.await?;
            after = events.last().cloned();
            if events.is_empty() {
                return Ok(Ended::Done);
            }
            if self.pass(Asked::Named(events), true).await? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// `unordered`: what comes is read again, in another order than that of the cursor.
    async fn pass(&mut self, asked: Asked, unordered: bool) -> Result<Ended, RunError> {
        let context = Context {
            unordered,
            ..self.context
        };
        if unordered {
            context.behind_needs_everything().await?;
        }
        pass(context, self.source, asked, &mut self.ever_succeeded).await
    }
}

impl Context<'_> {
    /// Is nothing remembered of this instance yet?
    async fn is_fresh(&self) -> Result<bool, RunError> {
        let walk = self.walk.to_owned();
        let cursor = self.on_state(move |state| state.cursor(&walk)).await?;
        let fresh = cursor.is_none() && self.last_done(SELECTION).await?.is_none();
        if fresh {
            tracing::info!(
                "nothing is remembered of this instance: everything is sent once; if its state was \
                 lost, `misp-ecs audit --output NAME --repair` deletes what was deleted in MISP \
                 since"
            );
        }
        Ok(fresh)
    }

    /// Notes what selects the events of this instance; if that has changed, everything is polled
    /// from the beginning.
    async fn select(&self) -> Result<(), RunError> {
        let Some(selection) = self.options.selection.clone() else {
            return Ok(());
        };
        let instance = self.instance.to_owned();
        let changed = self
            .on_state(move |state| state.select(&instance, &selection, SELECTION))
            .await?;
        if changed {
            self.ledger.selection_changed();
            tracing::warn!(
                "the filters of this instance, or its lookback, have changed: it is polled from \
                 the beginning and reconciled"
            );
        }
        Ok(())
    }

    /// Is a sweep due by its interval, or because the filters have changed since the last one?
    async fn is_sweep_due(&self) -> Result<bool, RunError> {
        let changed = self.last_done(SELECTION).await?;
        let swept = self.last_done(SWEEP).await?;
        if changed.is_some() && swept < changed {
            return Ok(true);
        }
        self.is_due(SWEEP, self.options.sweep).await
    }

    async fn is_due(&self, what: &'static str, every: Option<Duration>) -> Result<bool, RunError> {
        let Some(every) = every else { return Ok(false) };
        let last = self.last_done(what).await?;
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        Ok(last.is_none_or(|last| now_ms().saturating_sub(last) >= every))
    }

    pub(crate) async fn last_done(&self, what: &'static str) -> Result<Option<i64>, RunError> {
        let instance = self.instance.to_owned();
        self.on_state(move |state| state.last_done(&instance, what))
            .await
    }

    pub(crate) async fn done(&self, what: &'static str) -> Result<(), RunError> {
        let (instance, now) = (self.instance.to_owned(), now_ms());
        self.on_state(move |state| state.set_done(&instance, what, now))
            .await
    }

    /// Reports the events that the source could not give so far.
    async fn note_unread(&self) -> Result<(), RunError> {
        let instance = self.instance.to_owned();
        let unread = self.on_state(move |state| state.unread(&instance, 1));
        let (count, some) = unread.await?;
        self.ledger.set_unread(count);
        let Some(first) = some.first() else {
            self.ledger.works(EVENTS);
            return Ok(());
        };
        let others = match count.saturating_sub(1) {
            0 => String::new(),
            1 => " (and 1 other event)".to_owned(),
            others => format!(" (and {others} other events)"),
        };
        let error = format!(
            "event {}{others} cannot be read: {}",
            first.uuid, first.error
        );
        let wait = first.again_ms.saturating_sub(now_ms()).max(0);
        let wait = Duration::from_millis(wait.unsigned_abs());
        self.ledger.fails(EVENTS, &error, Some(wait));
        Ok(())
    }

    fn report(&self, found: &Found) {
        for (output, counts) in found {
            tracing::info!(
                output,
                listed = counts.listed,
                held = counts.held,
                missing = counts.missing,
                stale = counts.stale,
                orphaned = counts.orphaned,
                worked_on = counts.worked_on,
                "swept"
            );
            self.ledger.swept(*counts);
        }
    }
}
