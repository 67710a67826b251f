//! Runs one instance: passes of fetch, map, deliver, commit; between them what has expired is
//! withdrawn, and now and then a sweep compares what went out with what is there.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::context::{Context, Sink};
use crate::error::RunError;
use crate::ledger::{Health, Ledger};
use crate::memory::Standing;
use crate::options::Options;
use crate::slot::Slot;
use crate::stages::{Asked, Ended, pass};
use crate::sweep::{self, Found};
use crate::traits::{DeadLetters, Output, Source, State};
use crate::withdraw;

/// Events that are asked for by name in one pass.
const NAMED_AT_ONCE: usize = 500;
/// What [`State::last_done`] knows a sweep as.
const SWEEP: &str = "sweep";
/// What [`State::last_done`] knows a full walk as.
const FULL_WALK: &str = "full walk";

/// What an instance is made of.
pub struct Pipeline {
    /// The instance's name: its state is kept under it.
    pub instance: String,
    /// Where records come from.
    pub source: Box<dyn Source>,
    /// What maps them, and may be replaced meanwhile.
    pub mapping: Slot,
    /// Where documents go: each gets every document.
    pub outputs: Vec<Arc<dyn Output>>,
    /// Where refused input goes.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What survives.
    pub state: Arc<dyn State>,
    /// The account.
    pub ledger: Arc<Ledger>,
    /// How it runs.
    pub options: Options,
    /// Wakes it between two rounds, when [`State::wanted`] has got more.
    pub wake: Arc<Notify>,
}

/// The name under which the cursor of an output that catches up is kept.
pub fn catch_up_walk(instance: &str, output: &str) -> String {
    // No name in a configuration file holds a control character.
    format!("{instance}\u{1f}{output}")
}

impl Pipeline {
    /// Runs until the walk has ended (one pass) or `stop` is cancelled. After
    /// `stop` nothing more is fetched; what was fetched is delivered and committed.
    /// To give up on that too, drop the future: nothing uncommitted counts.
    ///
    /// # Errors
    /// When a stage fails for good; nothing unacknowledged was committed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let walk = self.instance.clone();
        self.start(&walk, &stop, Job::Run).await
    }

    /// Walks once from the source's beginning for outputs that lack what the others got, and
    /// notes that they have it now. Its cursor is kept under [`catch_up_walk`].
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn catch_up(self, stop: CancellationToken) -> Result<(), RunError> {
        let output = self.outputs.first().map_or("", |output| output.name());
        let walk = catch_up_walk(&self.instance, output);
        self.start(&walk, &stop, Job::CatchUp).await
    }

    async fn start(self, walk: &str, stop: &CancellationToken, job: Job) -> Result<(), RunError> {
        let Self {
            instance,
            mut source,
            mapping,
            wake,
            outputs,
            dead_letters,
            state,
            ledger,
            options,
        } = self;
        let sinks: Vec<Sink> = outputs.into_iter().map(Sink::new).collect();
        ledger.name_outputs(sinks.iter().map(|sink| sink.key.name.as_str()));
        let mut runner = Runner {
            context: Context {
                instance: &instance,
                walk,
                mapping: &mapping,
                sinks: &sinks,
                dead_letters: &*dead_letters,
                state: &state,
                ledger: &ledger,
                options: &options,
                stop,
            },
            source: source.as_mut(),
            wake: &wake,
            ever_succeeded: false,
        };
        let result = match job {
            Job::Run => runner.run().await,
            Job::CatchUp => runner.catch_up().await,
        };
        if let Err(error) = &result {
            ledger.set_health(Health::Failed {
                error: error.to_string(),
            });
        }
        result
    }
}

/// What a pipeline is started for.
enum Job {
    Run,
    CatchUp,
}

struct Runner<'p, 's> {
    context: Context<'p>,
    source: &'s mut dyn Source,
    wake: &'s Notify,
    ever_succeeded: bool,
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
                () = self.wake.notified() => tracing::info!("something is to be read again"),
                () = self.context.stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Everything that is due now.
    async fn round(&mut self) -> Result<Ended, RunError> {
        let context = self.context;
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
        if self.pass(Asked::Walk).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        context.ledger.walked();
        tracing::info!("walk finished");
        if full {
            context.done(FULL_WALK).await?;
        }
        withdraw::expired(&context, now_ms()).await?;
        if fresh {
            // Nothing is held that this very walk did not bring. A first walk that others began
            // is swept: what went, or came behind it, between them and now is not seen otherwise.
            context.done(SWEEP).await?;
        } else if context.is_due(SWEEP, context.options.sweep).await? {
            match self.sweep().await {
                Err(RunError::Stopped { .. }) => return Ok(Ended::Stopped),
                swept => swept?,
            }
            if self.wanted().await? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
        }
        context.ledger.set_health(Health::Running);
        Ok(Ended::Done)
    }

    async fn sweep(&mut self) -> Result<(), RunError> {
        let context = self.context;
        if let Some(listing) = self.source.listing() {
            let found = sweep::sweep(&context, listing, now_ms()).await?;
            context.report(&found);
        }
        context.done(SWEEP).await
    }

    async fn catch_up(&mut self) -> Result<(), RunError> {
        if self.pass(Asked::Walk).await? == Ended::Stopped {
            return Ok(());
        }
        for sink in self.context.sinks {
            let (instance, key) = (self.context.instance.to_owned(), sink.key.clone());
            let walk = self.context.walk.to_owned();
            self.context
                .on_state(move |state| {
                    state.set_standing(&instance, &key, Standing::Current, &walk)
                })
                .await?;
        }
        Ok(())
    }

    /// Reads the events that something else than their clocks asks for.
    async fn wanted(&mut self) -> Result<Ended, RunError> {
        let mut after: Option<String> = None;
        loop {
            let (instance, from) = (self.context.instance.to_owned(), after);
            let events = self
                .context
                .on_state(move |state| state.wanted(&instance, from.as_deref(), NAMED_AT_ONCE));
            let events = events.await?;
            after = events.last().cloned();
            if events.is_empty() {
                return Ok(Ended::Done);
            }
            if self.pass(Asked::Named(events)).await? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
        }
    }

    async fn pass(&mut self, asked: Asked) -> Result<Ended, RunError> {
        pass(self.context, self.source, asked, &mut self.ever_succeeded).await
    }
}

impl Context<'_> {
    /// Is nothing remembered of this instance yet?
    async fn is_fresh(&self) -> Result<bool, RunError> {
        let walk = self.walk.to_owned();
        let cursor = self.on_state(move |state| state.cursor(&walk)).await?;
        if cursor.is_none() {
            tracing::info!(
                "nothing is remembered of this instance: everything is sent once, nothing is \
                 withdrawn"
            );
        }
        Ok(cursor.is_none())
    }

    async fn is_due(&self, what: &'static str, every: Option<Duration>) -> Result<bool, RunError> {
        let Some(every) = every else { return Ok(false) };
        let last = self.last_done(what).await?;
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        Ok(last.is_none_or(|last| now_ms().saturating_sub(last) >= every))
    }

    async fn last_done(&self, what: &'static str) -> Result<Option<i64>, RunError> {
        let instance = self.instance.to_owned();
        self.on_state(move |state| state.last_done(&instance, what))
            .await
    }

    async fn done(&self, what: &'static str) -> Result<(), RunError> {
        let (instance, now) = (self.instance.to_owned(), now_ms());
        self.on_state(move |state| state.set_done(&instance, what, now))
            .await
    }

    fn report(&self, found: &Found) {
        for (sink, counts) in self.sinks.iter().zip(found) {
            tracing::info!(
                output = sink.key.name,
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
