//! The splitter alone, against a plain look at every byte by `serde_json` and a copy.

use std::hint::black_box;
use std::time::Instant;

use misp_ecs_tests::events;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use splitter::{Body, Records, SplitLimits};

use crate::median;

/// Measures a page of 20 events of 1,000 attributes in as many rounds.
///
/// # Errors
/// When the page is not split into as many attributes as it has.
pub(crate) fn measure(rounds: usize) -> anyhow::Result<Value> {
    let all = (1..=20).map(|seed| json!({"Event": events::many_attributes(seed, 1_000)}));
    let page = json!({"response": all.collect::<Vec<_>>()}).to_string();
    let page = bytes::Bytes::from(page);
    let (mut split, mut ignored, mut copied) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=rounds {
        let started = Instant::now();
        let records = Records::from_answer(Body::from(page.clone()), SplitLimits::default())?;
        let mut attributes = 0;
        for record in records {
            attributes += black_box(record?).attributes;
        }
        split.push(started.elapsed().as_secs_f64());
        anyhow::ensure!(attributes == 20_000, "{attributes} attributes");

        let started = Instant::now();
        black_box(serde_json::from_slice::<IgnoredAny>(&page)?);
        ignored.push(started.elapsed().as_secs_f64());

        let started = Instant::now();
        black_box(page.to_vec());
        copied.push(started.elapsed().as_secs_f64());
    }
    let megabytes = page.len() as f64 / 1e6;
    let (split, ignored, copied) = (median(split), median(ignored), median(copied));
    Ok(json!({
        "page_bytes": page.len(),
        "splitter_mb_per_second": (megabytes / split).round(),
        "splitter_over_serde_json_ignored": ignored / split,
        "splitter_over_copy": copied / split,
    }))
}
