//! `misp-ecs run`: polls every instance of the configuration.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipeline::{Ledger, RunError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::args::Run;
use crate::signals::{Ended, until_stopped};
use crate::summary::{summary, thousands};
use crate::wiring::{self, Wired};

/// How often a long pass says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) async fn run(args: &Run) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let Wired {
        pipelines,
        dead_letters,
    } = wiring::wire(&args.configured, args.once).await?;
    let ledgers: Vec<(String, Arc<Ledger>)> = pipelines
        .iter()
        .map(|pipeline| (pipeline.instance.clone(), Arc::clone(&pipeline.ledger)))
        .collect();
    let stop = CancellationToken::new();
    let mut running: JoinSet<(String, Result<(), RunError>)> = JoinSet::new();
    for pipeline in pipelines {
        let stop = stop.clone();
        let name = pipeline.instance.clone();
        let span = tracing::info_span!("instance", name);
        running.spawn(async move { (name, pipeline.run(stop).await) }.instrument(span));
    }
    let progress = tokio::spawn(progress(ledgers.clone()));
    let ended = until_stopped(stop.clone(), finish(&mut running, args.once, &stop)).await?;
    progress.abort();
    let code = match ended {
        Ended::Done(true) => ExitCode::SUCCESS,
        Ended::Done(false) => ExitCode::FAILURE,
        Ended::Abandoned => {
            running.abort_all();
            crate::say(
                "stopped before everything was delivered; nothing of it counts as done, it comes again",
            );
            ExitCode::FAILURE
        }
    };
    if args.once {
        for (name, ledger) in &ledgers {
            crate::say(&summary(
                name,
                &ledger.counts(),
                &ledger.health(),
                started.elapsed(),
                &dead_letters,
            ));
        }
    }
    Ok(code)
}

/// Waits for every instance; whether all ended well. In service one that cannot
/// go on ends the others too, so that whoever watches the service sees it.
async fn finish(
    running: &mut JoinSet<(String, Result<(), RunError>)>,
    once: bool,
    stop: &CancellationToken,
) -> bool {
    let mut well = true;
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok((_, Ok(()))) => {}
            Ok((instance, Err(error))) => {
                well = false;
                crate::say(&format!("error: {instance}: {error}"));
                if !once {
                    stop.cancel();
                }
            }
            Err(error) => {
                well = false;
                crate::say(&format!("error: an instance crashed: {error}"));
                stop.cancel();
            }
        }
    }
    well
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
                "{} documents of {} events (about {} matched)",
                thousands(documents),
                thousands(events),
                thousands(matched)
            ));
        }
    }
}
