//! `misp-ecs mapping bench`: how fast a mapping is on this machine.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use runtime::{Engine, Origin, Probe, RuntimeOptions};
use serde::Serialize;
use serde_json::Value;
use splitter::Record;

use super::super::input;
use crate::args::Bench;
use crate::config::{Facts, StaticFields};
use crate::exit::Exit;
use crate::mappings::Places;
use crate::summary::thousands;

/// How long the mapping is measured. Compiling it comes before that.
const TIME: Duration = Duration::from_secs(2);

/// Input that is kept in memory to be mapped again and again, bytes.
const INPUT: usize = 64 << 20;

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    mapping: String,
    /// Bytes of the component.
    component_bytes: usize,
    /// Without the cache of compiled mappings.
    compile_seconds: f64,
    /// A fresh instance and its constructor.
    start_seconds: f64,
    first_batch_seconds: f64,
    first_batch_attributes: u64,
    seconds: f64,
    attributes: u64,
    attributes_per_second: f64,
    input_bytes_per_second: f64,
    output_bytes_per_second: f64,
    refused: u64,
    /// The instance's, at its largest.
    memory_bytes: usize,
}

/// Runs the command.
pub(super) async fn bench(args: &Bench, places: &Places) -> anyhow::Result<ExitCode> {
    let mut batches = Vec::new();
    let mut bytes = 0;
    super::files::batches(&args.files, async |records| {
        if bytes < INPUT {
            bytes += records
                .iter()
                .map(|record| record.json.len())
                .sum::<usize>();
            batches.push(records);
        }
        Ok(())
    })
    .await?;
    if batches.is_empty() {
        return Err(Exit::Usage.error("there is nothing to map in the files"));
    }
    if bytes >= INPUT {
        crate::say("the files are large: their first 64 MiB are measured");
    }
    let report = measure(args, places, &batches)?;
    if args.json {
        crate::print(&serde_json::to_string_pretty(&report)?);
    } else {
        crate::write_out(&text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &Bench, places: &Places, batches: &[Vec<Record>]) -> anyhow::Result<Report> {
    let found = places.find(&args.mapping)?;
    // Without a cache: it would be the cache that is measured.
    let engine = Engine::new(&RuntimeOptions::default())?;
    let started = Instant::now();
    let compiled = engine.compile(&found.bytes)?;
    let compile_seconds = started.elapsed().as_secs_f64();
    let mapping = engine.prepare(&compiled)?;
    let settings = Value::Object(input::settings(args.settings.as_deref())?).to_string();
    let static_fields = StaticFields::default().object(&Facts::default(), &[]);
    let origin = Origin {
        name: "bench".to_owned(),
        url: None,
        static_fields: serde_json::to_vec(&static_fields)?,
    };
    let start = || Probe::start(&engine, &mapping, settings.as_bytes(), &origin);
    let started = Instant::now();
    let mut probe = start()?;
    let start_seconds = started.elapsed().as_secs_f64();
    let now_ms = pipeline::now_ms();

    let mut first = None;
    let mut memory_bytes = 0;
    let (mut attributes, mut refused) = (0, 0);
    let (mut input, mut output) = (0_u64, 0_u64);
    let mut measured = Duration::ZERO;
    for batch in batches.iter().cycle() {
        let started = Instant::now();
        let mapped = probe.transform(batch, now_ms);
        let took = started.elapsed();
        let mapped = mapped
            .context("the mapping fails on this input: `misp-ecs mapping verify` may say why")?;
        let units: u64 = batch
            .iter()
            .map(|record| u64::from(record.attributes.max(1)))
            .sum();
        memory_bytes = memory_bytes.max(probe.memory_bytes());
        if probe.memory_bytes() >= engine.options().retire_bytes {
            // As the host does.
            probe = start()?;
        }
        if first.is_none() {
            first = Some((took.as_secs_f64(), units));
            // A first call grows the memory: it is told apart and not averaged.
            if batches.len() > 1 {
                continue;
            }
        }
        measured += took;
        attributes += units;
        input += batch
            .iter()
            .map(|record| record.json.len() as u64)
            .sum::<u64>();
        for outcome in mapped.iter().flatten() {
            output += outcome
                .documents
                .iter()
                .map(|document| document.body.len() as u64)
                .sum::<u64>();
            refused += outcome.refused.len() as u64;
        }
        refused += mapped.iter().filter(|mapped| mapped.is_err()).count() as u64;
        if measured >= TIME {
            break;
        }
    }
    let (first_batch_seconds, first_batch_attributes) = first.unwrap_or_default();
    let seconds = measured.as_secs_f64();
    let identity = mapping.identity();
    Ok(Report {
        mapping: format!("{} {}", identity.name, identity.version),
        component_bytes: found.bytes.len(),
        compile_seconds,
        start_seconds,
        first_batch_seconds,
        first_batch_attributes,
        seconds,
        attributes,
        attributes_per_second: rate(attributes, seconds),
        input_bytes_per_second: rate(input, seconds),
        output_bytes_per_second: rate(output, seconds),
        refused,
        memory_bytes,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(f64::EPSILON)
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(out, "mapping      {}", report.mapping)?;
    writeln!(
        out,
        "component    {} bytes",
        thousands(report.component_bytes as u64)
    )?;
    writeln!(out, "compile      {:.2} s", report.compile_seconds)?;
    writeln!(out, "start        {:.1} ms", report.start_seconds * 1e3)?;
    writeln!(
        out,
        "first batch  {:.1} ms for {} attributes",
        report.first_batch_seconds * 1e3,
        thousands(report.first_batch_attributes)
    )?;
    writeln!(
        out,
        "speed        {:.0} attributes/s, {:.1} MB/s in, {:.1} MB/s out",
        report.attributes_per_second,
        report.input_bytes_per_second / 1e6,
        report.output_bytes_per_second / 1e6
    )?;
    writeln!(
        out,
        "             {} attributes in {:.1} s, {} refused",
        thousands(report.attributes),
        report.seconds,
        thousands(report.refused)
    )?;
    writeln!(
        out,
        "memory       {} KiB",
        thousands(report.memory_bytes as u64 >> 10)
    )
}
