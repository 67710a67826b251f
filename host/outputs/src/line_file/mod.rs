//! A file of lines that survives crashes, full disks and rotation: what the `file`
//! output and the dead letters are made of.

mod error;
mod repair;
mod rotation;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lines::Lines;
pub use error::LineFileError;
pub(crate) use rotation::{Rotation, files};
use writer::Writer;

/// When a file is forced to the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// Never by us: what is acknowledged survives this process, but not a power cut.
    Never,
    /// Before a batch is acknowledged: it survives a power cut.
    #[default]
    Batch,
}

/// The mode of a file, as `chmod` takes it in octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct FileMode(u32);

impl FileMode {
    /// Readable and writable by its owner only.
    pub const OWNER: Self = Self(0o600);

    pub(crate) fn bits(self) -> u32 {
        self.0
    }
}

/// A text that is no mode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a file mode: give three or four octal digits in quotes, with read and write for the \
     owner, such as \"0640\""
)]
pub struct FileModeError;

impl TryFrom<String> for FileMode {
    type Error = FileModeError;

    fn try_from(text: String) -> Result<Self, FileModeError> {
        let digits = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| byte.is_ascii_digit());
        let mode = u32::from_str_radix(&text, 8).map_err(|_| FileModeError)?;
        match digits && mode & 0o600 == 0o600 && mode <= 0o777 {
            true => Ok(Self(mode)),
            false => Err(FileModeError),
        }
    }
}

/// What a file of lines is told.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) rotation: Rotation,
    pub(crate) fsync: Fsync,
    /// The mode of a new file.
    pub(crate) mode: FileMode,
    /// Nobody else may read it: an existing file gets mode 0600.
    pub(crate) private: bool,
}

/// A file of whole lines with one writer. The disk is waited for on blocking threads.
pub(crate) struct LineFile {
    path: PathBuf,
    writer: Arc<Mutex<Writer>>,
}

impl LineFile {
    /// Touches nothing yet.
    pub(crate) fn new(settings: Settings) -> Self {
        Self::with(Writer::new(settings))
    }

    fn with(writer: Writer) -> Self {
        Self {
            path: writer.path().to_owned(),
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    /// Creates, locks and repairs the file now. Blocks.
    pub(crate) fn open(&self) -> Result<(), LineFileError> {
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open()
    }

    /// Appends the lines, all or (as far as the disk lets us take them back) none.
    pub(crate) async fn append(&self, lines: Lines) -> Result<(), LineFileError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.blocking(move |writer| writer.append(&lines)).await
    }

    /// Could lines be appended now? Whether another program holds the file is only
    /// found when it is opened: a running host would fail every check else.
    pub(crate) async fn check(&self) -> Result<(), LineFileError> {
        self.blocking(|writer| writer.check()).await
    }

    async fn blocking(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<(), LineFileError> + Send + 'static,
    ) -> Result<(), LineFileError> {
        let writer = Arc::clone(&self.writer);
        let task = tokio::task::spawn_blocking(move || {
            work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner))
        });
        task.await.map_err(|_| LineFileError::Interrupted {
            path: self.path.clone(),
        })?
    }
}
