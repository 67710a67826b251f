//! Maps one made-up event so many times, natively and nothing else: run under callgrind, the
//! difference between two numbers of times is what the mapping costs.

use anyhow::{Context as _, bail, ensure};
use mapping::{Mapping, Origin};
use mapping_ecs_1_12::Ecs112;
use mapping_ecs_9::Ecs9;
use misp_ecs_events::many_attributes;
use serde_json::json;

/// When documents are made, UNIX milliseconds.
const NOW_MS: i64 = 1_780_000_000_000;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().context("MAPPING ATTRIBUTES TIMES");
    let (name, attributes, times) = (argument()?, argument()?.parse()?, argument()?.parse()?);
    let event = json!({ "Event": many_attributes(1, attributes) });
    let event = serde_json::to_vec(&event)?;
    match name.as_str() {
        "ecs-9" => run::<Ecs9>(&event, attributes, times),
        "ecs-1.12" => run::<Ecs112>(&event, attributes, times),
        "value" => {
            for _ in 0..times {
                let value: serde_json::Value = serde_json::from_slice(&event)?;
                std::hint::black_box(serde_json::to_vec(&value)?);
            }
            Ok(())
        }
        other => bail!("no mapping {other}"),
    }
}

fn run<M: Mapping>(event: &[u8], attributes: usize, times: u32) -> anyhow::Result<()> {
    let mapping = M::new(b"", Origin::default())
        .map_err(|error| anyhow::anyhow!("the mapping did not start: {error:?}"))?;
    for _ in 0..times {
        let outcome = mapping
            .transform(std::hint::black_box(event), NOW_MS)
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        ensure!(
            outcome.documents.len() == attributes,
            "documents are missing"
        );
    }
    Ok(())
}
