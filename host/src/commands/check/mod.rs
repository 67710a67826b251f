//! `misp-ecs check`: everything that can be tried before the first run, each with
//! what to do when it does not work.

mod feed;
mod misp;
mod report;

use std::process::ExitCode;

use pipeline::Transform as _;
use report::Report;
use runtime::{Engine, LoadedMapping, Probe};

use crate::args::Configured;
use crate::assembly::chosen;
use crate::config::{Facts, Instance, Loaded};
use crate::exit::Exit;
use crate::instances;
use crate::summary::plural;
use crate::swap::self_test;
use crate::wiring::{self, Server};

/// Runs the command: exit code 0 if a run would work.
pub(crate) async fn check(configured: &Configured) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let loaded = match wiring::load_config(configured) {
        Ok(loaded) => loaded,
        Err(error) => {
            for line in crate::explain(&error).lines() {
                report.bad("configuration", line);
            }
            report.end();
            return Ok(Exit::of_error(&error).into());
        }
    };
    report.good("configuration", "read");
    let folder = wiring::state_folder(configured, Some(&loaded.config))?;
    state(&folder, &loaded, &mut report);
    outputs(&loaded, &mut report).await;
    let engine = crate::engine::engine(Some(&folder), &loaded.config.limits)?;
    let mapping = match wiring::load_mapping(&engine, &loaded) {
        Ok(mapping) => {
            let identity = mapping.identity();
            report.good(
                "mapping",
                &format!("{} {}", identity.name, identity.version),
            );
            Some(mapping)
        }
        Err(error) => {
            report.bad("mapping", &crate::explain(&error));
            None
        }
    };
    let mut is_tried = false;
    for (instance, credential) in chosen(&loaded, None)? {
        if let Some(mapping) = &mapping {
            match wiring::start_mapper(
                &engine,
                mapping,
                &loaded.config,
                instance,
                &Facts::default(),
            ) {
                Ok(mapper) => report.good(
                    "settings",
                    &format!("accepted by {}", mapper.identity().name),
                ),
                Err(error) => report.bad("settings", &crate::explain(&error)),
            }
            if !std::mem::replace(&mut is_tried, true) {
                trial(&engine, mapping, &loaded, instance, &mut report);
            }
        }
        report.title(instance.label());
        match Server::of(instance, credential, loaded.config.spool_folder(&folder)) {
            Err(error) => report.bad("connection", &crate::explain(&error)),
            Ok(Server::Feed(options)) => feed::check(&options, &mut report).await,
            Ok(Server::Misp(client)) => {
                if let Err(error) = misp::check(&client, instance, &mut report).await {
                    report.bad("MISP", &error.to_string());
                }
            }
        }
    }
    Ok(report.end())
}

/// The same trial on the sample as at a start and at a swap.
fn trial(
    engine: &Engine,
    mapping: &LoadedMapping,
    loaded: &Loaded,
    instance: &Instance,
    report: &mut Report,
) {
    let tried = || {
        let origin = wiring::origin(instance, &loaded.config.static_fields, &Facts::default())?;
        let settings = serde_json::to_vec(&loaded.config.mapping.settings)?;
        let probe = Probe::start(engine, mapping, &settings, &origin)?;
        self_test(probe, &mapping.description().fields)
    };
    match tried() {
        Ok(()) => report.good("trial", "the mapping keeps the contract on the sample"),
        Err(error) => report.bad("trial", &crate::explain(&error)),
    }
}

fn state(folder: &std::path::Path, loaded: &Loaded, report: &mut Report) {
    match state::Store::open(folder) {
        Ok(store) => {
            let known = store.instances().map_or(0, |instances| instances.len());
            report.good(
                "state",
                &format!(
                    "{} ({} known)",
                    folder.display(),
                    plural(known as u64, "instance")
                ),
            );
            match instances::unconfigured(&store, &loaded.config) {
                Ok(unconfigured) => {
                    for name in unconfigured {
                        let what = format!("instance {name}");
                        report.note(&what, &instances::remedies(&name));
                    }
                }
                Err(error) => report.bad("state", &error.to_string()),
            }
        }
        // What is checked is whether a run would work; one does.
        Err(error @ state::StoreError::Held { .. }) => report.note("state", &error.to_string()),
        Err(error) => report.bad("state", &error.to_string()),
    }
}

async fn outputs(loaded: &Loaded, report: &mut Report) {
    for (name, options) in &loaded.config.outputs {
        let what = format!("output {name}");
        let output = options.build(name);
        if let Err(error) = output.check().await {
            report.bad(&what, &error.to_string());
            continue;
        }
        report.good(&what, "can be written");
        match output.advice().await {
            Ok(advice) => advice.iter().for_each(|text| report.note(&what, text)),
            Err(error) => {
                report.note(
                    &what,
                    &format!("its templates could not be checked: {error}"),
                );
            }
        }
    }
    if loaded.config.outputs.is_empty() {
        report.good("output", "stdout");
    }
}
