//! `cargo xtask dist`: what is released.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::component;
use crate::tools::{cargo, run_on_stderr, target};

/// Builds the release binary with its mappings inside, the components beside it
/// and their checksums, in `target/dist`.
pub(crate) fn dist() -> anyhow::Result<PathBuf> {
    let folder = target().join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let embed = target().join("embed");
    if embed.exists() {
        fs::remove_dir_all(&embed)?;
    }
    fs::create_dir_all(&folder)?;
    fs::create_dir_all(&embed)?;
    for component in component::build_all()? {
        let name = component
            .file_name()
            .context("a component without a name")?;
        fs::copy(&component, folder.join(name))?;
        fs::copy(&component, embed.join(name))?;
    }
    run_on_stderr(
        cargo()
            .args([
                "build",
                "--release",
                "--locked",
                "--package",
                "misp-ecs",
                "--features",
                "embed",
            ])
            .env("MISP_ECS_EMBED", &embed),
    )?;
    fs::copy(
        target().join("release").join("misp-ecs"),
        folder.join("misp-ecs"),
    )?;
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let mut sums = String::new();
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(path)?;
        let mut hex = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(hex, "{byte:02x}")?;
        }
        writeln!(sums, "{hex}  {name}")?;
        eprintln!("{:>12} bytes  {name}", bytes.len());
    }
    fs::write(folder.join("SHA256SUMS"), sums)?;
    eprintln!("in {}", folder.display());
    Ok(folder)
}
