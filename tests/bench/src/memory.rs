//! The most memory that the host ever has: against the size of one event, and against what it
//! remembers.

use std::path::Path;

use anyhow::ensure;
use misp_ecs_tests::fake_misp::{KEY, StreamingMisp};
use serde_json::{Map, Value, json};

use crate::process::Place;
use crate::whole::executor;

/// Attributes of the one event.
const SIZES: [u64; 4] = [10, 1_000, 100_000, 1_000_000];
/// Events of a thousand attributes each that a pass of the history adds.
const A_PASS: usize = 100;

/// Measures the host: one event of each size, the largest only without `quick`; then passes of
/// 100,000 new attributes each over a state that grows.
///
/// # Errors
/// When the host fails, or a document is missing.
pub(crate) fn measure(host: &Path, quick: bool) -> anyhow::Result<Value> {
    let executor = executor()?;
    let mut figures = Map::new();
    let sizes = SIZES.iter().filter(|size| !quick || **size <= 100_000);
    for size in sizes {
        let misp = executor.block_on(StreamingMisp::bind())?;
        misp.publish(1, *size);
        let place = Place::warm(host, &misp.url(), KEY)?;
        let ran = place.once()?;
        ensure!(
            ran.documents == *size,
            "{} documents of {size}",
            ran.documents
        );
        figures.insert(format!("one_event_of_{size}_mb"), json!(mb(ran.memory)));
        if *size >= 100_000 {
            let rate = *size as f64 / ran.seconds;
            figures.insert(
                format!("one_event_of_{size}_attributes_per_second"),
                json!(rate.round()),
            );
        }
    }
    let misp = executor.block_on(StreamingMisp::bind())?;
    let place = Place::warm(host, &misp.url(), KEY)?;
    for pass in 1..=3 {
        misp.publish(A_PASS, 1_000);
        let ran = place.once()?;
        let held = pass * A_PASS * 1_000;
        ensure!(
            ran.documents == held as u64,
            "{} documents of {held}",
            ran.documents
        );
        figures.insert(format!("pass_{pass}_of_100000_mb"), json!(mb(ran.memory)));
    }
    let cold = Place::new(host, &misp.url(), KEY, crate::process::FILE)?.compile()?;
    figures.insert("compiling_mb".to_owned(), json!(mb(cold.memory)));
    Ok(Value::Object(figures))
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
