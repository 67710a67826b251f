//! `misp-ecs mapping bake`: settings inside an artifact, for engines that pass it none.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use baked_settings::{CAPACITY, Kind, Settings};
use runtime::{Origin, Probe};
use serde_json::{Map, Value};

use super::super::input;
use crate::args::Bake;
use crate::mappings::Places;

/// Writes settings into an artifact, or shows those that are there.
pub(super) fn bake(args: &Bake, places: &Places) -> anyhow::Result<()> {
    let mut bytes = match fs::read(&args.artifact) {
        Ok(bytes) => bytes,
        Err(error) => match args.artifact.to_str().map(|name| places.find(name)) {
            Some(Ok(found)) => found.bytes,
            _ => {
                return Err(error)
                    .with_context(|| format!("{} cannot be read", args.artifact.display()));
            }
        },
    };
    let whole = || args.artifact.display().to_string();
    let (kind, there) = baked_settings::baked(&bytes).with_context(whole)?;
    let (Some(path), Some(out)) = (&args.settings, &args.out) else {
        let there = if there.is_empty() { b"{}" } else { there };
        crate::print(&String::from_utf8_lossy(there));
        return Ok(());
    };
    let settings = input::settings(Some(path))?;
    let json = Value::Object(settings.clone()).to_string();
    baked_settings::write(&mut bytes, json.as_bytes()).with_context(whole)?;
    match kind {
        Kind::Mapping => of_mapping(&settings, &bytes),
        Kind::Adapter => of_adapter(&json, places),
    }
    .with_context(|| format!("the settings of {} are not accepted", path.display()))?;
    replace(out, &bytes)?;
    crate::print(&format!(
        "{}: {} of {CAPACITY} bytes of settings, sha256:{}",
        out.display(),
        json.len(),
        runtime::digest(&bytes)
    ));
    Ok(())
}

/// A mapping starts with what is baked in, and nothing beside it.
fn of_mapping(settings: &Map<String, Value>, bytes: &[u8]) -> anyhow::Result<()> {
    if settings.contains_key("adapter") {
        bail!("`adapter` is for the artifacts of other engines; this is a mapping");
    }
    starts(bytes, b"{}", String::new(), None, &Map::new())
}

/// An adapter has mappings inside that cannot be asked; the host's of that name can.
fn of_adapter(json: &str, places: &Places) -> anyhow::Result<()> {
    let Settings { adapter, mapping } =
        Settings::read(json.as_bytes()).map_err(anyhow::Error::msg)?;
    if !["ecs-9", "ecs-1.12"].contains(&adapter.mapping.as_str()) {
        bail!(
            "`adapter.mapping` is `{}`: only ecs-9 and ecs-1.12 are inside",
            adapter.mapping
        );
    }
    let found = places.find(&adapter.mapping)?;
    let settings = Value::Object(mapping).to_string();
    let (name, url) = (adapter.instance, adapter.url);
    starts(
        &found.bytes,
        settings.as_bytes(),
        name,
        url,
        &adapter.static_fields,
    )
}

fn starts(
    bytes: &[u8],
    settings: &[u8],
    name: String,
    url: Option<String>,
    static_fields: &Map<String, Value>,
) -> anyhow::Result<()> {
    let engine = super::engine()?;
    let mapping = engine.load(bytes)?;
    let static_fields = serde_json::to_vec(static_fields)?;
    let origin = Origin {
        name,
        url,
        static_fields,
    };
    Probe::start(&engine, &mapping, settings, &origin)?;
    Ok(())
}

/// Whoever has the file open, or watches it, sees the old one or the new one.
fn replace(out: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut new = out.as_os_str().to_owned();
    new.push(".new");
    let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, out));
    written.with_context(|| format!("{} cannot be written", out.display()))
}
