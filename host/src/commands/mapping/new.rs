//! `misp-ecs mapping new`: a project that builds into a mapping, to begin with.
//! `misp-ecs mapping componentize`: the last step of building one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

/// The contract, as this host knows it.
const WIT: &str = include_str!("../../../../wit/mapping.wit");

/// The project: each file's path and text. `@name@` is the mapping's name, `@file@` what
/// cargo calls its module.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    (
        ".cargo/config.toml",
        include_str!("template/config.toml.in"),
    ),
    (".gitignore", include_str!("template/gitignore.in")),
    ("README.md", include_str!("template/README.md.in")),
    ("src/lib.rs", include_str!("template/lib.rs.in")),
    ("wit/mapping.wit", WIT),
];

/// Writes a project.
pub(super) fn new(name: &str, path: Option<&Path>) -> anyhow::Result<()> {
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-');
    ensure!(
        is_name,
        "`{name}` cannot be a name: lower-case letters, digits and `-`, beginning with a letter"
    );
    let folder = path.map_or_else(|| PathBuf::from(name), Path::to_owned);
    let is_free = match fs::read_dir(&folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    ensure!(
        is_free,
        "{} is there already and not an empty folder",
        folder.display()
    );
    let file = name.replace('-', "_");
    for (place, text) in FILES {
        let path = folder.join(place);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        let text = text.replace("@name@", name).replace("@file@", &file);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    crate::print(&format!(
        "{} is written; its README.md says how to build, verify and compare it",
        folder.display()
    ));
    Ok(())
}

/// Makes a component of a core module.
pub(super) fn componentize(module: &Path, out: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(module).with_context(|| format!("{} cannot be read", module.display()))?;
    let component = component_build::encode(&bytes).with_context(|| {
        format!(
            "{} is no core module with the bindings of a mapping",
            module.display()
        )
    })?;
    let imports = component_build::imports(&component)?;
    if !imports.is_empty() {
        bail!(
            "it would import {imports:?}, and a mapping may import nothing: build it for wasm32-unknown-unknown"
        );
    }
    fs::write(out, &component).with_context(|| format!("{} cannot be written", out.display()))?;
    crate::print(&format!(
        "{}: {} bytes, no imports",
        out.display(),
        component.len()
    ));
    Ok(())
}
