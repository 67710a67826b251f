//! `misp-ecs setup`: what has to be on a server before documents come.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use outputs::{ElasticsearchOutput, OutputOptions};

use crate::args::{Configured, Setup};
use crate::catalogue::{component_template, whole};
use crate::wiring;

/// Runs the command.
pub(crate) async fn setup(command: &Setup) -> anyhow::Result<ExitCode> {
    match command {
        Setup::Elasticsearch {
            configured,
            dry_run,
        } => elasticsearch(configured, *dry_run).await,
    }
}

async fn elasticsearch(configured: &Configured, dry_run: bool) -> anyhow::Result<ExitCode> {
    let loaded = wiring::load_config(configured)?;
    let engine = crate::engine::engine(None, &loaded.config.limits)?;
    let mapping = wiring::load_mapping(&engine, &loaded)?;
    let description = mapping.description();
    let template = component_template(
        &description.name,
        &description.version,
        &whole(&description.fields),
        &description.epoch_second_fields(),
    );
    let mut any = false;
    for (name, options) in &loaded.config.outputs {
        let OutputOptions::Elasticsearch(options) = options else {
            continue;
        };
        any = true;
        let output = ElasticsearchOutput::new(name, options);
        let report = output.setup(&template, dry_run).await;
        let report = report.with_context(|| format!("output {name}"))?;
        crate::write_out(&format!("output {name}: {report}"))?;
    }
    if !any {
        bail!("no output of the configuration is of the type `elasticsearch`");
    }
    Ok(ExitCode::SUCCESS)
}
