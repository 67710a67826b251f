//! `cargo xtask test`: every check, in the order in which they are cheapest.

use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;

use crate::tools::{cargo, exists, run};
use crate::{arrows, component, engines, instructions, javascript};

/// Runs every stage; the first that fails ends it.
pub(crate) fn test() -> anyhow::Result<()> {
    stage("format", || run(cargo().args(["fmt", "--all", "--check"])))?;
    stage("arrows: who may depend on whom", arrows::check)?;
    stage("licences, sources and bans of dependencies", deny)?;
    stage("components: built, zero imports", || {
        component::build_all().map(drop)
    })?;
    stage("lint", || {
        run(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    stage("lint of what runs in wasm", || {
        run(cargo().args([
            "clippy",
            "--locked",
            "--package",
            "component-bindings",
            "--package",
            "component-ecs-1-12",
            "--package",
            "component-ecs-9",
            "--package",
            "adapter-fluent-bit",
            "--package",
            "adapter-connect",
            "--target",
            "wasm32-unknown-unknown",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    stage("tests", || {
        run(cargo().args(["test", "--workspace", "--locked"]))
    })?;
    stage("instructions of the mappings", || {
        instructions::check(false)
    })?;
    stage("a mapping in JavaScript", javascript::check)?;
    stage("artifacts in other engines", engines::check)
}

fn stage(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("== {name}");
    let started = Instant::now();
    work().with_context(|| format!("stage failed: {name}"))?;
    println!("== {name}: ok, {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// cargo-deny needs no network for these three; its advisories do, so they are not asked here.
fn deny() -> anyhow::Result<()> {
    if !exists("cargo-deny") {
        if std::env::var_os("CI").is_none() {
            println!(
                "SKIPPED: cargo-deny is not installed (`cargo install --locked cargo-deny`); CI installs it"
            );
            return Ok(());
        }
        run(cargo().args(["install", "--locked", "cargo-deny"]))?;
    }
    run(Command::new("cargo-deny")
        .current_dir(crate::tools::root())
        .args(["--all-features", "check", "licenses", "bans", "sources"]))
}
