//! Request tracing: one JSON line a request, for a person who wonders what was asked.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::error::OptionsError;

/// An open trace file. The key and cookies are never written; bodies of requests are, bodies of
/// answers are not.
#[derive(Debug, Clone)]
pub(crate) struct Tracer {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl Tracer {
    pub(crate) fn open(path: &Path) -> Result<Self, OptionsError> {
        let file = append(path).map_err(|source| OptionsError::Trace {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(Mutex::new(file)),
        })
    }

    /// Writes what was asked and what came of it. A trace that cannot be written stops nothing.
    pub(crate) fn write(&self, asked: &Value, came: &Value) {
        let line = format!("{}\n", json!({"request": asked, "answer": came}));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(path = %self.path.display(), %error, "request trace not written");
        }
    }
}

/// Not for others to read: what is searched for is nobody else's business.
fn append(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
