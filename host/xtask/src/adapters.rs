//! `cargo xtask adapters`: the artifacts for engines that are not ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::tools::{cargo, root, run_on_stderr, target};

/// Bytes that an artifact may have at most. 700,000 were nearly used up before refused records got
/// ids, hashes and redacted excerpts.
const BUDGET: usize = 800_000;

/// One artifact.
pub(crate) struct Adapter {
    /// The released file.
    pub(crate) file: &'static str,
    pub(crate) package: &'static str,
    pub(crate) target: &'static str,
    profile: &'static str,
    /// What cargo makes, and from what.
    made: &'static str,
    from: [&'static str; 2],
    /// Each of its imports begins with one of these.
    imports: &'static [&'static str],
}

const LIBRARY: [&str; 2] = ["--crate-type", "cdylib"];
const COMMAND: [&str; 2] = ["--bin", "misp-ecs-map"];

/// Every artifact.
pub(crate) const ADAPTERS: [Adapter; 4] = [
    Adapter {
        file: "misp_ecs_fluent_bit.wasm",
        package: "adapter-fluent-bit",
        target: "wasm32-unknown-unknown",
        profile: "adapter",
        made: "adapter_fluent_bit.wasm",
        from: LIBRARY,
        imports: &[],
    },
    Adapter {
        file: "misp_ecs_connect.wasm",
        package: "adapter-connect",
        target: "wasm32-unknown-unknown",
        profile: "adapter",
        made: "adapter_connect.wasm",
        from: LIBRARY,
        imports: &[
            "benthos_wasm.v0_msg_",
            "wasi_snapshot_preview1.clock_time_get",
        ],
    },
    Adapter {
        file: "misp_ecs.wasip1.wasm",
        package: "adapter-wasi-command",
        target: "wasm32-wasip1",
        profile: "command",
        made: "misp-ecs-map.wasm",
        from: COMMAND,
        imports: &["wasi_snapshot_preview1."],
    },
    Adapter {
        file: "misp_ecs.wasip2.wasm",
        package: "adapter-wasi-command",
        target: "wasm32-wasip2",
        profile: "command",
        made: "misp-ecs-map.wasm",
        from: COMMAND,
        imports: &["wasi:"],
    },
];

/// Builds every artifact into `target/adapters` and holds it against what is promised of
/// it: its size, its imports, its place for settings. Returns the paths.
pub(crate) fn build_all() -> anyhow::Result<Vec<PathBuf>> {
    let folder = target().join("adapters");
    fs::create_dir_all(&folder)?;
    ADAPTERS
        .iter()
        .map(|adapter| {
            let bytes = adapter.build()?;
            adapter.hold(&bytes).context(adapter.file)?;
            let path = folder.join(adapter.file);
            fs::write(&path, &bytes).with_context(|| path.display().to_string())?;
            eprintln!("{}: {} bytes", adapter.file, bytes.len());
            Ok(path)
        })
        .collect()
}

impl Adapter {
    fn build(&self) -> anyhow::Result<Vec<u8>> {
        component_build::add_target(&root(), self.target)?;
        run_on_stderr(
            cargo()
                .args(["rustc", "--locked", "--package", self.package])
                .args(["--target", self.target, "--profile", self.profile])
                .args(self.from)
                // Smaller, and what engines without reference types read.
                .args(["--", "-C", "link-arg=--compress-relocations"])
                .env("CARGO_ENCODED_RUSTFLAGS", component_build::flags()),
        )?;
        let made = [self.target, self.profile, self.made];
        let path = made.iter().fold(target(), |path, part| path.join(part));
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        match self.target {
            "wasm32-wasip2" => component_build::without_names(&bytes),
            _ => Ok(bytes),
        }
    }

    fn hold(&self, bytes: &[u8]) -> anyhow::Result<()> {
        ensure!(
            bytes.len() <= BUDGET,
            "{} bytes, and {BUDGET} are what is promised",
            bytes.len()
        );
        let imports = match component_build::module_imports(bytes) {
            Ok(imports) => imports,
            Err(_) => component_build::imports(bytes)?,
        };
        let known = |import: &&String| self.imports.iter().any(|one| import.starts_with(one));
        let foreign: BTreeSet<_> = imports.iter().filter(|import| !known(import)).collect();
        ensure!(foreign.is_empty(), "it would import {foreign:?}");
        let (kind, settings) = baked_settings::baked(bytes)?;
        ensure!(
            kind == baked_settings::Kind::Adapter && settings.is_empty(),
            "its place for settings is not that of an adapter, or not empty"
        );
        Ok(())
    }
}
