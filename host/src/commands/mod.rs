//! One file a command.

mod audit;
mod check;
mod dead_letter;
pub(crate) mod input;
mod instance;
mod mapping;
mod reprocess;
mod run;
mod setup;
mod state;
mod status;
mod sweep;
mod transform;

pub(crate) use audit::{Deeper, audit, inventory_report, report as audit_report};
pub(crate) use check::check;
pub(crate) use dead_letter::dead_letter;
pub(crate) use instance::instance;
pub(crate) use mapping::{document_problems, mapping};
pub(crate) use reprocess::{reprocess, seconds};
pub(crate) use run::run;
pub(crate) use setup::setup;
pub(crate) use state::{exported, shown, state};
pub(crate) use status::{status, status_of};
pub(crate) use sweep::{sweep, sweep_in};
pub(crate) use transform::transform;
