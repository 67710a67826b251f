//! Puts the mappings of the folder `MISP_ECS_EMBED` into the executable
//! (`cargo xtask dist` sets it). Without it there are none inside.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=MISP_ECS_EMBED");
    let mut list = String::from("pub(super) const MAPPINGS: &[(&str, &[u8])] = &[\n");
    if env::var_os("CARGO_FEATURE_EMBED").is_some() {
        let folder = env::var("MISP_ECS_EMBED").map_err(|_| {
            "the feature `embed` needs MISP_ECS_EMBED, a folder of components: `cargo xtask dist` sets it"
        })?;
        println!("cargo:rerun-if-changed={folder}");
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        for path in files {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if let Some(name) = name.strip_suffix(".component.wasm") {
                writeln!(list, "    ({name:?}, include_bytes!({path:?})),")?;
            }
        }
    }
    list.push_str("];\n");
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("embedded.rs"),
        list,
    )?;
    Ok(())
}
