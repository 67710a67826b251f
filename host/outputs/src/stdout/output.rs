//! Standard output as an [`Output`].

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pipeline::{Class, Classify, Delivery, Output, OutputError, Verdict};

use super::StdoutOptions;
use crate::lines::{Common, Lines, encode};

/// Why standard output could not take lines.
#[derive(Debug, thiserror::Error)]
pub enum StdoutError {
    /// The reader went away.
    #[error("what read the standard output has closed it: start it again, or set another output")]
    Closed,
    /// Anything else.
    #[error("standard output could not be written: {0}")]
    Io(#[source] io::Error),
    /// The writing task ended without an answer.
    #[error("writing to the standard output was interrupted: the batch comes again")]
    Interrupted,
}

impl Classify for StdoutError {
    fn class(&self) -> Class {
        match self {
            Self::Closed => Class::Permanent,
            Self::Io(_) | Self::Interrupted => Class::Transient { after: None },
        }
    }
}

impl From<io::Error> for StdoutError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// NDJSON on standard output. A batch is acknowledged when it is written and flushed:
/// it has then left this process, what reads it is responsible for it.
pub struct StdoutOutput {
    name: String,
    common: Common,
    stream: Arc<Mutex<LineStream>>,
}

impl StdoutOutput {
    /// Writes to this process's standard output.
    #[must_use]
    pub fn new(name: &str, options: &StdoutOptions) -> Self {
        Self::to(name, options, Box::new(Unbuffered))
    }

    /// Writes somewhere else, as if it were standard output.
    #[must_use]
    pub fn to(name: &str, options: &StdoutOptions, writer: Box<dyn Write + Send>) -> Self {
        let stream = LineStream {
            writer,
            rest: Vec::new(),
        };
        Self {
            name: name.to_owned(),
            common: options.common(),
            stream: Arc::new(Mutex::new(stream)),
        }
    }

    async fn append(&self, lines: Lines) -> Result<(), StdoutError> {
        let stream = Arc::clone(&self.stream);
        tokio::task::spawn_blocking(move || {
            stream
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(&lines)
        })
        .await
        .map_err(|_| StdoutError::Interrupted)?
    }
}

#[async_trait]
impl Output for StdoutOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        "standard output".to_owned()
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        let (lines, verdicts) = encode(batch, self.common);
        if !lines.is_empty() {
            self.append(lines).await.map_err(OutputError::new)?;
        }
        Ok(verdicts)
    }

    async fn check(&self) -> Result<(), OutputError> {
        self.append(Lines::default())
            .await
            .map_err(OutputError::new)
    }
}

/// Standard output without the buffer of the standard library: what it says it has
/// taken has left the process, so that a failed write knows where it stopped.
struct Unbuffered;

impl Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        File::from(io::stdout().as_fd().try_clone_to_owned()?).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that only ever holds whole lines, failures included.
struct LineStream {
    writer: Box<dyn Write + Send>,
    /// What a failed write left of a line that had begun: it goes out first, so that
    /// no reader sees half a line. Its batch comes again.
    rest: Vec<u8>,
}

impl LineStream {
    fn append(&mut self, lines: &Lines) -> Result<(), StdoutError> {
        let rest = std::mem::take(&mut self.rest);
        if let Err((written, error)) = write_counted(&mut self.writer, &rest) {
            self.rest = rest.get(written..).unwrap_or_default().to_vec();
            return Err(error.into());
        }
        if let Err((written, error)) = write_counted(&mut self.writer, lines.bytes()) {
            self.rest = unfinished(lines, written).to_vec();
            return Err(error.into());
        }
        self.writer.flush().map_err(StdoutError::from)
    }
}

/// What is missing of the line in which `written` bytes end.
fn unfinished(lines: &Lines, written: usize) -> &[u8] {
    let ends = lines.ends();
    let index = ends.partition_point(|&end| end < written);
    let end = ends.get(index).copied().unwrap_or(written);
    let at_boundary = written == 0 || end == written;
    if at_boundary {
        &[]
    } else {
        lines.bytes().get(written..end).unwrap_or_default()
    }
}

/// As `write_all`, but a failure says how much was written before it.
fn write_counted(writer: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match writer.write(rest) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}
