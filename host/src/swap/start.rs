//! A mapping made ready to work, at the start or for a swap.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use runtime::{Engine, LoadedMapping, Mapper, Probe};

use super::kept::{Cause, Entry, Kept};
use super::self_test::self_test;
use crate::config::{Facts, Instance, Loaded, MappingConfig, StaticFields};
use crate::exit::{Exit, OrExit as _};
use crate::wiring;

/// What a mapping is made ready with, whichever it is.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) engine: Engine,
    pub(crate) kept: Kept,
    pub(crate) facts: Facts,
    pub(crate) static_fields: StaticFields,
}

/// A mapping that may be put to work.
pub(crate) struct Ready {
    pub(crate) mapping: LoadedMapping,
    /// One an instance, in order.
    pub(crate) mappers: Vec<Arc<Mapper>>,
}

impl Setting {
    /// With the engine, and what is kept in this state folder.
    pub(crate) fn new(loaded: &Loaded, folder: &Path, facts: Facts) -> anyhow::Result<Self> {
        Ok(Self {
            engine: crate::engine::engine(Some(folder), &loaded.config.limits)?,
            kept: Kept::in_state(folder),
            facts,
            static_fields: loaded.config.static_fields.clone(),
        })
    }

    /// Compiles, checks, starts for each instance and tries on the sample. Blocks.
    pub(crate) fn ready(
        &self,
        configured: &MappingConfig,
        bytes: &[u8],
        instances: &[Instance],
    ) -> anyhow::Result<Ready> {
        let ready = self.started(configured, bytes, instances)?;
        if let Some(instance) = instances.first() {
            let origin = wiring::origin(instance, &self.static_fields, &self.facts)?;
            let settings = serde_json::to_vec(&configured.settings)?;
            let probe = Probe::start(&self.engine, &ready.mapping, &settings, &origin)?;
            let fields = &ready.mapping.description().fields;
            self_test(probe, fields).or_exit(Exit::HeldBack)?;
        }
        Ok(ready)
    }

    /// As [`Self::ready`], whatever it does with the sample.
    fn started(
        &self,
        configured: &MappingConfig,
        bytes: &[u8],
        instances: &[Instance],
    ) -> anyhow::Result<Ready> {
        let digest = runtime::digest(bytes);
        if let Some(pin) = configured.pin()
            && pin != digest
        {
            return Err(Exit::HeldBack.error(format!(
                "its digest is sha256:{digest}, and `mapping.digest` allows sha256:{pin} only"
            )));
        }
        let mapping = self.engine.load(bytes).context("it is not a mapping");
        let mapping = mapping.or_exit(Exit::Usage)?;
        let mut mappers = Vec::new();
        for instance in instances {
            let origin = wiring::origin(instance, &self.static_fields, &self.facts)?;
            let settings = serde_json::to_vec(&configured.settings)?;
            let mapper = Mapper::start(&self.engine, &mapping, settings, origin)
                .context("`mapping.settings` were not accepted")
                .or_exit(Exit::Usage)?;
            let identity = wiring::settings_identity(configured, &self.static_fields, instance)?;
            mappers.push(Arc::new(mapper.with_settings(identity)));
        }
        Ok(Ready { mapping, mappers })
    }
}

/// The mapping to begin with: what was put to work last, while the configuration names what it
/// named then; else what the configuration names. Where that cannot be used, the last good one.
pub(crate) fn at_start(
    setting: &Setting,
    loaded: &Loaded,
    instances: &[Instance],
) -> anyhow::Result<Ready> {
    let configured = &loaded.config.mapping;
    let kept = &setting.kept;
    let last = kept.history()?.pop();
    let named = wiring::find_mapping(configured, loaded.directory.as_deref());
    let digest = named
        .as_ref()
        .ok()
        .map(|found| runtime::digest(&found.bytes));
    let chosen = last.as_ref().filter(|last| {
        digest.is_some()
            && last.configured == digest
            && Some(&last.mapping.digest) != digest.as_ref()
    });
    let found = match chosen {
        Some(chosen) => {
            tracing::info!(
                name = chosen.mapping.name,
                version = chosen.mapping.version,
                digest = chosen.mapping.digest,
                "the mapping that was chosen last stays at work; `misp-ecs mapping use` chooses another"
            );
            kept.bytes(&chosen.mapping.digest)
        }
        None => named,
    };
    let begun = found.and_then(|found| {
        let ready = setting.ready(configured, &found.bytes, instances);
        let ready =
            ready.with_context(|| format!("{} cannot be used as the mapping", found.place))?;
        let entry = Entry {
            mapping: ready.mapping.identity().clone(),
            configured: digest,
            place: found.place.clone(),
            at_ms: pipeline::now_ms(),
        };
        kept.put_to_work(entry, Cause::Configured, &found.bytes)?;
        let identity = ready.mapping.identity();
        tracing::info!(
            name = identity.name,
            version = identity.version,
            digest = identity.digest,
            place = found.place,
            "the mapping at work"
        );
        Ok(ready)
    });
    begun.or_else(|error| {
        let good = last.as_ref().and_then(|last| {
            let found = kept.bytes(&last.mapping.digest).ok()?;
            let good = setting.started(configured, &found.bytes, instances);
            Some((good.ok()?, found.place, last))
        });
        let Some((good, place, last)) = good else {
            return Err(error);
        };
        kept.fell_back(last, pipeline::now_ms())?;
        let identity = good.mapping.identity();
        tracing::error!(
            error = crate::explain(&error),
            name = identity.name,
            version = identity.version,
            digest = identity.digest,
            place,
            "the configured mapping cannot be used: the last good one is at work"
        );
        Ok(good)
    })
}
