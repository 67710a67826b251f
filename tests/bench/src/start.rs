//! How long it takes until there is something, and what it costs when there is nothing to do.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use misp_ecs_tests::fake_misp::{KEY, StreamingMisp};
use serde_json::{Value, json};

use crate::median;
use crate::process::{FILE, Place, Service};
use crate::whole::executor;

/// How long an idle service is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Starts of which the median counts.
const STARTS: usize = 7;
/// Longer than any first document of a service takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures the host: starts with cold and warm cache to the first document of a small page, a
/// service that polls and finds nothing, and other mappings put to work in it.
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
    let each_second = idle(&place)?;
    place.configure(&misp.url(), "", FILE)?;
    Ok(json!({
        "first_document_cold_ms": cold.first_document_seconds.map(|seconds| seconds * 1e3),
        "first_document_warm_ms": median(warm),
        "idle_polling_each_second_cpu_percent": each_second,
        "idle_cpu_percent": idle(&place)?,
        "swap_compiling_ms": swap(&place)?,
        "swap_compiled_ms": swap(&place)?,
    }))
}

/// Until a mapping is at work in a running service that has another, milliseconds: the command,
/// compiling it if it never was, starting it and trying it on a sample.
fn swap(place: &Place) -> anyhow::Result<f64> {
    let _service = started(place)?;
    Ok(place.runs(&["mapping", "use", "ecs-1.12"])? * 1e3)
}

/// A service that has sent its first documents.
fn started(place: &Place) -> anyhow::Result<Service> {
    place.forget()?;
    let service = place.service()?;
    let started = Instant::now();
    while fs::metadata(place.file()).map_or(0, |file| file.len()) == 0 {
        ensure!(started.elapsed() < PATIENCE, "no document of the service");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(service)
}

/// The share of one core, per cent, of a service that finds nothing new.
fn idle(place: &Place) -> anyhow::Result<f64> {
    let service = started(place)?;
    std::thread::sleep(Duration::from_secs(2));
    let (before, started) = (service.cpu_seconds(), Instant::now());
    std::thread::sleep(IDLE);
    let used = service.cpu_seconds() - before;
    Ok(used / started.elapsed().as_secs_f64() * 100.0)
}
