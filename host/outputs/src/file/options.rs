//! What the configuration says of a file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use units::{ByteSize, Duration};

use crate::line_file::{FileMode, Fsync, Rotation, Settings};
use crate::lines::Common;

/// NDJSON in a file: one document a line, appended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOptions {
    /// The file. It and its folders are made if they are missing. One program writes a
    /// file at a time.
    pub path: PathBuf,
    /// Start a new file before this one grows past this size; the old one is renamed to
    /// `NAME-20260101T000000.000Z.EXT`. Default: 100MiB; 0 = never by size.
    #[serde(default = "default_rotate_size")]
    pub rotate_size: ByteSize,
    /// Start a new file with the first document after this time. Default: 24h; 0 = never
    /// by age.
    #[serde(default = "default_rotate_age")]
    pub rotate_age: Duration,
    /// How many renamed files to keep; older ones are deleted. Default: 0 = all.
    #[serde(default)]
    pub keep: u32,
    /// When the file is forced to the disk. Default: batch.
    #[serde(default)]
    pub fsync: Fsync,
    /// The mode of new files, also after a rotation, in octal digits and quotes: `"0640"` lets the
    /// group read them. Existing files keep theirs. Default: `"0600"`, only the owner.
    #[serde(default)]
    pub mode: Option<FileMode>,
    /// Given, this output is optional: when it has failed for so long, the others go on without
    /// it, and it gets what it missed, by a walk of its own, when it answers again. Default: the
    /// output is required, every page waits for it.
    #[serde(default)]
    pub optional_after: Option<Duration>,
    /// Write deletes as lines `{"misp_ecs":{"id","operation":"delete","version"}}`.
    /// Default: false, deletes are left out.
    #[serde(default)]
    pub deletes: bool,
    /// Add `misp_ecs.{id,operation,version,mapping,digest}` to every document. Default: false.
    #[serde(default)]
    pub envelope_field: bool,
}

fn default_rotate_size() -> ByteSize {
    ByteSize::mib(100)
}

fn default_rotate_age() -> Duration {
    Duration::from_hours(24)
}

impl FileOptions {
    /// This file with every other setting at its default.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            rotate_size: default_rotate_size(),
            rotate_age: default_rotate_age(),
            keep: 0,
            fsync: Fsync::default(),
            mode: None,
            optional_after: None,
            deletes: false,
            envelope_field: false,
        }
    }

    pub(crate) fn common(&self) -> Common {
        Common {
            deletes: self.deletes,
            envelope_field: self.envelope_field,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            path: self.path.clone(),
            rotation: Rotation {
                size: self.rotate_size,
                age: self.rotate_age,
                keep: self.keep,
            },
            fsync: self.fsync,
            mode: self.mode.unwrap_or(FileMode::OWNER),
            private: false,
        }
    }
}
