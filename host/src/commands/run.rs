//! `misp-ecs run`: polls every instance of the configuration.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pipeline::{Ledger, RunError};
use state::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::args::{Configured, Run};
use crate::assembly::{Assembled, Mode, Running, assemble};
use crate::config::Loaded;
use crate::control::{Control, Host};
use crate::exit::Exit;
use crate::signals::{Ended, until_stopped};
use crate::summary::{plural, summary, thousands};
use crate::why::why_nothing;
use crate::{instances, wiring};

/// How often a long pass says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) async fn run(args: &Run) -> anyhow::Result<ExitCode> {
    let mode = Mode {
        once: args.once,
        ..Mode::default()
    };
    poll(&args.configured, &mode).await
}

pub(super) async fn poll(configured: &Configured, mode: &Mode) -> anyhow::Result<ExitCode> {
    let loaded = wiring::load_config(configured)?;
    let folder = wiring::state_folder(configured, Some(&loaded.config))?;
    let store = Arc::new(Store::open(&folder)?);
    poll_with(configured, mode, Arc::new(loaded), &folder, store).await
}

/// As [`poll`], with a state that the command has opened already.
pub(super) async fn poll_with(
    configured: &Configured,
    mode: &Mode,
    loaded: Arc<Loaded>,
    folder: &Path,
    store: Arc<Store>,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    instances::configure(&store, &loaded.config)?;
    instances::report(&store, &loaded.config)?;
    let Assembled {
        instances,
        swap,
        replay,
        others,
        dead_letters,
    } = assemble(&loaded, configured.config.as_deref(), folder, &store, mode).await?;
    if let Some(what) = &mode.reprocess {
        let only = mode.only.as_deref();
        let text = tokio::task::block_in_place(|| swap.reprocess(only, what.in_store().as_ref()))?;
        crate::say(text.trim_end());
    }
    if let Some(picked) = &mode.replay {
        crate::say(replay.run(picked).await?.trim_end());
    }
    let ledgers: Vec<(String, Arc<Ledger>)> = instances
        .iter()
        .map(|instance| (instance.name.clone(), Arc::clone(&instance.ledger)))
        .collect();
    let control = Control::start(Host {
        folder: folder.to_owned(),
        store,
        loaded: Arc::clone(&loaded),
        swap: Arc::clone(&swap),
        replay,
        others,
        ledgers: ledgers.clone(),
        started,
        dead_letters: dead_letters.clone(),
    })
    .inspect_err(|error| {
        // Polling does not need it; a path of more than about 100 bytes is too long for one.
        tracing::warn!(
            error = format!("{error:#}"),
            "no control socket: `status`, `audit` and `state` cannot ask this host"
        );
    })
    .ok();
    let stop = CancellationToken::new();
    swap.start(&stop)?;
    let mut running: JoinSet<(String, Result<(), RunError>)> = JoinSet::new();
    for instance in instances {
        let stop = stop.clone();
        let span = tracing::info_span!("poll", instance = instance.name);
        let Running { name, pipeline, .. } = instance;
        running.spawn(async move { (name, pipeline.run(stop).await) }.instrument(span));
    }
    let progress = tokio::spawn(progress(ledgers.clone()));
    let ended = until_stopped(stop.clone(), finish(&mut running, mode.once, &stop)).await?;
    progress.abort();
    let mut exit = match ended {
        Ended::Done(exit) => exit,
        Ended::Abandoned => {
            running.abort_all();
            crate::say(
                "stopped before everything was delivered; nothing of it counts as done, it comes again",
            );
            Exit::Failed
        }
    };
    drop(control);
    if swap.starts_again() && exit == Exit::Done {
        let error = crate::heap::start_again(None);
        return Err(error).context("misp-ecs did not start again with the new configuration");
    }
    if mode.once {
        for (name, ledger) in &ledgers {
            exit = exit.max(Exit::of_poll(&ledger.counts(), &ledger.health()));
            crate::say(&summary(
                name,
                &ledger.counts(),
                &ledger.health(),
                started.elapsed(),
                &dead_letters,
            ));
            for line in why_nothing(&loaded, name, ledger, folder).await {
                crate::say(&format!("  {line}"));
            }
        }
    }
    if !mode.once {
        tracing::info!("stopped");
    }
    Ok(exit.into())
}

/// Waits for every instance; the exit code. In service an instance that cannot go on
/// because of its own options or cursor ends alone; what the others need as well, a store or an
/// output, ends them too.
async fn finish(
    running: &mut JoinSet<(String, Result<(), RunError>)>,
    once: bool,
    stop: &CancellationToken,
) -> Exit {
    let mut exit = Exit::Done;
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok((_, Ok(()))) => {}
            Ok((instance, Err(error @ RunError::Stopped { .. }))) => {
                tracing::warn!(instance, %error, "stopped before everything was delivered");
                exit = exit.max(Exit::Differs);
            }
            Ok((instance, Err(error))) => {
                exit = Exit::Failed;
                tracing::error!(instance, %error, "instance stopped");
                let alone = matches!(error, RunError::Source(_));
                if !once && !alone {
                    stop.cancel();
                } else if !running.is_empty() {
                    tracing::warn!(running = running.len(), "the other instances go on");
                }
            }
            Err(error) => {
                exit = Exit::Failed;
                tracing::error!(%error, "instance crashed");
                stop.cancel();
            }
        }
    }
    exit
}

async fn progress(ledgers: Vec<(String, Arc<Ledger>)>) {
    let mut said = 0;
    let mut ticks = tokio::time::interval(PROGRESS);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let counts: Vec<_> = ledgers.iter().map(|(_, ledger)| ledger.counts()).collect();
        let documents = counts.iter().map(|counts| counts.documents).sum();
        if documents != said {
            said = documents;
            let events: u64 = counts.iter().map(|counts| counts.items).sum();
            let matched: u64 = counts.iter().filter_map(|counts| counts.matched).sum();
            crate::say(&format!(
                "{} of {} (about {} matched)",
                plural(documents, "document"),
                plural(events, "event"),
                thousands(matched)
            ));
        }
    }
}
