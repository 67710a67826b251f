//! One file a command.

mod check;
mod mapping;
mod run;
mod state;
mod transform;

pub(crate) use check::check;
pub(crate) use mapping::mapping;
pub(crate) use run::run;
pub(crate) use state::state;
pub(crate) use transform::transform;
