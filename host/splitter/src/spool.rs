//! A body kept in memory, and in a temporary file when it is large.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// How much of a body is taken, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolLimits {
    /// A larger body is refused, bytes.
    pub total: u64,
    /// A larger body goes to a temporary file, bytes. An ordinary page never does.
    pub memory: usize,
    /// Where the temporary file is made; `None` for the system's place.
    pub directory: Option<PathBuf>,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self {
            total: 4 << 30,
            memory: 16 << 20,
            directory: None,
        }
    }
}

/// A body that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Larger than allowed.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit it passed, bytes.
        limit: u64,
    },
    /// The temporary file failed.
    #[error("the temporary file could not be used: {source}")]
    Io {
        /// What the system said.
        #[from]
        source: io::Error,
    },
}

/// Takes a body piece by piece. Also a [`Write`], so that a decoder can write into
/// it: a [`SpoolError`] is then the inner error of the [`io::Error`].
#[derive(Debug)]
pub struct Spool {
    limits: SpoolLimits,
    memory: Vec<u8>,
    file: Option<File>,
    length: u64,
}

impl Spool {
    /// An empty body.
    pub fn new(limits: SpoolLimits) -> Self {
        Self {
            limits,
            memory: Vec::new(),
            file: None,
            length: 0,
        }
    }

    /// How much was taken, bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Was nothing taken yet?
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When the body grows over its limit or the temporary file fails.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        let length = self.length.saturating_add(piece.len() as u64);
        if length > self.limits.total {
            return Err(SpoolError::TooLarge {
                limit: self.limits.total,
            });
        }
        if self.file.is_none() && length > self.limits.memory as u64 {
            // Without a name: it is gone with the process, however that ends.
            let mut file = match &self.limits.directory {
                Some(directory) => tempfile::tempfile_in(directory)?,
                None => tempfile::tempfile()?,
            };
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(piece)?,
            None => self.memory.extend_from_slice(piece),
        }
        self.length = length;
        Ok(())
    }

    /// The body is complete.
    pub fn finish(self) -> Body {
        match self.file {
            None => Body(Store::Memory(self.memory)),
            Some(file) => Body(Store::File {
                file,
                length: self.length,
            }),
        }
    }
}

impl Write for Spool {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.push(piece).map_err(io::Error::other)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A whole body.
#[derive(Debug)]
pub struct Body(Store);

#[derive(Debug)]
enum Store {
    Memory(Vec<u8>),
    File { file: File, length: u64 },
}

impl Body {
    /// Its length, bytes.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Store::Memory(bytes) => bytes.len() as u64,
            Store::File { length, .. } => *length,
        }
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is it in a temporary file?
    pub fn is_spooled(&self) -> bool {
        matches!(self.0, Store::File { .. })
    }

    /// Up to `most` bytes from `offset`: to show what was wrong, or in what.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn read_range(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let length = self.len().saturating_sub(offset).min(most as u64);
        let mut bytes = Vec::new();
        self.append(offset, offset + length, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of a body in memory.
    pub(crate) fn memory(&self) -> Option<&[u8]> {
        match &self.0 {
            Store::Memory(bytes) => Some(bytes),
            Store::File { .. } => None,
        }
    }

    /// Appends the bytes from `start` to `end`.
    pub(crate) fn append(&self, start: u64, end: u64, to: &mut Vec<u8>) -> io::Result<()> {
        match &self.0 {
            Store::Memory(bytes) => {
                let range = usize::try_from(start)
                    .ok()
                    .zip(usize::try_from(end).ok())
                    .and_then(|(start, end)| bytes.get(start..end))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                to.extend_from_slice(range);
            }
            Store::File { file, .. } => {
                let before = to.len();
                let length = usize::try_from(end.saturating_sub(start))
                    .map_err(|_| io::ErrorKind::UnexpectedEof)?;
                to.resize(before + length, 0);
                if let Some(target) = to.get_mut(before..) {
                    file.read_exact_at(target, start)?;
                }
            }
        }
        Ok(())
    }

    /// Fills the window with what stands at `offset`; returns how much.
    pub(crate) fn read_at(&self, offset: u64, window: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Store::Memory(bytes) => {
                let rest = usize::try_from(offset)
                    .ok()
                    .and_then(|offset| bytes.get(offset..))
                    .unwrap_or_default();
                let length = rest.len().min(window.len());
                if let (Some(to), Some(from)) = (window.get_mut(..length), rest.get(..length)) {
                    to.copy_from_slice(from);
                }
                Ok(length)
            }
            Store::File { file, .. } => loop {
                match file.read_at(window, offset) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result,
                }
            },
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Store::Memory(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(total: u64, memory: usize) -> SpoolLimits {
        SpoolLimits {
            total,
            memory,
            directory: None,
        }
    }

    #[test]
    fn a_large_body_goes_to_a_file_and_reads_the_same() {
        let mut spool = Spool::new(limits(1 << 20, 10));
        for piece in [&b"0123456789"[..], b"abc", b"defgh"] {
            spool.write_all(piece).unwrap();
        }
        let body = spool.finish();
        assert!(body.is_spooled());
        assert_eq!(body.len(), 18);
        assert_eq!(body.read_range(8, 4).unwrap(), b"89ab");
        assert_eq!(body.read_range(16, 99).unwrap(), b"gh");
        assert_eq!(body.read_range(99, 9).unwrap(), b"");
    }

    #[test]
    fn the_limit_holds_to_the_byte() {
        let mut spool = Spool::new(limits(4, 100));
        spool.push(b"1234").unwrap();
        let error = spool.push(b"5").unwrap_err();
        assert!(matches!(error, SpoolError::TooLarge { limit: 4 }));
        assert_eq!(spool.finish().len(), 4);
    }
}
