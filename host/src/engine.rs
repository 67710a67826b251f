//! The runtime as the configuration wants it.

use std::path::Path;

use anyhow::Context as _;
use runtime::{Engine, LoadedMapping, RuntimeOptions};

use crate::config::Limits;
use crate::exit::{Exit, OrExit as _};
use crate::mappings::Places;

/// An engine; compiled mappings are kept in the state folder where there is one,
/// so that the next start takes milliseconds.
pub(crate) fn engine(state: Option<&Path>, limits: &Limits) -> anyhow::Result<Engine> {
    let defaults = RuntimeOptions::default();
    let options = RuntimeOptions {
        memory_bytes: limits.memory.map_or(defaults.memory_bytes, |size| {
            usize::try_from(size.bytes()).unwrap_or(usize::MAX)
        }),
        call_timeout: limits
            .time
            .map_or(defaults.call_timeout, units::Duration::get),
        output_bytes: limits.output.map_or(defaults.output_bytes, |size| {
            usize::try_from(size.bytes()).unwrap_or(usize::MAX)
        }),
        cache: state
            .and_then(|state| std::path::absolute(state.join("compiled")).ok())
            .or_else(default_cache),
        ..defaults
    };
    Ok(Engine::new(&options)?)
}

/// Without a state folder: where a person's caches are.
fn default_cache() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("XDG_CACHE_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    folder.is_absolute().then(|| folder.join("misp-ecs"))
}

/// Finds and compiles a mapping.
pub(crate) fn load(engine: &Engine, name: &str, places: &Places) -> anyhow::Result<LoadedMapping> {
    let found = places.find(name)?;
    let loaded = engine
        .load(&found.bytes)
        .with_context(|| format!("{} cannot be used as a mapping", found.place))
        .or_exit(Exit::Usage)?;
    tracing::debug!(
        mapping = loaded.identity().name,
        version = loaded.identity().version,
        digest = loaded.identity().digest,
        place = found.place,
        "mapping loaded"
    );
    Ok(loaded)
}
