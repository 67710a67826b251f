//! `cargo xtask soak`: the real host between a MISP and an Elasticsearch that fail, for minutes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::tools::{cargo, run};

/// Runs `host/tests/kills/soak.rs`; fails if anything is missing, double or stale at the end of a
/// round.
pub(crate) fn soak(minutes: u64, seed: Option<u64>) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = seed.unwrap_or(now.as_secs() % 100_000);
    println!("The same again: cargo xtask soak --minutes {minutes} --seed {seed}");
    let words =
        "test --locked --package misp-ecs --test kills -- --ignored --exact soak::soak --nocapture";
    run(cargo()
        .args(words.split(' '))
        .env("MISP_ECS_SOAK_MINUTES", minutes.to_string())
        .env("MISP_ECS_SEED", seed.to_string()))
}
