//! `cargo xtask dist`: what is released.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::release;
use crate::tools::target;

/// Builds the release binary with its mappings inside, the components beside it
/// and their checksums, in `target/dist`.
pub(crate) fn dist() -> anyhow::Result<PathBuf> {
    let folder = target().join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let built = release::build()?;
    for path in built.components.iter().chain([&built.host]) {
        let name = path.file_name().context("a file without a name")?;
        fs::copy(path, folder.join(name))?;
    }
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
