//! Finds a mapping by its name or path.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::{Exit, OrExit as _};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// The mapping of those who name none.
pub(crate) const DEFAULT: &str = "ecs-9";

const ENDING: &str = ".component.wasm";

/// A component, found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Where it was, for people.
    pub(crate) place: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// Where mappings are looked for.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The configuration's folder.
    pub(crate) config: Option<PathBuf>,
    /// The executable.
    pub(crate) executable: Option<PathBuf>,
}

impl Places {
    /// Beside the running executable and, if given, in the configuration's folder.
    pub(crate) fn new(config: Option<PathBuf>) -> Self {
        Self {
            config,
            executable: std::env::current_exe().ok(),
        }
    }

    fn folders(&self) -> Vec<PathBuf> {
        let beside = self.executable.as_deref().and_then(Path::parent);
        let prefix = beside.and_then(Path::parent);
        let mut folders: Vec<PathBuf> = self.config.iter().cloned().collect();
        folders.extend(beside.map(|folder| folder.join("mappings")));
        folders.extend(prefix.map(|prefix| prefix.join("share/misp-ecs/mappings")));
        folders
    }

    /// The component at a path, or of this name. A name is a path if it holds a `/` or ends with
    /// `.wasm`: a folder `ecs-9` that happens to be in the working directory is not a mapping.
    pub(crate) fn find(&self, name: &str) -> anyhow::Result<Found> {
        if (name.contains('/') || name.ends_with(".wasm"))
            && let Some(path) = component_at(Path::new(name))
        {
            return read(&path);
        }
        let file = format!("{name}{ENDING}");
        for folder in self.folders() {
            let path = folder.join(&file);
            if path.is_file() {
                return read(&path);
            }
        }
        if let Some((_, bytes)) = embedded::MAPPINGS.iter().find(|(known, _)| *known == name) {
            return Ok(Found {
                place: "inside the executable".to_owned(),
                bytes: bytes.to_vec(),
            });
        }
        let known = self.list();
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        let hint = match crate::config::nearest(name, names.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if names.is_empty() => {
                "none is installed: build them with `cargo xtask component`, or use a binary of `cargo xtask dist`".to_owned()
            }
            None => format!("there are: {}", names.join(", ")),
        };
        Err(Exit::Usage.error(format!("no mapping `{name}`: {hint}")))
    }

    /// Every mapping that a name finds, with its place.
    pub(crate) fn list(&self) -> Vec<(String, String)> {
        let mut list: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, place: String| {
            if !list.iter().any(|(known, _)| known == name) {
                list.push((name.to_owned(), place));
            }
        };
        for folder in self.folders() {
            let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect();
            files.sort();
            for path in files {
                let name = path.file_name().and_then(|name| name.to_str());
                if let Some(name) = name.and_then(|name| name.strip_suffix(ENDING)) {
                    add(name, path.display().to_string());
                }
            }
        }
        for (name, _) in embedded::MAPPINGS {
            add(name, "inside the executable".to_owned());
        }
        list
    }
}

/// The component at a path.
pub(crate) fn at(path: &Path) -> anyhow::Result<Found> {
    match component_at(path) {
        Some(path) => read(&path),
        None => Err(Exit::Usage.error(format!(
            "there is no component at {}: give a .wasm file or a folder that holds some",
            path.display()
        ))),
    }
}

/// The file at this path, or the newest version in this folder: the component whose name comes
/// last, numbers compared as numbers. `None` if there is neither.
pub(crate) fn component_at(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    let files = std::fs::read_dir(path).ok()?.flatten();
    let named = files.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_component = name.ends_with(".wasm") && !name.starts_with('.');
        is_component.then(|| (in_order(&name), entry.path()))
    });
    let newest = named.filter(|(_, path)| path.is_file()).max()?;
    Some(newest.1)
}

/// The pieces of a name: `v10.wasm` comes after `v9.wasm`.
fn in_order(name: &str) -> Vec<(u128, String)> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest
            .find(|char: char| char.is_ascii_digit())
            .unwrap_or(rest.len());
        let (before, after) = rest.split_at(text);
        let digits = after
            .find(|char: char| !char.is_ascii_digit())
            .unwrap_or(after.len());
        let (number, next) = after.split_at(digits);
        pieces.push((0, before.to_owned()));
        pieces.push((number.parse().unwrap_or(u128::MAX), String::new()));
        rest = next;
    }
    pieces
}

fn read(path: &Path) -> anyhow::Result<Found> {
    Ok(Found {
        place: path.display().to_string(),
        bytes: std::fs::read(path)
            .with_context(|| format!("the mapping {} cannot be read", path.display()))
            .or_exit(Exit::Usage)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_folder_of_versions_the_last_is_meant() {
        let root = tempfile::tempdir().unwrap();
        assert!(component_at(root.path()).is_none());
        for name in [
            "mine-1.9.0.wasm",
            "mine-1.10.0.component.wasm",
            "mine-1.2.wasm",
            ".x.wasm",
            "z.txt",
        ] {
            std::fs::write(root.path().join(name), b"").unwrap();
        }
        let newest = root.path().join("mine-1.10.0.component.wasm");
        assert_eq!(component_at(root.path()).unwrap(), newest);
        assert_eq!(component_at(&newest).unwrap(), newest);
    }

    #[test]
    fn the_configurations_folder_wins_over_the_prefix() {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("etc");
        let share = root.path().join("share/misp-ecs/mappings");
        for folder in [&config, &share] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let places = Places {
            config: Some(config.clone()),
            executable: Some(root.path().join("bin/misp-ecs")),
        };
        std::fs::write(share.join("mine.component.wasm"), b"share").unwrap();
        assert_eq!(places.find("mine").unwrap().bytes, b"share");
        std::fs::write(config.join("mine.component.wasm"), b"config").unwrap();
        assert_eq!(places.find("mine").unwrap().bytes, b"config");
        let error = places.find("mime").unwrap_err().to_string();
        assert!(error.contains("did you mean `mine`?"), "{error}");
    }
}
