//! `misp-ecs setup`: what has to be on a server before documents come.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use outputs::{ElasticsearchOutput, OutputOptions, SetupMode};
use runtime::Description;

use crate::args::{Configured, Setup};
use crate::catalogue::{component_template, whole};
use crate::config::{Loaded, nearest_or_all};
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
            output,
            recreate,
            mapping,
        } => {
            let mode = SetupMode {
                dry_run: *dry_run,
                recreate: *recreate,
            };
            elasticsearch(configured, mode, output.as_deref(), mapping).await
        }
    }
}

async fn elasticsearch(
    configured: &Configured,
    mode: SetupMode,
    only: Option<&str>,
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
    let of_the_kind: Vec<_> = loaded
        .config
        .outputs
        .iter()
        .filter_map(|(name, options)| match options {
            OutputOptions::Elasticsearch(options) => Some((name, options)),
            _ => None,
        })
        .collect();
    if of_the_kind.is_empty() {
        return Err(
            Exit::Usage.error("no output of the configuration is of the type `elasticsearch`")
        );
    }
    let is_meant = |name: &str| only.is_none_or(|only| only == name);
    if let Some(only) = only.filter(|_| !of_the_kind.iter().any(|(name, _)| is_meant(name))) {
        let names = of_the_kind.iter().map(|(name, _)| name.as_str());
        let known = nearest_or_all(only, names);
        let text = format!("no output `{only}` of the type `elasticsearch`{known}");
        return Err(Exit::Usage.error(text));
    }
    let (mut done, mut failed) = (0, 0);
    for (name, options) in of_the_kind.iter().filter(|(name, _)| is_meant(name)) {
        let output = ElasticsearchOutput::new(name, options);
        for template in templates.values() {
            match output.setup(template, mode).await {
                Ok(report) => {
                    done += 1;
                    crate::write_out(&format!("output {name}: {report}"))?;
                }
                // The other outputs are set up all the same.
                Err(error) => {
                    crate::say(&format!("error: output {name}: {error}"));
                    failed += 1;
                    break;
                }
            }
        }
    }
    Ok(match (failed, done) {
        (0, _) => Exit::Done,
        (_, 0) => Exit::Failed,
        _ => Exit::Differs,
    }
    .into())
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
