//! Where what was refused is kept: NDJSON, readable by its owner only, because it
//! holds what MISP sent as it was sent.

use std::path::PathBuf;

use async_trait::async_trait;
use pipeline::{Class, Classify, DeadLetter, DeadLetters, OutputError};
use schemars::JsonSchema;
use serde::Deserialize;
use units::{ByteSize, Duration};

use crate::line_file::{Fsync, LineFile, LineFileError, Rotation, Settings};
use crate::lines::Lines;

/// Where refused records and documents are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterOptions {
    /// The NDJSON file, mode 0600. Default: `dead-letters.ndjson` in the state folder.
    pub path: Option<PathBuf>,
    /// Start a new file before this one grows past this size; the old one is renamed to
    /// `NAME-20260101T000000.000Z.EXT`. Default: 100MiB; 0 = never.
    pub rotate_size: ByteSize,
    /// How many renamed files to keep; older ones are deleted. Default: 0 = all.
    pub keep: u32,
}

impl Default for DeadLetterOptions {
    fn default() -> Self {
        Self {
            path: None,
            rotate_size: ByteSize::mib(100),
            keep: 0,
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

#[async_trait]
impl DeadLetters for DeadLetterFile {
    async fn write(&self, letters: &[DeadLetter]) -> Result<(), OutputError> {
        let mut lines = Lines::default();
        for letter in letters {
            lines
                .push(|line| serde_json::to_writer(line, letter))
                .map_err(|error| OutputError::new(Unwritable(error)))?;
        }
        self.file.append(lines).await.map_err(OutputError::new)
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
}
