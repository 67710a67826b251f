//! Builds a mapping crate into a component without imports: what `cargo xtask`
//! and the tests call, and what anybody who writes a mapping may call.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use wasmparser::{Chunk, Parser, Payload};
use wit_component::ComponentEncoder;

/// The target of a mapping: nothing of a system is there to be imported.
const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the crate `package` of the workspace at `root` and returns the component.
///
/// # Errors
/// When a tool is missing, the crate does not compile, or the component would import anything.
pub fn build(root: &Path, package: &str, target_directory: &Path) -> anyhow::Result<Vec<u8>> {
    add_target(root, TARGET)?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args([
            "build",
            "--package",
            package,
            "--target",
            TARGET,
            "--profile",
            "guest",
            "--locked",
        ])
        .env("CARGO_TARGET_DIR", target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags())
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .context("cargo did not start")?;
    ensure!(status.success(), "{package} does not build for {TARGET}");
    let module = target_directory
        .join(TARGET)
        .join("guest")
        .join(format!("{}.wasm", package.replace('-', "_")));
    let module = fs::read(&module).with_context(|| module.display().to_string())?;
    let component = encode(&module).with_context(|| package.to_owned())?;
    let imports = imports(&component)?;
    ensure!(
        imports.is_empty(),
        "{package} would import {imports:?}; a mapping may import nothing"
    );
    Ok(component)
}

/// Flags for wasm, as `CARGO_ENCODED_RUSTFLAGS` takes them: the files of dependencies have
/// the same names on every machine, so that the same sources make the same bytes. Flags for
/// the machine that builds are no flags for wasm.
pub fn flags() -> String {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.map(|home| home.join("registry/src"));
    let registries = sources.and_then(|sources| fs::read_dir(sources).ok());
    let paths = registries.into_iter().flatten().flatten();
    let flags = paths.map(|entry| format!("--remap-path-prefix={}/=", entry.path().display()));
    flags.collect::<Vec<_>>().join("\u{1f}")
}

/// A component without the names of its parts, which only a debugger reads.
///
/// # Errors
/// When the bytes are no component.
pub fn without_names(component: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut parser = Parser::new(0);
    let (mut rest, mut kept) = (component, Vec::with_capacity(component.len()));
    while !rest.is_empty() {
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
            bail!("the component is cut off");
        };
        let mut length = u64::try_from(consumed)?;
        let mut is_kept = true;
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => length += unchecked_range.end - unchecked_range.start,
            Payload::CustomSection(section) => is_kept = section.name() != "component-name",
            _ => {}
        }
        let section = rest.split_at_checked(usize::try_from(length)?);
        let (section, after) = section.context("the component is cut off")?;
        if is_kept {
            kept.extend_from_slice(section);
        }
        rest = after;
    }
    Ok(kept)
}

/// Makes a component of a core module that holds the bindings.
///
/// # Errors
/// When the module is none, or does not fit its world.
pub fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default()
        .module(module)?
        .validate(true)
        .encode()
}

/// The names of everything that a component imports. What its inner modules import
/// of each other is no import of the component: it is validated to be closed.
///
/// # Errors
/// When the bytes are no component.
pub fn imports(component: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    ensure!(Parser::is_component(component), "not a component");
    let mut found = BTreeSet::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found.insert(import?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What a core module imports, as `module.name`.
///
/// # Errors
/// When the bytes are no core module.
pub fn module_imports(module: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    ensure!(Parser::is_core_wasm(module), "not a core module");
    let mut found = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                found.insert(format!("{}.{}", import.module, import.name));
            }
        }
    }
    Ok(found)
}

/// Adds a target to the toolchain of `root` if it is not there.
///
/// # Errors
/// When it is not there and cannot be added.
pub fn add_target(root: &Path, target: &str) -> anyhow::Result<()> {
    let sysroot = Command::new("rustc")
        .current_dir(root)
        .args(["--print", "sysroot"])
        .output()
        .context("rustc did not start")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    if sysroot.join("lib/rustlib").join(target).is_dir() {
        return Ok(());
    }
    let status = Command::new("rustup")
        .current_dir(root)
        .args(["target", "add", target])
        .stdout(Stdio::from(std::io::stderr()))
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => bail!(
            "the target {target} is missing and `rustup target add {target}` failed: install it by hand"
        ),
    }
}
