//! Mappings that were accepted, kept by their digest in the state folder, and which of them were
//! at work, so that a rollback is one command and a restart finds the last good one.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use pipeline::MappingIdentity;
use serde::{Deserialize, Serialize};

use crate::mappings::Found;

/// How many are kept.
const KEPT: usize = 10;
const FOLDER: &str = "mappings";
const HISTORY: &str = "history.json";
/// The fewest digits that name a digest.
const DIGITS: usize = 8;

/// A mapping that was put to work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// What it is.
    pub(crate) mapping: MappingIdentity,
    /// The digest of what the configuration named at that time. As long as the configuration
    /// names the same, this entry is its successor; it is not, where that could not be read.
    pub(crate) configured: Option<String>,
    /// Where its bytes came from, for people.
    pub(crate) place: String,
    /// When, UNIX milliseconds.
    pub(crate) at_ms: i64,
}

/// The folder of accepted mappings. Its owner is the one who holds the state.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// In this state folder.
    pub(crate) fn in_state(state: &Path) -> Self {
        Self {
            folder: state.join(FOLDER),
        }
    }

    /// What was at work, oldest first. The last is, or was when the host ended.
    pub(crate) fn history(&self) -> anyhow::Result<Vec<Entry>> {
        let path = self.folder.join(HISTORY);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "{} cannot be read: move it away to go on without it",
                    path.display()
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Notes that this mapping is at work now, and keeps its bytes.
    pub(crate) fn put_to_work(&self, entry: Entry, bytes: &[u8]) -> anyhow::Result<()> {
        let mut history = self.history()?;
        let known = history.last().is_some_and(|last| {
            last.mapping == entry.mapping && last.configured == entry.configured
        });
        if known {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        let path = self.path(&entry.mapping.digest);
        if !path.exists() {
            replace(&path, bytes)?;
        }
        // Where only what the configuration names has changed, there is nothing to go back to.
        if history
            .last()
            .is_some_and(|last| last.mapping == entry.mapping)
        {
            history.pop();
        }
        history.push(entry);
        self.write(history)
    }

    /// Goes back to the entry before the last: the last is forgotten.
    pub(crate) fn go_back(&self, configured: Option<String>) -> anyhow::Result<()> {
        let mut history = self.history()?;
        history.pop();
        if let Some(last) = history.last_mut() {
            last.configured = configured;
        }
        self.write(history)
    }

    /// The entry before the last, and its bytes.
    pub(crate) fn before_last(&self) -> anyhow::Result<(Entry, Found)> {
        let history = self.history()?;
        let Some(entry) = history.iter().rev().nth(1) else {
            bail!("there is no mapping to go back to: only one was ever at work here");
        };
        let found = self.bytes(&entry.mapping.digest)?;
        Ok((entry.clone(), found))
    }

    /// The kept mapping whose digest begins so.
    pub(crate) fn find(&self, digest: &str) -> anyhow::Result<Option<Found>> {
        let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
        let is_digest =
            digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest {
            return Ok(None);
        }
        let digits = digits.to_ascii_lowercase();
        let history = self.history()?;
        let mut found: Vec<&str> = history
            .iter()
            .map(|entry| entry.mapping.digest.as_str())
            .filter(|digest| digest.starts_with(&digits))
            .collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => Ok(None),
            [only] => self.bytes(only).map(Some),
            several => bail!(
                "{} kept mappings begin with {digits}: give more digits",
                several.len()
            ),
        }
    }

    /// The bytes of a kept mapping.
    pub(crate) fn bytes(&self, digest: &str) -> anyhow::Result<Found> {
        let path = self.path(digest);
        let bytes = fs::read(&path)
            .with_context(|| format!("the kept mapping {} cannot be read", path.display()))?;
        Ok(Found {
            place: path.display().to_string(),
            bytes,
        })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.component.wasm"))
    }

    /// Writes the newest entries, and removes the bytes that none of them names.
    fn write(&self, mut history: Vec<Entry>) -> anyhow::Result<()> {
        let old = history.len().saturating_sub(KEPT);
        let gone: Vec<Entry> = history.drain(..old).collect();
        replace(
            &self.folder.join(HISTORY),
            &serde_json::to_vec_pretty(&history)?,
        )?;
        for entry in gone {
            let named = |kept: &Entry| kept.mapping.digest == entry.mapping.digest;
            if !history.iter().any(named) {
                // If it stays, it is only in nobody's way.
                let _ = fs::remove_file(self.path(&entry.mapping.digest));
            }
        }
        Ok(())
    }
}

/// Whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let aside = path.with_extension("new");
    let written = || {
        let mut file = fs::File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(digit: &str, configured: &str) -> Entry {
        Entry {
            mapping: MappingIdentity {
                name: "made-up".to_owned(),
                version: "1".to_owned(),
                digest: digit.repeat(64),
            },
            configured: Some(configured.repeat(64)),
            place: "a test".to_owned(),
            at_ms: 0,
        }
    }

    #[test]
    fn what_was_at_work_is_found_again_and_gone_back_to() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_state(folder.path());
        assert!(kept.history().unwrap().is_empty());
        assert!(
            kept.before_last()
                .unwrap_err()
                .to_string()
                .contains("go back to")
        );
        kept.put_to_work(entry("a", "a"), b"A").unwrap();
        kept.put_to_work(entry("a", "a"), b"A").unwrap();
        kept.put_to_work(entry("b", "a"), b"B").unwrap();
        assert_eq!(kept.history().unwrap(), [entry("a", "a"), entry("b", "a")]);
        assert_eq!(kept.find("sha256:bbbbbbbb").unwrap().unwrap().bytes, b"B");
        assert!(kept.find("cccccccc").unwrap().is_none());
        assert!(kept.find("ecs-9").unwrap().is_none());
        assert_eq!(kept.before_last().unwrap().1.bytes, b"A");
        kept.go_back(Some("b".repeat(64))).unwrap();
        assert_eq!(kept.history().unwrap(), [entry("a", "b")]);
        // Put to work as the configured one: nothing to go back to.
        kept.put_to_work(entry("a", "a"), b"A").unwrap();
        assert_eq!(kept.history().unwrap(), [entry("a", "a")]);
    }

    #[test]
    fn only_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_state(folder.path());
        for turn in 0..KEPT + 5 {
            let digit = ["a", "b"][turn % 2];
            kept.put_to_work(entry(digit, "a"), b"bytes").unwrap();
        }
        for digit in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"] {
            kept.put_to_work(entry(digit, "a"), b"bytes").unwrap();
        }
        assert_eq!(kept.history().unwrap().len(), KEPT);
        assert!(kept.bytes(&"a".repeat(64)).is_err());
        assert!(kept.bytes(&"0".repeat(64)).is_ok());
    }
}
