//! The mapping in JavaScript: built with npm, held against the contract, at work.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use misp_ecs_tests::events;
use serde_json::{Value, json};

use crate::tools::{cargo, exists, root, run, skipped, target};

/// Builds `tests/components/javascript` and runs it in the host as it is. Where npm cannot be had it
/// says so; in CI that is an error.
pub(crate) fn check() -> anyhow::Result<()> {
    if !exists("npm") || !exists("node") {
        return skipped("npm is not installed");
    }
    let folder = root().join("tests/components/javascript");
    let mut install = Command::new("npm");
    install.current_dir(&folder);
    if let Err(error) = run(install.args(["ci", "--no-audit", "--no-fund"])) {
        return skipped(&format!("its packages cannot be had: {error:#}"));
    }
    let component = target().join("javascript.component.wasm");
    run(Command::new("node")
        .current_dir(&folder)
        .arg("build.mjs")
        .arg(&component))?;
    run(cargo().args(["build", "--package", "misp-ecs", "--locked"]))?;
    let host = target().join("debug/misp-ecs");
    run(Command::new(&host)
        .args(["mapping", "verify"])
        .arg(&component))?;

    let input = target().join("javascript.events.json");
    let all = events::demo().into_iter();
    let all: Vec<Value> = all.map(|event| json!({ "Event": event })).collect();
    fs::write(&input, json!({ "response": all }).to_string())?;
    let ours = documents(&host, &input, None)?;
    let theirs = documents(&host, &input, Some(&component))?;
    ensure!(
        theirs.len() == ours.len() && theirs.len() > 2_000,
        "{} documents, the mapping of the house makes {}",
        theirs.len(),
        ours.len()
    );
    let indicator = |document: &&Value| document.pointer("/threat/indicator/type").is_some();
    println!(
        "{} documents, {} of them indicators",
        theirs.len(),
        theirs.iter().filter(indicator).count()
    );
    Ok(())
}

/// What `transform` makes of a file.
fn documents(host: &Path, input: &Path, mapping: Option<&Path>) -> anyhow::Result<Vec<Value>> {
    let mut command = Command::new(host);
    command.arg("transform").arg(input);
    if let Some(mapping) = mapping {
        command.arg("--mapping").arg(mapping);
    }
    let output = command.output().context("the host did not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "transform failed: {said}");
    let lines = output.stdout.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| Ok(serde_json::from_slice(line)?))
        .collect()
}
