//! `cargo xtask dist`: what is released.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::tools::target;
use crate::{adapters, release, sbom};

/// The bill of materials of all of it.
const BILL: &str = "misp-ecs.cdx.json";

/// Builds the release binary with its mappings inside, the components and the artifacts
/// for other engines beside it, what is inside of them and their checksums, in `target/dist`.
pub(crate) fn dist() -> anyhow::Result<PathBuf> {
    let folder = target().join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let adapters = adapters::build_all()?;
    let built = release::build()?;
    let mut digests = BTreeMap::new();
    for path in built
        .components
        .iter()
        .chain(&adapters)
        .chain([&built.host])
    {
        let name = path.file_name().context("a file without a name")?;
        let bytes = fs::read(path)?;
        let name = name.to_string_lossy().into_owned();
        fs::copy(path, folder.join(&name))?;
        eprintln!("{:>12} bytes  {name}", bytes.len());
        digests.insert(name, digest(&bytes)?);
    }
    let bill = serde_json::to_vec_pretty(&sbom::bill(&digests)?)?;
    fs::write(folder.join(BILL), &bill)?;
    digests.insert(BILL.to_owned(), digest(&bill)?);
    let mut sums = String::new();
    for (name, digest) in &digests {
        writeln!(sums, "{digest}  {name}")?;
    }
    fs::write(folder.join("SHA256SUMS"), sums)?;
    eprintln!("in {}", folder.display());
    Ok(folder)
}

fn digest(bytes: &[u8]) -> anyhow::Result<String> {
    let mut hex = String::new();
    for byte in Sha256::digest(bytes) {
        write!(hex, "{byte:02x}")?;
    }
    Ok(hex)
}
