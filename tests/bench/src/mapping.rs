//! The mapping: native, as a component, and against a plain `serde_json::Value` round trip of
//! the same bytes, taking turns.

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use mapping::{Mapping as _, Origin};
use mapping_ecs_1_12::Ecs112;
use misp_ecs_tests::events;
use pipeline::{Batch, Transform as _};
use runtime::{Engine, Mapper, RuntimeOptions};
use serde_json::{Value, json};
use splitter::{EventHead, Record};

use crate::{NOW_MS, median};

/// Attributes of one event: as many as one slice holds.
const ATTRIBUTES: u32 = 1_000;

/// Attributes a second, one figure a round.
#[derive(Default)]
struct Rates(Vec<f64>);

impl Rates {
    fn time(
        &mut self,
        calls: u32,
        mut call: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        self.push(calls, started.elapsed());
        Ok(())
    }

    fn push(&mut self, calls: u32, took: Duration) {
        self.0
            .push(f64::from(calls * ATTRIBUTES) / took.as_secs_f64());
    }

    fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// The median of the ratios round by round.
    fn over(&self, other: &Self) -> f64 {
        median(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(one, other)| one / other)
                .collect(),
        )
    }
}

/// Measures the component called ecs-1.12.
///
/// # Errors
/// When it is not among `components`, or does not make a document of every attribute.
pub(crate) fn measure(components: &[PathBuf], quick: bool) -> anyhow::Result<Value> {
    let (rounds, calls) = if quick { (7, 20) } else { (21, 60) };
    let event =
        serde_json::to_vec(&json!({ "Event": events::many_attributes(1, ATTRIBUTES as usize) }))?;
    let record = Record {
        json: Bytes::from(event.clone()),
        head: EventHead::default(),
        attributes: ATTRIBUTES,
        last: true,
    };

    let native = Ecs112::new(b"", Origin::default())
        .map_err(|error| anyhow::anyhow!("the native mapping did not start: {error:?}"))?;
    let component = components
        .iter()
        .find(|path| path.ends_with("ecs-1.12.component.wasm"))
        .context("no ecs-1.12.component.wasm among the arguments")?;
    let engine = Engine::new(&RuntimeOptions::default())?;
    let loaded = engine.load(&fs::read(component)?)?;
    let mapper = Mapper::start(
        &engine,
        &loaded,
        b"{}".to_vec(),
        runtime::Origin {
            name: String::new(),
            url: None,
            static_fields: Vec::new(),
        },
    )?;
    let executor = tokio::runtime::Builder::new_current_thread().build()?;
    let batch = Batch {
        records: vec![record],
        now_ms: NOW_MS,
    };

    let mut native_rates = Rates::default();
    let mut component_rates = Rates::default();
    let mut round_trip_rates = Rates::default();
    // The first round warms up.
    for round in 0..=rounds {
        let (mut natively, mut as_component, mut round_trip) =
            (Rates::default(), Rates::default(), Rates::default());
        natively.time(calls, || {
            let outcome = native
                .transform(black_box(&event), NOW_MS)
                .map_err(|error| anyhow::anyhow!("{error:?}"))?;
            check(outcome.documents.len())
        })?;
        as_component.time(calls, || {
            let mapped = executor.block_on(mapper.transform(black_box(batch.clone())))?;
            check(
                mapped
                    .iter()
                    .flatten()
                    .map(|outcome| outcome.documents.len())
                    .sum(),
            )
        })?;
        round_trip.time(calls, || {
            let value: Value = serde_json::from_slice(black_box(&event))?;
            black_box(serde_json::to_vec(&value)?);
            Ok(())
        })?;
        if round > 0 {
            native_rates.0.append(&mut natively.0);
            component_rates.0.append(&mut as_component.0);
            round_trip_rates.0.append(&mut round_trip.0);
        }
    }

    Ok(json!({
        "mapping": "ecs-1.12",
        "attributes_per_event": ATTRIBUTES,
        "event_bytes": event.len(),
        "rounds": rounds,
        "native_attributes_per_second": native_rates.median().round(),
        "component_attributes_per_second": component_rates.median().round(),
        "value_round_trip_attributes_per_second": round_trip_rates.median().round(),
        "component_over_native": component_rates.over(&native_rates),
        "native_over_value_round_trip": native_rates.over(&round_trip_rates),
        "component_over_value_round_trip": component_rates.over(&round_trip_rates),
    }))
}

fn check(documents: usize) -> anyhow::Result<()> {
    anyhow::ensure!(
        documents == ATTRIBUTES as usize,
        "{documents} documents of {ATTRIBUTES} attributes"
    );
    Ok(())
}
