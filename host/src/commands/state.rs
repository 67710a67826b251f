//! `misp-ecs state`: what is remembered, and how to forget it. For a host that does
//! not run: a running one holds the state, and the error says which process that is.

use std::process::ExitCode;

use anyhow::bail;
use state::Store;

use crate::args::State;
use crate::wiring;

/// Runs the command.
pub(crate) fn state(command: &State) -> anyhow::Result<ExitCode> {
    let (State::Show(configured) | State::Export(configured) | State::Reset { configured, .. }) =
        command;
    // The state folder may be named by the configuration; without one the defaults do.
    let config = match &configured.config {
        Some(_) => Some(wiring::load_config(configured)?.config),
        None => None,
    };
    let folder = wiring::state_folder(configured, config.as_ref())?;
    match command {
        State::Show(_) => show(&Store::open(&folder)?, &folder.display().to_string()),
        State::Export(_) => {
            let instances = Store::open(&folder)?.instances()?;
            crate::print(&serde_json::to_string_pretty(&instances)?);
            Ok(())
        }
        State::Reset { instance, .. } => match instance {
            Some(name) => forget(&Store::open(&folder)?, name),
            None => {
                match Store::set_aside(&folder)? {
                    Some(kept) => crate::print(&format!(
                        "everything is forgotten; the old state is kept as {}",
                        kept.display()
                    )),
                    None => crate::print("there was nothing to forget"),
                }
                Ok(())
            }
        },
    }?;
    Ok(ExitCode::SUCCESS)
}

fn show(store: &Store, place: &str) -> anyhow::Result<()> {
    let instances = store.instances()?;
    crate::print(&format!("{place}: {} instances", instances.len()));
    for one in instances {
        let seconds = (pipeline::now_ms() - one.updated_ms).max(0) / 1_000;
        let ago =
            humantime::format_duration(std::time::Duration::from_secs(seconds.unsigned_abs()));
        crate::print(&format!(
            "  {}\n    last commit  {ago} ago, write version {}\n    cursor       {}",
            one.instance, one.version, one.cursor
        ));
    }
    Ok(())
}

fn forget(store: &Store, name: &str) -> anyhow::Result<()> {
    if store.reset(name)? {
        crate::print(&format!(
            "{name} is forgotten: its next walk is a first one"
        ));
        return Ok(());
    }
    let known = store.instances()?;
    let names: Vec<&str> = known.iter().map(|one| one.instance.as_str()).collect();
    match crate::config::nearest(name, names.iter().copied()) {
        Some(nearest) => bail!("no instance `{name}` is known: did you mean `{nearest}`?"),
        None => bail!(
            "no instance `{name}` is known; there are: {}",
            names.join(", ")
        ),
    }
}
