//! `cargo xtask demo`: the whole job on a made-up MISP, from a bare clone.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::Command;

use anyhow::{Context as _, bail};
use misp_ecs_tests::{FakeMisp, events};
use serde_json::Value;

use crate::component;
use crate::tools::{cargo, root, run_on_stderr, target};

/// Builds what is needed, polls a fake MISP, shows what came of it.
pub(crate) fn demo() -> anyhow::Result<()> {
    step("1/3", "building the mapping component");
    component::build_all()?;
    step(
        "2/3",
        "building the host (the first time takes some minutes)",
    );
    run_on_stderr(cargo().args(["build", "--package", "misp-ecs"]))?;
    step("3/3", "polling a made-up MISP");
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(poll())
}

async fn poll() -> anyhow::Result<()> {
    let folder = target().join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let misp = FakeMisp::start().await;
    misp.add_all(events::demo());
    fs::write(folder.join("api-key"), misp.key())?;
    fs::write(
        folder.join("misp-ecs.yaml"),
        format!(
            "instances:\n  - name: demo\n    url: {}\n    api_key_file: api-key\n    page_size: 20\noutputs:\n  file:\n    type: file\n    path: indicators.ndjson\nstate:\n  path: state\n",
            misp.url()
        ),
    )?;
    let mut host = Command::new(target().join("debug").join("misp-ecs"));
    host.args(["run", "--once", "--config"])
        .arg(folder.join("misp-ecs.yaml"));
    let status = tokio::task::spawn_blocking(move || host.status())
        .await?
        .context("the host did not start")?;
    if !status.success() {
        bail!("the host ended with {status}");
    }
    let documents = folder.join("indicators.ndjson");
    let first = BufReader::new(File::open(&documents)?)
        .lines()
        .next()
        .context("no document was written")??;
    let mut first: Value = serde_json::from_str(&first)?;
    shorten_original(&mut first);
    let place = |path: &std::path::Path| {
        let shown = path.strip_prefix(root()).unwrap_or(path);
        shown.display().to_string()
    };
    eprintln!("The first document:\n{first:#}\n");
    eprintln!("documents      {}", place(&documents));
    eprintln!("configuration  {}", place(&folder.join("misp-ecs.yaml")));
    eprintln!(
        "yours          MISP_URL=https://misp.example.org MISP_API_KEY=.. target/debug/misp-ecs run --once"
    );
    Ok(())
}

/// `event.original` is the whole input once more: too long to enjoy.
fn shorten_original(document: &mut Value) {
    if let Some(original) = document.pointer_mut("/event/original")
        && let Some(text) = original.as_str()
        && text.chars().count() > 80
    {
        let start: String = text.chars().take(80).collect();
        *original = Value::from(format!("{start}.. ({} characters)", text.chars().count()));
    }
}

fn step(number: &str, what: &str) {
    eprintln!("[{number}] {what}");
}
