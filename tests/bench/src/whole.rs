//! The whole path: a made-up MISP that writes its answers while they are read, the released host,
//! a file or an Elasticsearch. The fakes run beside the host, on the other core where there are two.

use std::path::Path;

use anyhow::ensure;
use misp_ecs_tests::FakeElastic;
use misp_ecs_tests::fake_misp::{KEY, StreamingMisp};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::process::{Place, Ran};

/// Attributes of each event.
const SIZE: usize = 1_000;

/// Measures the host at `host` with so many events of 1,000 attributes: everything, then a run that
/// finds nothing new, then everything to an Elasticsearch. `alone` is what the component maps
/// without a host, attributes a second.
///
/// # Errors
/// When the host fails, or a document is missing.
pub(crate) fn measure(host: &Path, count: usize, alone: f64) -> anyhow::Result<Value> {
    let executor = executor()?;
    let misp = executor.block_on(StreamingMisp::bind())?;
    misp.publish(count, SIZE as u64);
    let place = Place::warm(host, &misp.url(), KEY)?;
    let first = place.once()?;
    let all = count * SIZE;
    ensure!(
        first.documents == all as u64,
        "{} documents of {all} attributes",
        first.documents
    );
    let again = place.once()?;
    ensure!(
        again.documents == first.documents,
        "something was sent twice"
    );
    let rate = all as f64 / first.seconds;
    let us = |seconds: f64| seconds * 1e6 / all as f64;
    let mut figures = json!({
        "attributes": all,
        "whole_path_attributes_per_second": rate.round(),
        "whole_path_over_component": rate / alone,
        "cpu_us_an_attribute": us(first.cpu_seconds),
        "of_it_mapping_thread_us": us(first.mapping_seconds),
        "peak_memory_mb": first.memory as f64 / 1e6,
        "nothing_new_ms": again.seconds * 1e3,
    });
    let elastic = to_elastic(&executor, host, &misp, all)?;
    if let Some(figures) = figures.as_object_mut() {
        add_stages(figures, &first, "file", all);
        figures.insert(
            "elastic_attributes_per_second".to_owned(),
            (all as f64 / elastic.seconds).round().into(),
        );
        figures.insert(
            "elastic_cpu_us_an_attribute".to_owned(),
            us(elastic.cpu_seconds).into(),
        );
        add_stages(figures, &elastic, "elastic", all);
    }
    Ok(figures)
}

/// Everything, to an Elasticsearch that has nothing yet.
fn to_elastic(
    executor: &Runtime,
    host: &Path,
    misp: &StreamingMisp,
    all: usize,
) -> anyhow::Result<Ran> {
    let elastic = executor.block_on(FakeElastic::bind())?;
    let output = format!(
        "{{type: elasticsearch, urls: ['{}'], api_key_file: elastic-key}}",
        elastic.url()
    );
    let place = Place::new(host, &misp.url(), KEY, &output)?;
    place.compile()?;
    place.runs(&["setup", "elasticsearch"])?;
    let ran = place.once()?;
    let arrived = elastic.with_store(|store| store.applied.len());
    ensure!(arrived == all, "{arrived} documents of {all} attributes");
    Ok(ran)
}

/// How long each stage was at work or waiting, microseconds of wall clock an attribute.
fn add_stages(figures: &mut Map<String, Value>, ran: &Ran, to: &str, all: usize) {
    for (stage, ms) in &ran.stages {
        let us = ms * 1e3 / all as f64;
        figures.insert(format!("{to}_stage_{stage}_us"), us.into());
    }
}

pub(crate) fn executor() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(1).enable_all().build()?)
}
