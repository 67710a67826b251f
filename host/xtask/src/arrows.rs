//! Holds the arrows of the house: what may depend on what.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::tools::cargo;

/// A crate whose name starts with the first may not depend, by whatever way, on
/// one whose name starts with the second; and why.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    (
        "misp-ecs",
        "mapping",
        "the host reaches mappings through the component only, or a swap would lie",
    ),
    ("runtime", "mapping", "the only way in is the WIT"),
    (
        "pipeline",
        "wasmtime",
        "the pipeline must be testable in seconds",
    ),
    ("pipeline", "reqwest", "the pipeline does not know HTTP"),
    ("misp-client", "wasmtime", "only the runtime names wasmtime"),
    ("misp-feed", "wasmtime", "only the runtime names wasmtime"),
    (
        "transport",
        "pipeline",
        "how servers are reached knows nothing of what is sent",
    ),
    ("state", "wasmtime", "only the runtime names wasmtime"),
    ("outputs", "wasmtime", "only the runtime names wasmtime"),
    ("splitter", "tokio", "the splitter is plain bytes"),
    ("splitter", "pipeline", "the splitter serves adapters too"),
    ("adapter", "tokio", "what runs in wasm has no executor"),
    ("adapter", "wasmtime", "what runs in wasm runs none"),
    ("adapter", "pipeline", "the host's way is not an adapter's"),
    (
        "baked-settings",
        "mapping",
        "what writes settings into a file does not judge them",
    ),
    ("mapping", "tokio", "what runs in wasm has no executor"),
    ("mapping", "reqwest", "what runs in wasm has no network"),
    ("misp-model", "tokio", "what runs in wasm has no executor"),
    ("ecs-model", "tokio", "what runs in wasm has no executor"),
];

/// Fails on the first arrow that points the wrong way.
pub(crate) fn check() -> anyhow::Result<()> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let names: BTreeMap<&str, &str> = list(&metadata, "/packages")
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let mut arrows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in list(&metadata, "/resolve/nodes") {
        let Some(from) = node["id"].as_str().and_then(|id| names.get(id)) else {
            continue;
        };
        for dependency in list(node, "/deps") {
            // Tests may look over the wall.
            let shipped = list(dependency, "/dep_kinds").any(|kind| kind["kind"].is_null());
            let to = dependency["pkg"].as_str().and_then(|id| names.get(id));
            if let (true, Some(to)) = (shipped, to) {
                arrows.entry(from).or_default().push(to);
            }
        }
    }
    let members = [
        "misp-ecs",
        "runtime",
        "pipeline",
        "misp-client",
        "misp-feed",
        "state",
        "outputs",
        "splitter",
        "mapping",
        "mapping-ecs-1-12",
        "mapping-ecs-9",
        "adapter-shell",
        "adapter-fluent-bit",
        "adapter-connect",
        "adapter-wasi-command",
        "baked-settings",
        "misp-model",
        "ecs-model",
    ];
    for (from, to, why) in FORBIDDEN {
        for member in members
            .iter()
            .filter(|member| *member == from || member.starts_with(&format!("{from}-")))
        {
            if *from == "misp-ecs" && *member != "misp-ecs" {
                continue;
            }
            if let Some(path) = path(&arrows, member, to) {
                bail!("{}: forbidden, because {why}", path.join(" -> "));
            }
        }
    }
    eprintln!("{} rules hold", FORBIDDEN.len());
    Ok(())
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// A way from one crate to another one of this name, or of this name and a suffix.
fn path<'a>(
    arrows: &BTreeMap<&'a str, Vec<&'a str>>,
    from: &'a str,
    to: &str,
) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![from]];
    let mut seen = std::collections::BTreeSet::from([from]);
    while let Some(way) = ways.pop() {
        let last = way.last().copied().unwrap_or(from);
        for next in arrows.get(last).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next);
            if *next == to || next.starts_with(&format!("{to}-ecs")) {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push(longer);
            }
        }
    }
    None
}
