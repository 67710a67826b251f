//! Where what was refused is kept: NDJSON, readable by its owner only, because it
//! holds what MISP sent as it was sent.

mod read;

use std::path::PathBuf;

use async_trait::async_trait;
use pipeline::{Class, Classify, DeadLetter, DeadLetters, OutputError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use units::{ByteSize, Duration};

use crate::line_file::{FileMode, Fsync, LineFile, LineFileError, Rotation, Settings};
use crate::lines::Lines;

pub use read::{LetterStanding, ReadLettersError, Replayed, each_letter};

/// Where refused records and documents are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterOptions {
    /// The NDJSON file, mode 0600. Default: `dead-letters.ndjson` in the state folder.
    pub path: Option<PathBuf>,
    /// Start a new file before this one grows past this size; the old one is renamed to
    /// `NAME-20260101T000000.000Z.EXT`. Default: 100MiB; 0 = never.
    pub rotate_size: ByteSize,
    /// How many renamed files to keep; older ones are deleted. Default: 9, which is 1 GB with the
    /// default `rotate_size`; 0 = all.
    pub keep: u32,
}

impl Default for DeadLetterOptions {
    fn default() -> Self {
        Self {
            path: None,
            rotate_size: ByteSize::mib(100),
            keep: 9,
        }
    }
}

/// Dead letters in a file: one a line, on the disk before they count as kept.
pub struct DeadLetterFile {
    file: LineFile,
}

impl DeadLetterFile {
    /// Letters at the path of the options, else at `default_path`. Touches nothing yet:
    /// the file is made with the first letter.
    #[must_use]
    pub fn new(options: &DeadLetterOptions, default_path: PathBuf) -> Self {
        let settings = Settings {
            path: options.path.clone().unwrap_or(default_path),
            rotation: Rotation {
                size: options.rotate_size,
                age: Duration::ZERO,
                keep: options.keep,
            },
            fsync: Fsync::Batch,
            mode: FileMode::OWNER,
            private: true,
        };
        Self {
            file: LineFile::new(settings),
        }
    }

    /// Could letters be kept here now? Writes none.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn check(&self) -> Result<(), LineFileError> {
        self.file.check().await
    }
}

impl DeadLetterFile {
    /// Notes, after the letters, that their events are asked for again.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn replayed(&self, events: &[Replayed]) -> Result<(), OutputError> {
        self.append(events).await
    }

    async fn append<T: Serialize>(&self, all: &[T]) -> Result<(), OutputError> {
        let mut lines = Lines::default();
        for one in all {
            lines
                .push(|line| serde_json::to_writer(line, one))
                .map_err(|error| OutputError::new(Unwritable(error)))?;
        }
        self.file.append(lines).await.map_err(OutputError::new)
    }
}

#[async_trait]
impl DeadLetters for DeadLetterFile {
    async fn write(&self, letters: &[DeadLetter]) -> Result<(), OutputError> {
        self.append(letters).await
    }
}

/// A letter that is no JSON: a mistake of ours, never of the input.
#[derive(Debug, thiserror::Error)]
#[error("a dead letter could not be written as json: {0}")]
struct Unwritable(#[source] serde_json::Error);

impl Classify for Unwritable {
    fn class(&self) -> Class {
        Class::Permanent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::{MappingIdentity, Reason, RefusalKind};
    use std::os::unix::fs::PermissionsExt;

    fn letter(input: &str) -> DeadLetter {
        DeadLetter {
            time_ms: 1_700_000_000_000,
            instance: "example".to_owned(),
            event: None,
            attribute: Some("11111111-2222-4333-8444-555555555555".to_owned()),
            reason: Reason {
                kind: RefusalKind::Invalid,
                text: "no\nvalue".to_owned(),
            },
            mapping: MappingIdentity {
                name: "ecs-1.12".to_owned(),
                version: "1.0.0".to_owned(),
                digest: "0".repeat(64),
                settings: String::new(),
            },
            output: None,
            input: input.to_owned(),
        }
    }

    #[tokio::test]
    async fn letters_are_lines_that_only_the_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/dead-letters.ndjson");
        let letters = DeadLetterFile::new(&DeadLetterOptions::default(), path.clone());
        letters.check().await.unwrap();
        assert!(!path.exists());
        letters
            .write(&[letter("{\"a\":\n1}"), letter("\u{1F600}")])
            .await
            .unwrap();
        letters.write(&[]).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["input"], "{\"a\":\n1}");
        assert_eq!(lines[0]["reason"]["kind"], "invalid");
        assert_eq!(lines[1]["mapping"]["digest"], "0".repeat(64));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_file_that_others_could_read_is_closed_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let options = DeadLetterOptions {
            path: Some(path.clone()),
            ..Default::default()
        };
        let letters = DeadLetterFile::new(&options, folder.path().join("elsewhere"));
        letters.write(&[letter("{}")]).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn letters_that_cannot_be_kept_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let path = folder.path().join("file/letters");
        let letters = DeadLetterFile::new(&DeadLetterOptions::default(), path);
        let error = letters.write(&[letter("{}")]).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient { after: None });
        assert!(letters.check().await.is_err());
    }

    fn seen(path: &std::path::Path) -> (Vec<(String, LetterStanding)>, u64) {
        let mut found = Vec::new();
        let none = each_letter(path, &mut |letter, standing| {
            found.push((letter.input.clone(), standing));
        });
        (found, none.unwrap())
    }

    fn of(event: &str, attribute: &str, input: &str) -> DeadLetter {
        DeadLetter {
            event: Some(event.to_owned()),
            attribute: Some(attribute.to_owned()),
            ..letter(input)
        }
    }

    #[tokio::test]
    async fn what_was_asked_for_again_or_refused_again_is_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.ndjson");
        assert_eq!(seen(&path), (Vec::new(), 0));
        let options = DeadLetterOptions {
            // Every write has a file of its own.
            rotate_size: ByteSize::kib(1),
            ..Default::default()
        };
        let letters = DeadLetterFile::new(&options, path.clone());
        let long = "x".repeat(900);
        let first = [of("e", "a", &long), of("e", "b", "2"), of("f", "c", "3")];
        letters.write(&first).await.unwrap();
        let mark = Replayed {
            time_ms: 1,
            instance: "example".to_owned(),
            event: "e".to_owned(),
            replayed: true,
        };
        letters.replayed(&[mark]).await.unwrap();
        letters.write(&[of("e", "a", "5")]).await.unwrap();
        letters.write(&[of("f", "c", "6")]).await.unwrap();
        letters.write(&[letter("{"), letter("{")]).await.unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"{}\n{\"half\""))
            .unwrap();
        let (found, none) = seen(&path);
        let standings: Vec<_> = found
            .iter()
            .map(|(input, standing)| (&**input, *standing))
            .collect();
        assert_eq!(
            standings,
            [
                (&*long, LetterStanding::Replayed),
                ("2", LetterStanding::Replayed),
                ("3", LetterStanding::Repeated),
                ("5", LetterStanding::Open),
                ("6", LetterStanding::Open),
                ("{", LetterStanding::Repeated),
                ("{", LetterStanding::Open),
            ]
        );
        assert_eq!(none, 1);
        assert!(
            std::fs::read_dir(folder.path()).unwrap().count() > 1,
            "it was renamed"
        );
    }
}
