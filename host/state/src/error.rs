//! Why the state could not be opened, read or written.

use std::io;
use std::path::PathBuf;

use pipeline::{Class, Classify};

/// Why the state could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or a file in it cannot be made or opened.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as "could not ..".
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder is another user's.
    #[error(
        "the folder {} belongs to the user {owner} and this process runs as {user}: run it as that \
         user, change the owner, or give this host its own folder (--state)",
        folder.display()
    )]
    OtherOwner {
        /// The folder.
        folder: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// This process's user.
        user: u32,
    },
    /// Everybody can put files into the folder.
    #[error(
        "every user can write to the folder {}, which belongs to root: use a folder below it, such \
         as {}/misp-ecs (--state)",
        folder.display(),
        folder.display()
    )]
    WritableByAll {
        /// The folder.
        folder: PathBuf,
    },
    /// Another host has this state.
    #[error(
        "the state in {} is held by {}: stop it, or give this host its own folder (--state)",
        folder.display(),
        holder(*pid)
    )]
    Held {
        /// The state folder.
        folder: PathBuf,
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
    },
    /// The database is no database, cut short, or altered.
    #[error(
        "the state {} is damaged ({reason}); it was left as it is: put a copy in its place, or \
         move it away to start without state (everything is polled again)",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer version of this program wrote it.
    #[error(
        "the state {} has schema {found}, this program knows up to {known}: use the newer \
         program, or give this one its own folder (--state)",
        path.display()
    )]
    FromTheFuture {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: u64,
        /// The newest this program knows.
        known: u64,
    },
    /// The database could not be read or written.
    #[error("the state {} could not be used: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: redb::Error,
    },
    /// Write versions have come to the end of their numbers.
    #[error("no write version is left after {last}: move the state {} away", path.display())]
    VersionsUsedUp {
        /// The database.
        path: PathBuf,
        /// The last one.
        last: u64,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

impl Classify for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::OtherOwner { .. }
            | Self::WritableByAll { .. }
            | Self::Held { .. }
            | Self::Damaged { .. }
            | Self::FromTheFuture { .. }
            | Self::VersionsUsedUp { .. } => Class::Fatal,
            Self::Io { .. } | Self::Database { .. } => Class::Transient { after: None },
        }
    }
}

/// No place for the state could be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// Nothing names a folder.
    #[error("nowhere to keep the state: set --state, state.path or the variable HOME")]
    Nowhere,
}

/// Why work inside the database failed, before its path is known.
#[derive(Debug)]
pub(crate) enum Trouble {
    Damaged(String),
    FromTheFuture { found: u64, known: u64 },
    Database(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::Corrupted(reason) => Self::Damaged(reason),
            redb::Error::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Damaged(error.to_string())
            }
            other => Self::Database(other),
        }
    }
}

impl Trouble {
    pub(crate) fn at(self, path: &std::path::Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Damaged(reason) => StoreError::Damaged { path, reason },
            Self::FromTheFuture { found, known } => {
                StoreError::FromTheFuture { path, found, known }
            }
            Self::Database(source) => StoreError::Database { path, source },
        }
    }
}

/// Adds what was tried, and where, to what the system said.
pub(crate) trait IoContext<T> {
    fn context(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Io {
            doing,
            path: path.into(),
            source,
        })
    }
}
