//! Mappings that were accepted, kept by their digest in the state folder, the order in which a
//! rollback goes back, and a log of every change. A restart finds the last good mapping.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pipeline::MappingIdentity;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::mappings::Found;

/// How many mappings are kept.
const KEPT: usize = 10;
/// How many changes the log keeps.
const LOGGED: usize = 200;
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

/// Why the active mapping changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// The configuration names it, at a start, a reload or a change of its file.
    Configured,
    /// `misp-ecs mapping use`
    Use,
    /// `misp-ecs mapping rollback`
    Rollback,
    /// The configured mapping could not be used at a start.
    Fallback,
}

impl Cause {
    /// The word in `mapping history`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Use => "use",
            Self::Rollback => "rollback",
            Self::Fallback => "fallback",
        }
    }
}

/// A change of the active mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// When, UNIX milliseconds.
    pub(crate) at_ms: i64,
    /// Why.
    pub(crate) cause: Cause,
    /// The mapping that is active from then on.
    pub(crate) mapping: MappingIdentity,
    /// Where its bytes came from, for people.
    pub(crate) place: String,
}

/// What `history.json` holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct History {
    /// What a rollback goes back through, oldest first; the last is the active mapping.
    mappings: Vec<Entry>,
    /// Every change, oldest first.
    log: Vec<Change>,
}

/// The file as earlier versions wrote it, too: without a log.
#[derive(Deserialize)]
#[serde(untagged)]
enum OnDisk {
    History(History),
    Mappings(Vec<Entry>),
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

    /// The state folder.
    pub(crate) fn state(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// What a rollback goes back through, oldest first. The last is the active mapping, or was
    /// when the host ended.
    pub(crate) fn history(&self) -> anyhow::Result<Vec<Entry>> {
        Ok(self.read()?.mappings)
    }

    /// Every change of the active mapping, oldest first.
    pub(crate) fn log(&self) -> anyhow::Result<Vec<Change>> {
        Ok(self.read()?.log)
    }

    fn read(&self) -> anyhow::Result<History> {
        let path = self.folder.join(HISTORY);
        match fs::read(&path) {
            Ok(bytes) => {
                let read = serde_json::from_slice(&bytes).with_context(|| {
                    format!(
                        "{} cannot be read: move it away to continue without it",
                        path.display()
                    )
                })?;
                Ok(match read {
                    OnDisk::History(history) => history,
                    OnDisk::Mappings(mappings) => History {
                        mappings,
                        log: Vec::new(),
                    },
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(History::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Stores that this mapping is active now, and keeps its bytes.
    pub(crate) fn put_to_work(
        &self,
        entry: Entry,
        cause: Cause,
        bytes: &[u8],
    ) -> anyhow::Result<()> {
        let mut history = self.read()?;
        let known = history.mappings.last().is_some_and(|last| {
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
            .mappings
            .last()
            .is_some_and(|last| last.mapping == entry.mapping)
        {
            history.mappings.pop();
        } else {
            history.log.push(entry.change(cause, entry.at_ms));
        }
        history.mappings.push(entry);
        self.write(history)
    }

    /// Goes back to the entry before the last: the next rollback goes back further.
    pub(crate) fn go_back(&self, configured: Option<String>, at_ms: i64) -> anyhow::Result<()> {
        let mut history = self.read()?;
        history.mappings.pop();
        if let Some(last) = history.mappings.last_mut() {
            last.configured = configured;
            history.log.push(last.change(Cause::Rollback, at_ms));
        }
        self.write(history)
    }

    /// Logs that the last good mapping is active instead of the configured one.
    pub(crate) fn fell_back(&self, last: &Entry, at_ms: i64) -> anyhow::Result<()> {
        let mut history = self.read()?;
        // Each restart finds the same: one line is enough.
        let known = history.log.last().is_some_and(|change| {
            change.cause == Cause::Fallback && change.mapping == last.mapping
        });
        if known {
            return Ok(());
        }
        history.log.push(last.change(Cause::Fallback, at_ms));
        self.write(history)
    }

    /// The entry before the last, and its bytes.
    pub(crate) fn before_last(&self) -> anyhow::Result<(Entry, Found)> {
        let history = self.history()?;
        let Some(entry) = history.iter().rev().nth(1) else {
            return Err(Exit::Usage.error(
                "there is no mapping to go back to: `misp-ecs mapping history` shows every change",
            ));
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
        let history = self.read()?;
        let mut found: Vec<&str> = history
            .kept()
            .into_iter()
            .filter(|digest| digest.starts_with(&digits))
            .collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => Ok(None),
            [only] => self.bytes(only).map(Some),
            several => Err(Exit::Usage.error(format!(
                "{} kept mappings begin with {digits}: give more digits",
                several.len()
            ))),
        }
    }

    /// The bytes of a kept mapping.
    pub(crate) fn bytes(&self, digest: &str) -> anyhow::Result<Found> {
        let path = self.path(digest);
        let bytes = fs::read(&path)
            .with_context(|| format!("the kept mapping {} cannot be read", path.display()))?;
        let found = runtime::digest(&bytes);
        if found != digest {
            anyhow::bail!(
                "the kept mapping {} was altered: its SHA-256 is {found}; remove it and use \
                 `misp-ecs mapping use` with the component itself",
                path.display()
            );
        }
        Ok(Found {
            place: path.display().to_string(),
            bytes,
        })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.component.wasm"))
    }

    /// Writes the newest entries, and removes the bytes that are not kept any more.
    fn write(&self, mut history: History) -> anyhow::Result<()> {
        let before: Vec<String> = history.known().map(str::to_owned).collect();
        let old = history.mappings.len().saturating_sub(KEPT);
        history.mappings.drain(..old);
        let old = history.log.len().saturating_sub(LOGGED);
        history.log.drain(..old);
        replace(
            &self.folder.join(HISTORY),
            &serde_json::to_vec_pretty(&history)?,
        )?;
        let kept = history.kept();
        for digest in before {
            if !kept.contains(&digest.as_str()) {
                // A file that stays only takes space.
                let _ = fs::remove_file(self.path(&digest));
            }
        }
        Ok(())
    }
}

impl History {
    /// The digests of all mappings that it names.
    fn known(&self) -> impl Iterator<Item = &str> {
        let mappings = self.mappings.iter().map(|entry| &entry.mapping);
        let log = self.log.iter().map(|change| &change.mapping);
        mappings.chain(log).map(|mapping| mapping.digest.as_str())
    }

    /// The digests whose bytes are kept: those a rollback goes back to, and the last ones used.
    fn kept(&self) -> Vec<&str> {
        let mut kept: Vec<&str> = Vec::new();
        let mappings = self.mappings.iter().map(|entry| &entry.mapping);
        for mapping in mappings {
            if !kept.contains(&mapping.digest.as_str()) {
                kept.push(&mapping.digest);
            }
        }
        for change in self.log.iter().rev() {
            if kept.len() >= KEPT {
                break;
            }
            if !kept.contains(&change.mapping.digest.as_str()) {
                kept.push(&change.mapping.digest);
            }
        }
        kept
    }
}

impl Entry {
    fn change(&self, cause: Cause, at_ms: i64) -> Change {
        Change {
            at_ms,
            cause,
            mapping: self.mapping.clone(),
            place: self.place.clone(),
        }
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

    /// The bytes of a made-up mapping are the letter that it is called by.
    fn digest(letter: &str) -> String {
        runtime::digest(letter.as_bytes())
    }

    fn entry(digit: &str, configured: &str) -> Entry {
        Entry {
            mapping: MappingIdentity {
                name: "made-up".to_owned(),
                version: "1".to_owned(),
                digest: digest(digit),
                settings: String::new(),
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
        let put = |entry, bytes: &[u8]| kept.put_to_work(entry, Cause::Use, bytes).unwrap();
        put(entry("a", "a"), b"a");
        put(entry("a", "a"), b"a");
        put(entry("b", "a"), b"b");
        assert_eq!(kept.history().unwrap(), [entry("a", "a"), entry("b", "a")]);
        let some = format!("sha256:{}", &digest("b")[..8]);
        assert_eq!(kept.find(&some).unwrap().unwrap().bytes, b"b");
        assert!(kept.find("cccccccc").unwrap().is_none());
        assert!(kept.find("ecs-9").unwrap().is_none());
        assert_eq!(kept.before_last().unwrap().1.bytes, b"a");
        kept.go_back(Some("b".repeat(64)), 7).unwrap();
        assert_eq!(kept.history().unwrap(), [entry("a", "b")]);
        // Put to work as the configured one: nothing to go back to.
        put(entry("a", "a"), b"a");
        assert_eq!(kept.history().unwrap(), [entry("a", "a")]);
        // The mapping that was rolled back can be used again.
        assert_eq!(kept.find(&some).unwrap().unwrap().bytes, b"b");
    }

    #[test]
    fn every_change_is_logged_and_a_rollback_still_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_state(folder.path());
        let put = |entry, cause| kept.put_to_work(entry, cause, b"bytes").unwrap();
        put(entry("a", "a"), Cause::Configured);
        put(entry("b", "a"), Cause::Use);
        kept.go_back(None, 1).unwrap();
        put(entry("c", "a"), Cause::Use);
        kept.go_back(None, 2).unwrap();
        for at_ms in [3, 4] {
            kept.fell_back(&entry("a", "a"), at_ms).unwrap();
        }
        let log = kept.log().unwrap();
        let log: Vec<_> = log
            .iter()
            .map(|change| {
                (
                    change.cause.word(),
                    change.mapping.digest.clone(),
                    change.at_ms,
                )
            })
            .collect();
        assert_eq!(
            log,
            [
                ("configured", digest("a"), 0),
                ("use", digest("b"), 0),
                ("rollback", digest("a"), 1),
                ("use", digest("c"), 0),
                ("rollback", digest("a"), 2),
                ("fallback", digest("a"), 3),
            ]
        );
        assert_eq!(kept.history().unwrap().len(), 1);
        for turn in 0..LOGGED {
            put(entry(["d", "e"][turn % 2], "a"), Cause::Use);
        }
        assert_eq!(kept.log().unwrap().len(), LOGGED);
        assert_eq!(kept.history().unwrap().len(), KEPT);
    }

    #[test]
    fn a_history_without_a_log_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_state(folder.path());
        fs::create_dir_all(&kept.folder).unwrap();
        let old = serde_json::to_vec(&[entry("a", "a")]).unwrap();
        fs::write(kept.folder.join(HISTORY), old).unwrap();
        assert_eq!(kept.history().unwrap(), [entry("a", "a")]);
        assert!(kept.log().unwrap().is_empty());
    }

    #[test]
    fn an_altered_mapping_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_state(folder.path());
        kept.put_to_work(entry("a", "a"), Cause::Use, b"a").unwrap();
        assert_eq!(kept.bytes(&digest("a")).unwrap().bytes, b"a");
        fs::write(kept.path(&digest("a")), b"another").unwrap();
        let error = kept.bytes(&digest("a")).unwrap_err().to_string();
        assert!(error.contains("was altered"), "{error}");
    }

    #[test]
    fn a_bounded_number_of_mappings_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::in_state(folder.path());
        for turn in 0..KEPT + 5 {
            let digit = ["a", "b"][turn % 2];
            kept.put_to_work(entry(digit, "a"), Cause::Use, digit.as_bytes())
                .unwrap();
        }
        for digit in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"] {
            kept.put_to_work(entry(digit, "a"), Cause::Use, digit.as_bytes())
                .unwrap();
        }
        assert_eq!(kept.history().unwrap().len(), KEPT);
        assert!(kept.bytes(&digest("a")).is_err());
        assert!(kept.bytes(&digest("0")).is_ok());
    }
}
