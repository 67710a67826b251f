//! `misp-ecs instance`: renames or removes an instance in the state.

use std::process::ExitCode;
use std::sync::Arc;

use state::Store;

use crate::args::Instance;
use crate::assembly::{Mode, assemble};
use crate::control::{self, Request};
use crate::{instances, wiring};

/// Runs the command, in the host that holds the state if one does.
pub(crate) async fn instance(command: &Instance) -> anyhow::Result<ExitCode> {
    match command {
        Instance::Rename {
            configured,
            old,
            new,
        } => {
            let folder = wiring::folder_of(configured)?;
            let request = Request::RenameInstance {
                old: old.clone(),
                new: new.clone(),
            };
            if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
                return Ok(ExitCode::from(code));
            }
            let store = Store::open(&folder)?;
            crate::write_out(&instances::rename(&store, old, new)?)?;
        }
        Instance::Remove { configured, name } => {
            let loaded = Arc::new(wiring::load_config(configured)?);
            let folder = wiring::state_folder(configured, Some(&loaded.config))?;
            let request = Request::RemoveInstance { name: name.clone() };
            if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
                return Ok(ExitCode::from(code));
            }
            let store = Arc::new(Store::open(&folder)?);
            instances::configure(&store, &loaded.config)?;
            let file = configured.config.as_deref();
            let assembled = assemble(&loaded, file, &folder, &store, &Mode::default()).await?;
            crate::write_out(&assembled.others.remove(name).await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
