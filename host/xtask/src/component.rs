//! `cargo xtask component`: the mapping components, where a binary finds them.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::tools::{root, target};

/// Every mapping: its name and the crate of its shell.
pub(crate) const MAPPINGS: &[(&str, &str)] = &[
    ("ecs-1.12", "component-ecs-1-12"),
    ("ecs-9", "component-ecs-9"),
];

/// Builds every mapping into `target/mappings`, and beside the debug and release
/// binaries. Returns the paths in `target/mappings`.
pub(crate) fn build_all() -> anyhow::Result<Vec<PathBuf>> {
    MAPPINGS
        .iter()
        .map(|(name, package)| {
            let component = component_build::build(&root(), package, &target())?;
            let file = format!("{name}.component.wasm");
            for folder in ["debug/mappings", "release/mappings", "mappings"] {
                let folder = target().join(folder);
                fs::create_dir_all(&folder)?;
                let path = folder.join(&file);
                fs::write(&path, &component).with_context(|| path.display().to_string())?;
            }
            eprintln!("{file}: {} bytes, no imports", component.len());
            Ok(target().join("mappings").join(file))
        })
        .collect()
}
