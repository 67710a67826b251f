//! A body kept in memory, and in a temporary file when it is large.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// How much of a body is taken, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolLimits {
    /// A larger body is refused, bytes.
    pub total: u64,
    /// A larger body goes to a temporary file, bytes.
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

/// Bytes written to the temporary file at once.
const WRITE: usize = 256 << 10;

/// Takes a body piece by piece. Also a [`std::io::Write`], so that a decoder can write into it.
#[derive(Debug)]
pub struct Spool {
    limits: SpoolLimits,
    taken: u64,
    memory: Vec<u8>,
    file: Option<BufWriter<File>>,
}

impl Spool {
    /// An empty body.
    pub fn new(limits: SpoolLimits) -> Self {
        Self {
            limits,
            taken: 0,
            memory: Vec::new(),
            file: None,
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When the body grows over its limit or the temporary file fails.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        let taken = self.taken.saturating_add(piece.len() as u64);
        if taken > self.limits.total {
            return Err(SpoolError::TooLarge {
                limit: self.limits.total,
            });
        }
        match &mut self.file {
            Some(file) => file.write_all(piece)?,
            None if taken > self.limits.memory as u64 => {
                let file = temporary_file(self.limits.directory.as_deref())?;
                let mut file = BufWriter::with_capacity(WRITE, file);
                file.write_all(&std::mem::take(&mut self.memory))?;
                file.write_all(piece)?;
                self.file = Some(file);
            }
            None => self.memory.extend_from_slice(piece),
        }
        self.taken = taken;
        Ok(())
    }

    /// The body is complete.
    ///
    /// # Errors
    /// When the temporary file fails.
    pub fn finish(self) -> Result<Body, SpoolError> {
        let Some(file) = self.file else {
            return Ok(Body::from(self.memory));
        };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Body(Store::File(Arc::new(file), self.taken)))
    }
}

impl Write for Spool {
    /// Takes all of `piece`. An error carries the [`SpoolError`] as its source.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.push(piece).map_err(io::Error::other)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A whole body. A clone shares the bytes.
#[derive(Clone)]
pub struct Body(Store);

#[derive(Clone)]
enum Store {
    Memory(Bytes),
    File(Arc<File>, u64),
}

impl Body {
    /// Its length, bytes.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Store::Memory(bytes) => bytes.len() as u64,
            Store::File(_, len) => *len,
        }
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a range, at most `max` of them and none beyond the end: what to
    /// show of a part that could not be split.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn read_range(&self, range: Range<u64>, max: usize) -> io::Result<Vec<u8>> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        let wanted = usize::try_from(end - start).unwrap_or(usize::MAX);
        let mut bytes = vec![0; wanted.min(max)];
        self.read_at(start, &mut bytes)?;
        Ok(bytes)
    }

    /// All of it, if it is in memory.
    pub(crate) fn in_memory(&self) -> Option<&Bytes> {
        match &self.0 {
            Store::Memory(bytes) => Some(bytes),
            Store::File(..) => None,
        }
    }

    /// Fills `into` from `offset` on.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match &self.0 {
            Store::Memory(bytes) => {
                let part = usize::try_from(offset)
                    .ok()
                    .and_then(|start| bytes.get(start..)?.get(..into.len()))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                into.copy_from_slice(part);
                Ok(())
            }
            Store::File(file, _) => read_exact_at(file, offset, into),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn temporary_file(directory: Option<&Path>) -> io::Result<File> {
    match directory {
        Some(directory) => tempfile::tempfile_in(directory),
        None => tempfile::tempfile(),
    }
}

/// In wasm there is memory only.
#[cfg(target_family = "wasm")]
fn temporary_file(_: Option<&Path>) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_family = "wasm")]
fn read_exact_at(_: &File, _: u64, _: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, into: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, into, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into = into.get_mut(read..).unwrap_or_default();
        offset += read as u64;
    }
    Ok(())
}

impl From<Vec<u8>> for Body {
    fn from(memory: Vec<u8>) -> Self {
        Self(Store::Memory(memory.into()))
    }
}

impl From<Bytes> for Body {
    fn from(memory: Bytes) -> Self {
        Self(Store::Memory(memory))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.0 {
            Store::Memory(_) => "memory",
            Store::File(..) => "file",
        };
        f.debug_struct("Body")
            .field("in", &place)
            .field("len", &self.len())
            .finish()
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

    fn spool(limits: SpoolLimits, pieces: &[&[u8]]) -> Result<Body, SpoolError> {
        let mut spool = Spool::new(limits);
        for piece in pieces {
            spool.push(piece)?;
        }
        spool.finish()
    }

    #[test]
    fn a_body_at_the_memory_limit_stays_in_memory_and_one_over_it_does_not() {
        let body = spool(limits(100, 4), &[b"ab", b"cd"]).unwrap();
        assert!(body.in_memory().is_some());
        let body = spool(limits(100, 4), &[b"ab", b"cd", b"e"]).unwrap();
        assert!(body.in_memory().is_none());
        assert_eq!(body.len(), 5);
        assert_eq!(body.read_range(0..5, 100).unwrap(), b"abcde");
    }

    #[test]
    fn a_body_at_the_total_limit_is_taken_and_one_over_it_is_refused() {
        assert_eq!(spool(limits(4, 2), &[b"abcd"]).unwrap().len(), 4);
        let refused = spool(limits(4, 2), &[b"abcd", b"e"]);
        assert!(matches!(refused, Err(SpoolError::TooLarge { limit: 4 })));
    }

    #[test]
    fn a_range_is_cut_to_the_body_and_to_the_most_asked_for() {
        for memory in [0, 100] {
            let body = spool(limits(100, memory), &[b"abcdef"]).unwrap();
            assert_eq!(body.read_range(2..4, 100).unwrap(), b"cd");
            assert_eq!(body.read_range(4..90, 100).unwrap(), b"ef");
            assert_eq!(body.read_range(0..6, 3).unwrap(), b"abc");
            assert_eq!(body.read_range(9..12, 3).unwrap(), b"");
        }
    }

    #[test]
    fn it_can_be_written_into_and_says_why_not() {
        let mut spool = Spool::new(limits(3, 2));
        spool.write_all(b"abc").unwrap();
        let error = spool.write_all(b"d").unwrap_err();
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<SpoolError>());
        assert!(matches!(inner, Some(SpoolError::TooLarge { limit: 3 })));
        assert_eq!(spool.finish().unwrap().len(), 3);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let limits = SpoolLimits {
            directory: Some("/nowhere/at/all".into()),
            ..limits(100, 1)
        };
        assert!(matches!(
            spool(limits, &[b"abc"]),
            Err(SpoolError::Io { .. })
        ));
    }
}
