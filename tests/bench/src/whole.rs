//! The whole path: a made-up MISP, the released host, a file. The fake server runs beside the host,
//! on the other core where there are two.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use misp_ecs_tests::events;
use misp_ecs_tests::fake_misp::FakeMisp;
use serde_json::{Value, json};

/// Attributes of each event.
const SIZE: usize = 1_000;

/// What one run of the host took.
struct Run {
    seconds: f64,
    /// Until the first document was in the file.
    first_document_seconds: f64,
    /// The host's own, all threads.
    cpu_seconds: f64,
    /// At its largest, bytes.
    memory: u64,
    documents: usize,
}

/// Measures the host at `host` with so many events of 1,000 attributes: everything, then a run that
/// finds nothing new. `alone` is what the component maps without a host, attributes a second.
///
/// # Errors
/// When the host fails, or a document is missing.
pub(crate) fn measure(host: &Path, count: usize, alone: f64) -> anyhow::Result<Value> {
    // It runs in another folder.
    let host = &fs::canonicalize(host).with_context(|| host.display().to_string())?;
    let executor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let misp = executor.block_on(FakeMisp::start());
    misp.add_all((1..=count as u64).map(|seed| events::many_attributes(seed, SIZE)));
    let folder = tempfile::tempdir()?;
    let place = folder.path();
    fs::write(place.join("key"), misp.key())?;
    let config = format!(
        "instances: [{{name: bench, url: '{}', api_key_file: key}}]\noutputs: {{out: {{type: file, path: out.ndjson}}}}\nstate: {{path: state}}\n",
        misp.url()
    );
    fs::write(place.join("misp-ecs.yaml"), config)?;
    // Fills the cache of compiled mappings.
    let cold = run(host, place, &["transform", "nothing.json"])?;
    let first = run(host, place, &["run", "--once", "--config", "misp-ecs.yaml"])?;
    ensure!(
        first.documents == count * SIZE,
        "{} documents of {} attributes",
        first.documents,
        count * SIZE
    );
    let again = run(host, place, &["run", "--once", "--config", "misp-ecs.yaml"])?;
    ensure!(
        again.documents == first.documents,
        "something was sent twice"
    );
    let rate = first.documents as f64 / first.seconds;
    Ok(json!({
        "attributes": first.documents,
        "whole_path_attributes_per_second": rate.round(),
        "whole_path_over_component": rate / alone,
        "cpu_us_an_attribute": first.cpu_seconds * 1e6 / first.documents as f64,
        "peak_memory_mb": first.memory as f64 / 1e6,
        "first_document_ms": first.first_document_seconds * 1e3,
        "start_with_cold_cache_ms": cold.seconds * 1e3,
        "nothing_new_ms": again.seconds * 1e3,
    }))
}

fn run(host: &Path, folder: &Path, words: &[&str]) -> anyhow::Result<Run> {
    let out = folder.join("out.ndjson");
    fs::write(folder.join("nothing.json"), "{}")?;
    let before = fs::metadata(&out).map_or(0, |found| found.len());
    let started = Instant::now();
    let mut child = Command::new(host)
        .args(words)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| host.display().to_string())?;
    let process = format!("/proc/{}", child.id());
    let (mut memory, mut cpu_seconds, mut first) = (0, 0.0, None);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        memory = peak(&process).unwrap_or(memory);
        cpu_seconds = cpu(&process).unwrap_or(cpu_seconds);
        let length = fs::metadata(&out).map_or(0, |found| found.len());
        if first.is_none() && length > before {
            first = Some(started.elapsed());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let seconds = started.elapsed().as_secs_f64();
    let is_sample = words.first() == Some(&"transform");
    ensure!(status.success() || is_sample, "{words:?}: {status}");
    let lines = fs::read(&out).unwrap_or_default();
    Ok(Run {
        seconds,
        first_document_seconds: first.map_or(seconds, |first| first.as_secs_f64()),
        cpu_seconds,
        memory,
        documents: lines.iter().filter(|byte| **byte == b'\n').count(),
    })
}

/// Linux: `VmHWM` of proc(5), bytes.
fn peak(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Linux: user and system time of proc(5), seconds; a tick is 10 ms.
fn cpu(process: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}
