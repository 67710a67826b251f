//! Request tracing: one JSON line a request, for a person who wonders what was asked.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::error::OptionsError;

/// Where request tracing goes. The key and cookies are never in it; bodies of requests are,
/// bodies of answers are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trace {
    /// To the log, at debug level.
    Log,
    /// To this file, one JSON object a line, appended.
    File(PathBuf),
}

/// An open [`Trace`].
#[derive(Debug, Clone)]
pub(crate) enum Tracer {
    Log,
    File(PathBuf, Arc<Mutex<File>>),
}

impl Tracer {
    pub(crate) fn open(trace: &Trace) -> Result<Self, OptionsError> {
        match trace {
            Trace::Log => Ok(Self::Log),
            Trace::File(path) => match open(path) {
                Ok(file) => Ok(Self::File(path.clone(), Arc::new(Mutex::new(file)))),
                Err(source) => Err(OptionsError::File {
                    path: path.clone(),
                    source,
                }),
            },
        }
    }

    /// Writes what was asked and what came of it.
    pub(crate) fn write(&self, asked: &Value, came: &Value) {
        match self {
            Self::Log => tracing::debug!(%asked, %came, "request"),
            Self::File(path, file) => {
                let line = format!("{}\n", json!({"request": asked, "answer": came}));
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = file.write_all(line.as_bytes()) {
                    tracing::warn!(path = %path.display(), %error, "request trace not written");
                }
            }
        }
    }
}

/// Not for others to read: what is searched for is nobody else's business.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
