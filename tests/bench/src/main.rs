//! Measures the mapping, the splitter, the whole path and what is remembered. What is compared are ratios of one run.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod mapping;
mod memory;
mod process;
mod splitting;
mod start;
mod state;
mod whole;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use serde_json::{Value, json};

/// A fixed time: documents must not depend on when they are measured.
const NOW_MS: i64 = 1_767_225_600_000;

#[derive(Debug, Parser)]
struct Args {
    /// The components of both mappings.
    components: Vec<PathBuf>,
    /// Fewer rounds, a smaller state.
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// The released host; without it the whole path is not measured.
    #[arg(long)]
    host: Option<PathBuf>,
    /// Only what is remembered; needs no component.
    #[arg(long)]
    only_state: bool,
    /// Everything but what is remembered.
    #[arg(long, conflicts_with = "only_state")]
    without_state: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mappings = if args.only_state {
        Vec::new()
    } else {
        mapping::measure(&args.components, args.quick)?
    };
    if !args.json && !mappings.is_empty() {
        let heads = vec![""; mappings.len()];
        print_table("figure", &heads, &mappings.iter().collect::<Vec<_>>());
    }
    let splitting = splitting::measure(if args.quick { 7 } else { 15 })?;
    let events = if args.quick { 50 } else { 200 };
    let whole = host(&args, |host| {
        whole::measure(host, events, alone(&mappings)?)
    })?;
    if !args.json {
        println!();
        print_table("splitter", &[""], &[&splitting]);
        println!();
        print_table("whole path", &[""], &whole.iter().collect::<Vec<_>>());
    }
    let memory = host(&args, |host| memory::measure(host, args.quick))?;
    let start = host(&args, start::measure)?;
    if !args.json {
        println!();
        print_table("memory", &[""], &memory.iter().collect::<Vec<_>>());
        println!();
        print_table("start, idle", &[""], &start.iter().collect::<Vec<_>>());
    }
    let sizes: &[u32] = if args.without_state {
        &[]
    } else if args.quick {
        &[10_000, 100_000]
    } else {
        &[10_000, 100_000, 1_000_000]
    };
    let measured = sizes
        .iter()
        .map(|size| state::measure(*size))
        .collect::<anyhow::Result<Vec<Value>>>()?;
    let measured = over_smallest(measured);
    if args.json {
        println!(
            "{}",
            json!({"mappings": mappings, "splitter": splitting, "whole_path": whole, "memory": memory, "start": start, "state": measured})
        );
    } else {
        let heads: Vec<String> = sizes.iter().map(u32::to_string).collect();
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        println!();
        print_table("state", &heads, &measured.iter().collect::<Vec<_>>());
    }
    Ok(())
}

/// Measures the host, if there is one.
fn host(
    args: &Args,
    measure: impl FnOnce(&Path) -> anyhow::Result<Value>,
) -> anyhow::Result<Option<Value>> {
    args.host.as_deref().map(measure).transpose()
}

/// What the component of `ecs-9` maps at 1,000 attributes, a second.
fn alone(mappings: &[Value]) -> anyhow::Result<f64> {
    let is_it = |one: &&Value| {
        one.get("mapping") == Some(&json!("ecs-9"))
            && one.get("attributes_per_event") == Some(&json!(1_000))
    };
    let rate = mappings.iter().find(is_it);
    let rate = rate.and_then(|one| one.get("component_attributes_per_second")?.as_f64());
    rate.context("the whole path is compared with the component, which was not measured")
}

/// Adds to each what an attribute costs, over what it costs in the first, smallest state.
fn over_smallest(mut measured: Vec<Value>) -> Vec<Value> {
    let Some(smallest) = measured.first().cloned() else {
        return measured;
    };
    for one in &mut measured {
        for what in ["first_delivery", "unchanged", "comparison"] {
            let name = format!("{what}_us_an_attribute");
            let figure = |of: &Value| of.get(&name).and_then(Value::as_f64);
            let ratio = figure(one).zip(figure(&smallest));
            if let (Some((mine, least)), Some(map)) = (ratio, one.as_object_mut()) {
                map.insert(format!("{what}_over_smallest"), (mine / least).into());
            }
        }
    }
    measured
}

/// A row a figure, a column a result.
fn print_table(title: &str, heads: &[&str], columns: &[&Value]) {
    let Some(first) = columns.first().and_then(|first| first.as_object()) else {
        return;
    };
    if first.is_empty() {
        return;
    }
    println!("| {title} | {} |", heads.join(" | "));
    println!("|---{}|", "|---".repeat(heads.len()));
    for name in first.keys() {
        let cells = columns.iter().map(|column| column.get(name).map(cell));
        let cells: Vec<String> = cells.map(Option::unwrap_or_default).collect();
        println!("| {} | {} |", name.replace('_', " "), cells.join(" | "));
    }
}

/// A figure for a person: three digits that matter.
fn cell(value: &Value) -> String {
    match value.as_f64() {
        Some(figure) if value.is_f64() && figure < 10.0 => format!("{figure:.2}"),
        Some(figure) if value.is_f64() && figure < 100.0 => format!("{figure:.1}"),
        Some(figure) => format!("{figure:.0}"),
        None => value.as_str().unwrap_or_default().to_owned(),
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
