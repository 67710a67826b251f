//! Which mapping is at work: `mapping use`, `rollback`, `history`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use pipeline::MappingIdentity;
use state::Store;

use crate::args::Configured;
use crate::assembly::chosen;
use crate::config::{Facts, Instance, Loaded};
use crate::control::{self, Request};
use crate::mappings::Found;
use crate::swap::{Cause, Entry, Kept, Setting, ask_outputs, named, of_others};
use crate::wiring;

/// Puts another mapping to work: in the running host, or at its next start.
pub(super) async fn use_mapping(configured: &Configured, name: &str) -> anyhow::Result<ExitCode> {
    let folder = wiring::folder_of(configured)?;
    // The host may have been started elsewhere.
    let path = Path::new(name);
    let mapping = if path.exists() {
        std::path::absolute(path)?.display().to_string()
    } else {
        name.to_owned()
    };
    let request = Request::Use { mapping };
    if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
        return Ok(ExitCode::from(code));
    }
    let at_rest = AtRest::open(configured, &folder)?;
    let found = named(
        &at_rest.setting.kept,
        name,
        at_rest.loaded.directory.clone(),
    )?;
    let mapping = at_rest.tried(&found)?;
    ask_outputs(&at_rest.loaded.config, &mapping.name).await?;
    at_rest.say(&mapping)?;
    let entry = Entry {
        mapping,
        configured: at_rest.configured(),
        place: found.place.clone(),
        at_ms: pipeline::now_ms(),
    };
    let kept = &at_rest.setting.kept;
    kept.put_to_work(entry, Cause::Use, &found.bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// Goes back to the mapping before this one.
pub(super) async fn rollback(configured: &Configured) -> anyhow::Result<ExitCode> {
    let folder = wiring::folder_of(configured)?;
    if let Some(code) = control::ask(&folder, &Request::Rollback, crate::write_out).await? {
        return Ok(ExitCode::from(code));
    }
    let at_rest = AtRest::open(configured, &folder)?;
    let (_, found) = at_rest.setting.kept.before_last()?;
    let mapping = at_rest.tried(&found)?;
    ask_outputs(&at_rest.loaded.config, &mapping.name).await?;
    let kept = &at_rest.setting.kept;
    kept.go_back(at_rest.configured(), pipeline::now_ms())?;
    at_rest.say(&mapping)?;
    Ok(ExitCode::SUCCESS)
}

/// Every change of the active mapping, oldest first.
pub(super) fn history(configured: &Configured) -> anyhow::Result<()> {
    let kept = Kept::in_state(&wiring::folder_of(configured)?);
    let log = kept.log()?;
    if log.is_empty() {
        crate::say("no mapping was active with this state yet");
    }
    for change in log {
        let at = u64::try_from(change.at_ms).unwrap_or(0);
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at);
        crate::print(&format!(
            "{}  {:<10}  sha256:{}  {} {}  from {}",
            humantime::format_rfc3339_seconds(at),
            change.cause.word(),
            change.mapping.digest,
            change.mapping.name,
            change.mapping.version,
            change.place
        ));
    }
    Ok(())
}

/// The state of a host that does not run, held so that none starts meanwhile.
struct AtRest {
    loaded: Loaded,
    setting: Setting,
    store: Store,
}

impl AtRest {
    fn open(configured: &Configured, folder: &Path) -> anyhow::Result<Self> {
        let loaded = wiring::load_config(configured)?;
        let store = Store::open(folder)?;
        let setting = Setting::new(&loaded, folder, Facts::default())?;
        Ok(Self {
            loaded,
            setting,
            store,
        })
    }

    /// What it is, if it can be put to work.
    fn tried(&self, found: &Found) -> anyhow::Result<MappingIdentity> {
        let instances = chosen(&self.loaded, None)?.into_iter();
        let instances: Vec<Instance> = instances.map(|(one, _)| one.clone()).collect();
        let mapping = &self.loaded.config.mapping;
        let ready = self.setting.ready(mapping, &found.bytes, &instances);
        let ready = ready.with_context(|| format!("{} cannot take over", found.place))?;
        Ok(ready.mapping.identity().clone())
    }

    /// Says what will be at work, and what is still of others.
    fn say(&self, mapping: &MappingIdentity) -> anyhow::Result<()> {
        crate::print(&format!(
            "{} {} will be at work from the next start on",
            mapping.name, mapping.version
        ));
        let instances = chosen(&self.loaded, None)?.into_iter();
        // It is started with the settings of the configuration.
        let (config, fields) = (
            &self.loaded.config.mapping,
            &self.loaded.config.static_fields,
        );
        let named = instances.map(|(instance, _)| {
            let settings = wiring::settings_identity(config, fields, instance)?;
            Ok((instance.label(), settings))
        });
        let named: Vec<(&str, String)> = named.collect::<anyhow::Result<_>>()?;
        crate::write_out(&of_others(&self.store, named.into_iter(), &mapping.digest))?;
        Ok(())
    }

    fn configured(&self) -> Option<String> {
        let directory = self.loaded.directory.as_deref();
        wiring::configured_digest(&self.loaded.config.mapping, directory)
    }
}
