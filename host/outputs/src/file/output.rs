//! A file as an [`Output`].

use std::path::PathBuf;

use async_trait::async_trait;
use pipeline::{Delivery, Output, OutputError, Verdict};

use super::FileOptions;
use crate::line_file::LineFile;
use crate::lines::{Common, encode};

/// NDJSON in a file. A batch is acknowledged when its lines are written and, unless
/// `fsync: never`, forced to the disk.
pub struct FileOutput {
    name: String,
    /// Absolute, so that the same path is another target in another working folder.
    target: PathBuf,
    common: Common,
    file: LineFile,
}

impl FileOutput {
    /// Touches nothing yet: the file is opened with the first batch.
    #[must_use]
    pub fn new(name: &str, options: &FileOptions) -> Self {
        Self {
            name: name.to_owned(),
            target: std::path::absolute(&options.path).unwrap_or_else(|_| options.path.clone()),
            common: options.common(),
            file: LineFile::new(options.settings()),
        }
    }

    /// Creates, locks and repairs the file now. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be written or another program writes it.
    pub fn open(name: &str, options: &FileOptions) -> Result<Self, OutputError> {
        let output = Self::new(name, options);
        output.file.open().map_err(OutputError::new)?;
        Ok(output)
    }
}

#[async_trait]
impl Output for FileOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        self.target.display().to_string()
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        let (lines, verdicts) = encode(batch, self.common);
        self.file.append(lines).await.map_err(OutputError::new)?;
        Ok(verdicts)
    }

    async fn check(&self) -> Result<(), OutputError> {
        self.file.check().await.map_err(OutputError::new)
    }
}
