//! The runtime as the configuration wants it.

use std::path::Path;

use anyhow::Context as _;
use runtime::{Compiler, Engine, LoadedMapping, RuntimeOptions};
use state::StoreError;

use crate::config::Limits;
use crate::exit::{Exit, OrExit as _};
use crate::mappings::Places;

/// An engine; compiled mappings are kept in the state folder where there is one,
/// so that the next start takes milliseconds.
pub(crate) fn engine(state: Option<&Path>, limits: &Limits) -> anyhow::Result<Engine> {
    let defaults = RuntimeOptions::default();
    let cache = state
        .and_then(|state| std::path::absolute(state.join("compiled")).ok())
        .or_else(default_cache);
    // Compiled mappings are native code: nobody else may put some there.
    let mut folders = state.into_iter().chain(cache.as_deref());
    let checked: Result<(), StoreError> = folders.try_for_each(state::private_folder);
    let cache = match checked {
        Ok(()) => cache,
        // It only saves time, and whoever needs the state says what is wrong with it.
        Err(error @ StoreError::Io { .. }) => {
            tracing::warn!(%error, "no cache for compiled mappings");
            None
        }
        Err(error) => return Err(error.into()),
    };
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
        cache,
        compiler: compiler(),
        ..defaults
    };
    Ok(Engine::new(&options)?)
}

/// This program, also where its file was replaced by a newer one meanwhile.
fn compiler() -> Option<Compiler> {
    // A test is another program.
    (!cfg!(test)).then(|| Compiler {
        program: "/proc/self/exe".into(),
        arguments: vec!["compile".to_owned()],
    })
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
