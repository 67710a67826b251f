//! The mappings: native, as components, against a plain `serde_json::Value` round trip of the same
//! bytes and a copy of what they write, taking turns.

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use mapping::{Mapping, Origin};
use mapping_ecs_1_12::Ecs112;
use mapping_ecs_9::Ecs9;
use misp_ecs_tests::events;
use pipeline::{Batch, Transform as _};
use runtime::{Engine, Mapper, RuntimeOptions};
use serde_json::{Value, json};
use splitter::{EventHead, Record};

use crate::{NOW_MS, median};

/// Attributes of an event; the host's slices have at most 1,000.
const SIZES: [u32; 5] = [1, 10, 100, 1_000, 20_000];
/// Attributes that a contestant maps in one turn, whatever the size of an event.
const A_TURN: u32 = 20_000;

/// Measures both mappings at each size; `quick`: at 1,000 only, in fewer rounds.
///
/// # Errors
/// When a component is missing, or does not make a document of every attribute.
pub(crate) fn measure(components: &[PathBuf], quick: bool) -> anyhow::Result<Vec<Value>> {
    let sizes: &[u32] = if quick { &[1_000] } else { &SIZES };
    let engine = Engine::new(&RuntimeOptions::default())?;
    let mut measured = Vec::new();
    for size in sizes {
        let (old, new) = ("ecs-1.12", "ecs-9");
        measured.push(one::<Ecs112>(&engine, components, old, *size, quick)?);
        measured.push(one::<Ecs9>(&engine, components, new, *size, quick)?);
    }
    Ok(measured)
}

fn one<M: Mapping>(
    engine: &Engine,
    components: &[PathBuf],
    name: &str,
    size: u32,
    quick: bool,
) -> anyhow::Result<Value> {
    let native = M::new(b"", Origin::default())
        .map_err(|error| anyhow::anyhow!("the native mapping did not start: {error:?}"))?;
    let mapper = component(engine, components, name)?;
    let executor = tokio::runtime::Builder::new_current_thread().build()?;
    let event = json!({ "Event": events::many_attributes(1, size as usize) });
    let event = serde_json::to_vec(&event)?;
    let batch = Batch {
        records: vec![Record {
            json: Bytes::from(event.clone()),
            head: EventHead::default(),
            attributes: size,
            last: true,
        }],
        now_ms: NOW_MS,
    };
    let natively = || {
        native
            .transform(black_box(&event), NOW_MS)
            .map_err(|error| anyhow::anyhow!("{error:?}"))
    };
    let written: Vec<Vec<u8>> = natively()?
        .documents
        .into_iter()
        .map(|one| one.body)
        .collect();
    let bytes: usize = written.iter().map(Vec::len).sum();
    let rounds = if quick { 7 } else { 15 };
    let (mut native_rates, mut component_rates) = (Vec::new(), Vec::new());
    let (mut round_trip_rates, mut copy_rates) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=rounds {
        let turns = [
            rate(size, || check(natively()?.documents.len(), size))?,
            rate(size, || {
                let mapped = executor.block_on(mapper.transform(black_box(batch.clone())))?;
                let documents = mapped.iter().flatten().map(|one| one.documents.len());
                check(documents.sum(), size)
            })?,
            rate(size, || {
                let value: Value = serde_json::from_slice(black_box(&event))?;
                black_box(serde_json::to_vec(&value)?);
                Ok(())
            })?,
            rate(size, || {
                black_box(black_box(&written).clone());
                Ok(())
            })?,
        ];
        if round > 0 {
            let all = [
                &mut native_rates,
                &mut component_rates,
                &mut round_trip_rates,
                &mut copy_rates,
            ];
            all.into_iter()
                .zip(turns)
                .for_each(|(all, turn)| all.push(turn));
        }
    }
    Ok(json!({
        "mapping": name,
        "attributes_per_event": size,
        "event_bytes": event.len(),
        "document_bytes": bytes,
        "rounds": rounds,
        "native_attributes_per_second": median(native_rates.clone()).round(),
        "component_attributes_per_second": median(component_rates.clone()).round(),
        "value_round_trip_attributes_per_second": median(round_trip_rates.clone()).round(),
        "component_over_native": over(&component_rates, &native_rates),
        "native_over_value_round_trip": over(&native_rates, &round_trip_rates),
        "component_over_value_round_trip": over(&component_rates, &round_trip_rates),
        "component_over_copy_of_documents": over(&component_rates, &copy_rates),
    }))
}

fn component(engine: &Engine, components: &[PathBuf], name: &str) -> anyhow::Result<Mapper> {
    let file = format!("{name}.component.wasm");
    let path = components.iter().find(|path| path.ends_with(&file));
    let path = path.with_context(|| format!("no {file} among the arguments"))?;
    let loaded = engine.load(&fs::read(path)?)?;
    let origin = runtime::Origin {
        name: String::new(),
        url: None,
        static_fields: Vec::new(),
    };
    Ok(Mapper::start(engine, &loaded, b"{}".to_vec(), origin)?)
}

/// Attributes a second in one turn.
fn rate(size: u32, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let calls = (A_TURN / size).max(1);
    let started = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    Ok(f64::from(calls * size) / started.elapsed().as_secs_f64())
}

/// The median of the ratios round by round.
fn over(rates: &[f64], other: &[f64]) -> f64 {
    median(
        rates
            .iter()
            .zip(other)
            .map(|(one, other)| one / other)
            .collect(),
    )
}

fn check(documents: usize, size: u32) -> anyhow::Result<()> {
    anyhow::ensure!(
        documents == size as usize,
        "{documents} documents of {size} attributes"
    );
    Ok(())
}
