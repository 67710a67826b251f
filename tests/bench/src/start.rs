//! How long it takes until there is something, and what it costs when there is nothing to do.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use misp_ecs_tests::fake_misp::{KEY, StreamingMisp};
use serde_json::{Value, json};

use crate::median;
use crate::process::{FILE, Place};
use crate::whole::executor;

/// How long an idle service is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Starts of which the median counts.
const STARTS: usize = 7;
/// Longer than any first document of a service takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures the host: starts with cold and warm cache to the first document of a small page, and
/// a service that polls every second and finds nothing.
///
/// # Errors
/// When the host fails, or no document comes.
pub(crate) fn measure(host: &Path) -> anyhow::Result<Value> {
    let executor = executor()?;
    let misp = executor.block_on(StreamingMisp::bind())?;
    misp.publish(1, 10);
    let place = Place::new(host, &misp.url(), KEY, FILE)?;
    let cold = place.once()?;
    ensure!(cold.documents == 10, "{} documents of 10", cold.documents);
    let mut warm = Vec::new();
    for _ in 0..STARTS {
        place.forget()?;
        let ran = place.once()?;
        let first = ran.first_document_seconds;
        warm.push(first.ok_or_else(|| anyhow::anyhow!("no document"))? * 1e3);
    }
    Ok(json!({
        "first_document_cold_ms": cold.first_document_seconds.map(|seconds| seconds * 1e3),
        "first_document_warm_ms": median(warm),
        "idle_cpu_percent": idle(&place)?,
    }))
}

/// The share of one core, per cent, of a service that polls every second.
fn idle(place: &Place) -> anyhow::Result<f64> {
    place.forget()?;
    let service = place.service()?;
    let started = Instant::now();
    while fs::metadata(place.file()).map_or(0, |file| file.len()) == 0 {
        ensure!(started.elapsed() < PATIENCE, "no document of the service");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_secs(2));
    let (before, started) = (service.cpu_seconds(), Instant::now());
    std::thread::sleep(IDLE);
    let used = service.cpu_seconds() - before;
    Ok(used / started.elapsed().as_secs_f64() * 100.0)
}
