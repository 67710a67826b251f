//! Why a file of lines could not take a batch.

use std::io;
use std::path::PathBuf;

use pipeline::{Class, Classify};

/// Why a file of lines could not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum LineFileError {
    /// The path is a folder, a device or a pipe.
    #[error("{} is not a regular file: set another path", path.display())]
    NotAFile {
        /// The path of the configuration.
        path: PathBuf,
    },
    /// Another program, or another output of this one, has the file.
    #[error(
        "another program or output writes {}: stop it, or give each its own path",
        path.display()
    )]
    Locked {
        /// The path of the configuration.
        path: PathBuf,
    },
    /// The last line was not written by an output of lines.
    #[error(
        "{} does not end like a file of json lines (byte {offset} begins neither an object nor \
         a new line); it was left as it is: set another path, or move the file away",
        path.display()
    )]
    NotLines {
        /// The path of the configuration.
        path: PathBuf,
        /// Where the last line begins.
        offset: u64,
    },
    /// The system refused something.
    #[error("{doing} {}: {source}{}", path.display(), advice(source.kind()))]
    Io {
        /// What was tried, as "could not ..".
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The writing task ended without an answer.
    #[error("writing {} was interrupted: the batch comes again", path.display())]
    Interrupted {
        /// The path of the configuration.
        path: PathBuf,
    },
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space: writing goes on by itself then"
        }
        io::ErrorKind::PermissionDenied => "; give this user the right to write there",
        io::ErrorKind::ReadOnlyFilesystem => "; mount it writable, or set another path",
        _ => "",
    }
}

impl Classify for LineFileError {
    fn class(&self) -> Class {
        match self {
            Self::NotAFile { .. } | Self::Locked { .. } | Self::NotLines { .. } => Class::Fatal,
            Self::Io { .. } | Self::Interrupted { .. } => Class::Transient { after: None },
        }
    }
}

/// Adds what was tried, and where, to what the system said.
pub(crate) trait IoContext<T> {
    fn context(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, LineFileError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, LineFileError> {
        self.map_err(|source| LineFileError::Io {
            doing,
            path: path.into(),
            source,
        })
    }
}
