//! The release build, one for everything that needs it: cargo builds the engine anew
//! for every other choice of packages, and that takes minutes.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::component;
use crate::tools::{cargo, run_on_stderr, target};

/// What the release build leaves behind.
pub(crate) struct Built {
    /// The mapping components.
    pub(crate) components: Vec<PathBuf>,
    /// The host with its mappings inside.
    pub(crate) host: PathBuf,
    /// The benchmark.
    pub(crate) bench: PathBuf,
}

/// Builds components, host and benchmark.
pub(crate) fn build() -> anyhow::Result<Built> {
    let embed = target().join("embed");
    if embed.exists() {
        fs::remove_dir_all(&embed)?;
    }
    fs::create_dir_all(&embed)?;
    let components = component::build_all()?;
    for component in &components {
        let name = component
            .file_name()
            .context("a component without a name")?;
        fs::copy(component, embed.join(name))?;
    }
    run_on_stderr(
        cargo()
            .args(["build", "--release", "--locked"])
            .args(["--package", "misp-ecs", "--features", "misp-ecs/embed"])
            .args(["--package", "misp-ecs-bench"])
            .env("MISP_ECS_EMBED", &embed),
    )?;
    let release = target().join("release");
    Ok(Built {
        components,
        host: release.join("misp-ecs"),
        bench: release.join("misp-ecs-bench"),
    })
}
