//! `misp-ecs mapping`: what mappings there are, and tools for those who write one.

mod bake;
mod bench;
mod diff;
mod files;
mod new;
mod show;
mod verify;
mod work;

use std::process::ExitCode;

use crate::args::Mapping;
use crate::exit::{Exit, OrExit as _};
use crate::mappings::Places;

pub(crate) use verify::document_problems;

/// Runs the command.
pub(crate) async fn mapping(command: &Mapping) -> anyhow::Result<ExitCode> {
    let places = Places::new(None);
    match command {
        Mapping::List => show::list(&places)?,
        Mapping::Info { mapping } => show::info(mapping, &places)?,
        Mapping::Fields { mapping, format } => show::fields(mapping, *format, &places)?,
        Mapping::New { name, path } => new::new(name, path.as_deref()).or_exit(Exit::Usage)?,
        Mapping::Bake(args) => bake::bake(args, &places).or_exit(Exit::Usage)?,
        Mapping::Componentize { module, out } => {
            new::componentize(module, out).or_exit(Exit::Usage)?;
        }
        Mapping::History(configured) => work::history(configured)?,
        Mapping::Use {
            configured,
            mapping,
        } => return work::use_mapping(configured, mapping).await,
        Mapping::Rollback(configured) => return work::rollback(configured).await,
        Mapping::Verify(args) => return verify::verify(args, &places),
        Mapping::Bench(args) => return bench::bench(args, &places).await,
        Mapping::Diff(args) => return diff::diff(args, &places).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// An engine with the limits of the host.
fn engine() -> anyhow::Result<runtime::Engine> {
    crate::engine::engine(None, &crate::config::Limits::default())
}
