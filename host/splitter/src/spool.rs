//! A body kept in memory, and in a temporary file when it is large.

use std::path::PathBuf;

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
        source: std::io::Error,
    },
}

/// Takes a body piece by piece. Also a [`std::io::Write`], so that a decoder can write into it.
#[derive(Debug)]
pub struct Spool {
    limits: SpoolLimits,
    memory: Vec<u8>,
}

impl Spool {
    /// An empty body.
    pub fn new(limits: SpoolLimits) -> Self {
        Self {
            limits,
            memory: Vec::new(),
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When the body grows over its limit or the temporary file fails.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        if (self.memory.len() + piece.len()) as u64 > self.limits.total {
            return Err(SpoolError::TooLarge {
                limit: self.limits.total,
            });
        }
        self.memory.extend_from_slice(piece);
        Ok(())
    }

    /// The body is complete.
    ///
    /// # Errors
    /// When the temporary file fails.
    pub fn finish(self) -> Result<Body, SpoolError> {
        Ok(Body {
            memory: self.memory,
        })
    }
}

/// A whole body.
#[derive(Debug)]
pub struct Body {
    memory: Vec<u8>,
}

impl Body {
    /// Its length, bytes.
    pub fn len(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }
}

impl From<Vec<u8>> for Body {
    fn from(memory: Vec<u8>) -> Self {
        Self { memory }
    }
}
