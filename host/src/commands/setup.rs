//! `misp-ecs setup`: what has to be on a server before documents come.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use outputs::{ElasticsearchOutput, OutputOptions};
use runtime::Description;

use crate::args::{Configured, Setup};
use crate::catalogue::{component_template, whole};
use crate::config::Loaded;
use crate::exit::Exit;
use crate::mappings::Found;
use crate::swap::{Kept, named};
use crate::wiring;

/// Runs the command.
pub(crate) async fn setup(command: &Setup) -> anyhow::Result<ExitCode> {
    match command {
        Setup::Elasticsearch {
            configured,
            dry_run,
            mapping,
        } => elasticsearch(configured, *dry_run, mapping).await,
    }
}

async fn elasticsearch(
    configured: &Configured,
    dry_run: bool,
    mappings: &[String],
) -> anyhow::Result<ExitCode> {
    let loaded = wiring::load_config(configured)?;
    let kept = Kept::in_state(&wiring::state_folder(configured, Some(&loaded.config))?);
    let mut templates = BTreeMap::new();
    let engine = crate::engine::engine(None, &loaded.config.limits)?;
    for found in meant(&loaded, &kept, mappings)? {
        let mapping = engine.load(&found.bytes);
        let mapping = mapping.with_context(|| format!("{} is no mapping", found.place))?;
        let Description {
            name,
            version,
            fields,
            ..
        } = mapping.description();
        let seconds = mapping.description().epoch_second_fields();
        let template = component_template(name, version, &whole(fields), &seconds);
        templates.insert(name.clone(), template);
    }
    let mut any = false;
    for (name, options) in &loaded.config.outputs {
        let OutputOptions::Elasticsearch(options) = options else {
            continue;
        };
        any = true;
        let output = ElasticsearchOutput::new(name, options);
        for template in templates.values() {
            let report = output.setup(template, dry_run).await;
            let report = report.with_context(|| format!("output {name}"))?;
            crate::write_out(&format!("output {name}: {report}"))?;
        }
    }
    if !any {
        return Err(
            Exit::Usage.error("no output of the configuration is of the type `elasticsearch`")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The mappings that are named; else the configured one and the one that was put to work last.
fn meant(loaded: &Loaded, kept: &Kept, names: &[String]) -> anyhow::Result<Vec<Found>> {
    let directory = loaded.directory.as_deref();
    if names.is_empty() {
        let mut found = vec![wiring::find_mapping(&loaded.config.mapping, directory)?];
        if let Some(last) = kept.history()?.last() {
            found.push(kept.bytes(&last.mapping.digest)?);
        }
        return Ok(found);
    }
    let names = names.iter();
    names
        .map(|name| named(kept, name, loaded.directory.clone()))
        .collect()
}
