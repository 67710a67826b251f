//! `cargo xtask soak --minutes N`: a service between two sides that fail, round after round, until
//! the time is over. In a round it is killed, stopped and started again, and gets other mappings
//! while it works; at its end everything must be as MISP has it ([`World::verdict`]).

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::both::{Mode, Verdict, World};
use crate::host::Host;
use crate::{common, number};

/// What happens to the host in a round.
const ACTS: u32 = 12;

/// What happened to it.
#[derive(Debug, Clone, Copy, Default)]
struct Acts {
    kills: u32,
    stops: u32,
    swaps: u32,
    /// Orders that a host which was not ready, or a swap that failed, did not carry out.
    refused: u32,
    reprocesses: u32,
    /// Accounts that were looked at in between.
    accounts: u32,
}

impl Acts {
    fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.stops += other.stops;
        self.swaps += other.swaps;
        self.refused += other.refused;
        self.reprocesses += other.reprocesses;
        self.accounts += other.accounts;
    }
}

impl fmt::Display for Acts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} stops, {} swaps, {} reprocesses, {} orders refused, {} accounts seen",
            self.kills, self.stops, self.swaps, self.reprocesses, self.refused, self.accounts
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as one wants: `cargo xtask soak --minutes N`"]
async fn soak() {
    let (minutes, seed) = (
        number("MISP_ECS_SOAK_MINUTES", 1),
        number("MISP_ECS_SEED", 1),
    );
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let service = ", interval: 200ms, sweep: 15s, sweep_limit_percent: 100";
    let attributes = format!("{service}, endpoint: attributes");
    let mut worlds = [
        World::new(Mode::Latest, service, seed).await,
        World::new(Mode::Append, &attributes, seed + 1).await,
    ];
    let mut all = Acts::default();
    for round in 0.. {
        let world = &mut worlds[round % 2];
        let started = Instant::now();
        let (acts, verdict) = self::round(world).await;
        all.add(acts);
        eprintln!(
            "round {}, {:.0} s, {}: {acts}; {} documents, as MISP has it",
            round + 1,
            started.elapsed().as_secs_f64(),
            world.name,
            verdict.documents
        );
        eprintln!("  {}", verdict.account.text);
        if Instant::now() >= end {
            break;
        }
    }
    eprintln!("{all}");
    for world in &worlds {
        eprintln!(
            "{}: {} requests to MISP, {} bulks",
            world.name,
            world.misp.request_count(),
            world.elastic.bulk_count()
        );
    }
    eprintln!("nothing missing, nothing double, nothing stale, nothing too much");
}

async fn round(world: &mut World) -> (Acts, Verdict) {
    let mut acts = Acts::default();
    let editing = world.disturb();
    let mut host = Host::start(&world.setup, &["run"]);
    for _ in 0..ACTS {
        if let Some(ended) = world.moment(&mut host).await {
            let (_, said) = host.end().await;
            panic!("{}: the host ended by itself, {ended}: {said}", world.name);
        }
        match world.random.u8(0..9) {
            0..=3 => {
                host.kill().await;
                acts.kills += 1;
                world.edit();
                host = Host::start(&world.setup, &["run"]);
            }
            4 => {
                stop(world, host).await;
                acts.stops += 1;
                host = Host::start(&world.setup, &["run"]);
            }
            5..=6 => {
                let name = world.some_mapping();
                let carried_out = ordered(world, &["mapping", "use", name]).await;
                acts.swaps += u32::from(carried_out);
                acts.refused += u32::from(!carried_out);
            }
            7 => {
                let carried_out = ordered(world, &["reprocess"]).await;
                acts.reprocesses += u32::from(carried_out);
                acts.refused += u32::from(!carried_out);
            }
            _ => acts.accounts += u32::from(account_balances(world).await),
        }
    }
    stop(world, host).await;
    let verdict = world.verdict(editing).await;
    world.forget();
    (acts, verdict)
}

/// SIGTERM: it ends by itself, whatever is under way; or by the signal, if it had just begun.
async fn stop(world: &World, host: Host) {
    let (ended, said) = host.terminate().await;
    let well = ended.code().is_some() || ended.signal() == Some(15);
    assert!(well, "{}: {ended}: {said}", world.name);
}

/// Gives the running host an order; whether it was carried out.
async fn ordered(world: &World, words: &[&str]) -> bool {
    let ran = common::output(world.setup.command(words)).await;
    ran.status.success()
}

/// Whether the host told its account; it must balance at any moment.
async fn account_balances(world: &World) -> bool {
    let asked = common::output(world.setup.command(&["status", "--json"])).await;
    let Ok(status) = serde_json::from_slice::<Value>(&asked.stdout) else {
        return false;
    };
    let counts = &status["instances"][0]["counts"];
    let count = |name: &str| counts[name].as_u64().unwrap();
    let (documents, before_them) = (count("documents"), count("refused"));
    assert_eq!(before_them, 0, "{counts}");
    assert_eq!(
        count("received"),
        documents + count("in_flight"),
        "{counts}"
    );
    let verdicts = counts["outputs"]["siem"].as_object().unwrap();
    let verdicts = verdicts
        .iter()
        .filter(|(name, _)| !["withdrawn", "replaced"].contains(&name.as_str()));
    let verdicts: u64 = verdicts.map(|(_, count)| count.as_u64().unwrap()).sum();
    assert_eq!(verdicts, documents, "{counts}");
    true
}
