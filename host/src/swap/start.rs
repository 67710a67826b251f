//! A mapping made ready to work, at the start or for a swap.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use runtime::{Engine, LoadedMapping, Mapper, Probe};

use super::kept::{Entry, Kept};
use super::self_test::self_test;
use crate::config::{Facts, Instance, Loaded, MappingConfig, StaticFields};
use crate::mappings::Found;
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
        let digest = runtime::digest(bytes);
        if let Some(pin) = configured.pin()
            && pin != digest
        {
            bail!("its digest is sha256:{digest}, and `mapping.digest` allows sha256:{pin} only");
        }
        let mapping = self.engine.load(bytes).context("it is no mapping")?;
        let mut mappers = Vec::new();
        for instance in instances {
            let origin = wiring::origin(instance, &self.static_fields, &self.facts)?;
            let settings = serde_json::to_vec(&configured.settings)?;
            let refused = "`mapping.settings` were not accepted";
            let probe =
                Probe::start(&self.engine, &mapping, &settings, &origin).context(refused)?;
            if mappers.is_empty() {
                self_test(probe)?;
            }
            let mapper =
                Mapper::start(&self.engine, &mapping, settings, origin).context(refused)?;
            mappers.push(Arc::new(mapper));
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
    let begin = |found: &Found| {
        let ready = setting.ready(configured, &found.bytes, instances);
        ready.with_context(|| format!("{} cannot be used as the mapping", found.place))
    };
    let error = match found.and_then(|found| begin(&found).map(|ready| (ready, found))) {
        Ok((ready, found)) => {
            let entry = Entry {
                mapping: ready.mapping.identity().clone(),
                configured: digest,
                place: found.place,
                at_ms: pipeline::now_ms(),
            };
            kept.put_to_work(entry, &found.bytes)?;
            return Ok(ready);
        }
        Err(error) => error,
    };
    let good = last.and_then(|last| begin(&kept.bytes(&last.mapping.digest).ok()?).ok());
    let Some(good) = good else { return Err(error) };
    tracing::error!(
        error = crate::explain(&error),
        name = good.mapping.identity().name,
        version = good.mapping.identity().version,
        digest = good.mapping.identity().digest,
        "the configured mapping cannot be used: the last good one is at work"
    );
    Ok(good)
}
