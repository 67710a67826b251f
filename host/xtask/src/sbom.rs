//! What is inside of what is released: a bill of materials, CycloneDX 1.5.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::adapters::ADAPTERS;
use crate::component::MAPPINGS;
use crate::tools::cargo;

/// A crate as `cargo tree` writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    /// Of this workspace: it has no address in a registry.
    ours: bool,
}

impl Crate {
    fn reference(&self) -> String {
        let Self { name, version, .. } = self;
        match self.ours {
            true => format!("{name}@{version}"),
            false => format!("pkg:cargo/{name}@{version}"),
        }
    }

    fn component(&self) -> Value {
        let reference = self.reference();
        let mut component = json!({
            "type": "library",
            "bom-ref": reference,
            "name": self.name,
            "version": self.version,
            "licenses": [{"expression": self.licence}],
        });
        if let (false, Some(members)) = (self.ours, component.as_object_mut()) {
            members.insert("purl".to_owned(), reference.into());
        }
        component
    }
}

/// The bill of the released files; `digests` has the SHA-256 of each, hexadecimal.
pub(crate) fn bill(digests: &BTreeMap<String, String>) -> anyhow::Result<Value> {
    let mut libraries = BTreeSet::new();
    let (mut files, mut dependencies) = (Vec::new(), Vec::new());
    for (file, digest) in digests {
        let crates = crates_of(file)?;
        ensure!(
            !crates.is_empty(),
            "nothing is known to be inside of {file}"
        );
        files.push(json!({
            "type": "file",
            "bom-ref": file,
            "name": file,
            "version": env!("CARGO_PKG_VERSION"),
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }));
        let inside: Vec<String> = crates.iter().map(Crate::reference).collect();
        dependencies.push(json!({"ref": file, "dependsOn": inside}));
        libraries.extend(crates);
    }
    files.extend(libraries.iter().map(Crate::component));
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {
            "type": "application",
            "bom-ref": "misp-ecs",
            "name": "misp-ecs",
            "version": env!("CARGO_PKG_VERSION"),
        }},
        "components": files,
        "dependencies": dependencies,
    }))
}

fn crates_of(file: &str) -> anyhow::Result<BTreeSet<Crate>> {
    let adapter = ADAPTERS.iter().find(|adapter| adapter.file == file);
    let mapping = MAPPINGS
        .iter()
        .find(|(name, _)| file.strip_suffix(".component.wasm") == Some(name));
    match (adapter, mapping) {
        (Some(adapter), _) => tree(&["--package", adapter.package, "--target", adapter.target]),
        (_, Some((_, package))) => {
            tree(&["--package", package, "--target", "wasm32-unknown-unknown"])
        }
        _ => {
            // The host has the mappings inside.
            let mut all = tree(&["--package", "misp-ecs", "--features", "embed"])?;
            for (name, _) in MAPPINGS {
                all.extend(crates_of(&format!("{name}.component.wasm"))?);
            }
            Ok(all)
        }
    }
}

/// What is compiled into a package: no build scripts, no tools, no tests.
fn tree(package: &[&str]) -> anyhow::Result<BTreeSet<Crate>> {
    let output = cargo()
        .args([
            "tree",
            "--locked",
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}\t{l}"])
        .args(package)
        .output()
        .context("cargo tree did not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo tree failed: {said}");
    let lines = String::from_utf8(output.stdout)?;
    lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            parsed(line).with_context(|| format!("cargo tree wrote an unknown line: {line}"))
        })
        .collect()
}

/// `name v1.2.3 (place)<TAB>licence (*)`
fn parsed(line: &str) -> Option<Crate> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    let licence = licence.trim_end_matches(" (*)").replace('/', " OR ");
    Some(Crate {
        name,
        version,
        licence,
        ours: words.any(|word| word.starts_with("(/") || word.contains(":\\")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_tree_are_read() {
        let foreign = parsed("memchr v2.7.6\tUnlicense/MIT (*)").unwrap();
        assert_eq!(foreign.reference(), "pkg:cargo/memchr@2.7.6");
        assert_eq!(foreign.licence, "Unlicense OR MIT");
        let ours = parsed("mapping v0.1.0 (/somewhere/crates/mapping)\tApache-2.0").unwrap();
        assert_eq!(ours.reference(), "mapping@0.1.0");
        assert_eq!(ours.component().get("purl"), None);
        assert_eq!(parsed("memchr"), None);
    }

    #[test]
    fn each_file_has_its_own_crates() {
        let digest = "00".repeat(32);
        let names = ["misp_ecs_fluent_bit.wasm", "ecs-9.component.wasm"];
        let digests = names.map(|name| (name.to_owned(), digest.clone()));
        let bill = bill(&digests.into()).unwrap();
        let inside = |file: &str| {
            let all = bill["dependencies"].as_array().unwrap();
            let one = all.iter().find(|one| one["ref"] == file).unwrap();
            one["dependsOn"].to_string()
        };
        assert!(inside("ecs-9.component.wasm").contains("pkg:cargo/psl@"));
        let filter = inside("misp_ecs_fluent_bit.wasm");
        assert!(filter.contains("pkg:cargo/serde_json@") && !filter.contains("pkg:cargo/psl@"));
        assert!(!filter.contains("proptest"));
    }
}
