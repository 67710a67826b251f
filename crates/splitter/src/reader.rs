//! A body seen through a window that moves forward.

use std::fmt;
use std::io;

use bytes::Bytes;

use crate::spool::Body;

/// Bytes read from a file at once. Few in tests: every kind of token then crosses a border.
const WINDOW: usize = if cfg!(test) { 64 } else { 256 << 10 };

/// Where reading is in a body, and the bytes around it: all of a body in memory,
/// a part of one in a file.
pub(crate) struct Reader {
    body: Body,
    len: u64,
    window: Bytes,
    /// Offset of the window's first byte in the body.
    start: u64,
    /// The place in the window.
    at: usize,
    /// What is being copied out: from where in the window, after what was already passed.
    copying: Option<(usize, Vec<u8>)>,
}

impl Reader {
    pub(crate) fn new(body: Body) -> Self {
        let window = body.in_memory().cloned().unwrap_or_default();
        Self {
            len: body.len(),
            body,
            window,
            start: 0,
            at: 0,
            copying: None,
        }
    }

    /// Where reading is, counted from the start of the body.
    pub(crate) fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    /// What of the window is ahead.
    #[inline]
    pub(crate) fn ahead(&self) -> &[u8] {
        self.window.get(self.at..).unwrap_or_default()
    }

    /// Does the body end with the window?
    pub(crate) fn at_end(&self) -> bool {
        self.start + self.window.len() as u64 >= self.len
    }

    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.window.len());
    }

    /// Goes on elsewhere.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.copying = None;
        let inside = offset
            .checked_sub(self.start)
            .and_then(|at| usize::try_from(at).ok())
            .filter(|at| *at <= self.window.len());
        match inside {
            Some(at) => self.at = at,
            None => {
                self.window = Bytes::new();
                self.start = offset.min(self.len);
                self.at = 0;
            }
        }
    }

    /// Brings more of the body into the window; what is ahead stays. False at the body's end.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        if self.at_end() {
            return Ok(false);
        }
        if let Some((from, copied)) = &mut self.copying {
            copied.extend_from_slice(self.window.get(*from..self.at).unwrap_or_default());
            *from = 0;
        }
        let kept = self.window.len() - self.at;
        let left = self.len - self.start - self.window.len() as u64;
        // A token that does not fit is read in ever larger steps.
        let more = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(WINDOW.max(kept));
        let mut window = vec![0; kept + more];
        let (front, back) = window.split_at_mut(kept);
        front.copy_from_slice(self.ahead());
        self.body
            .read_at(self.start + self.window.len() as u64, back)?;
        self.start += self.at as u64;
        self.at = 0;
        self.window = window.into();
        Ok(true)
    }

    /// From here on what is passed is copied.
    pub(crate) fn copy_from_here(&mut self) {
        self.copying = Some((self.at, Vec::new()));
    }

    /// Appends what was passed since [`Self::copy_from_here`].
    pub(crate) fn copied(&mut self, into: &mut Vec<u8>) {
        if let Some((from, copied)) = self.copying.take() {
            into.extend_from_slice(&copied);
            into.extend_from_slice(self.window.get(from..self.at).unwrap_or_default());
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("body", &self.body)
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}
