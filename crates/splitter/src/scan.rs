//! Goes over JSON without building anything of it, and checks it on the way.

use std::io;
use std::ops::Range;

use crate::name::Name;
use crate::reader::Reader;
use crate::token::{self, End};
use crate::walk::{Expect, TOO_DEEP, is_space, walk};

/// Why scanning stopped.
#[derive(Debug)]
pub(crate) enum Fault {
    Malformed { offset: u64, what: &'static str },
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A member of an object: its key was read, its value is next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) name: Name,
    /// Where its key starts.
    pub(crate) start: u64,
}

const TRUNCATED: &str = "it ends in the middle of a value";

/// A place in a body, and how deep it is.
#[derive(Debug)]
pub(crate) struct Scanner {
    pub(crate) reader: Reader,
    depth: u32,
    limit: u32,
    /// The open containers of a value being passed over: is it an object?
    open: Vec<bool>,
    key: Vec<u8>,
}

impl Scanner {
    pub(crate) fn new(reader: Reader, limit: u32) -> Self {
        Self {
            reader,
            depth: 0,
            limit,
            open: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Goes on elsewhere, at the top level.
    pub(crate) fn go_to(&mut self, offset: u64) {
        self.reader.seek(offset);
        self.depth = 0;
    }

    pub(crate) fn offset(&self) -> u64 {
        self.reader.offset()
    }

    fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault::Malformed {
            offset: self.offset(),
            what,
        })
    }

    /// The next byte that is no white space; `None` at the end of the body.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            let ahead = self.reader.ahead();
            let spaces = ahead.iter().take_while(|b| is_space(**b)).count();
            let next = ahead.get(spaces).copied();
            self.reader.advance(spaces);
            if next.is_some() || !self.reader.fill()? {
                return Ok(next);
            }
        }
    }

    fn next_is(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        match self.peek()? {
            Some(found) if found == byte => {
                self.reader.advance(1);
                Ok(())
            }
            Some(_) => self.fault(what),
            None => self.fault(TRUNCATED),
        }
    }

    /// Steps into the object or list that is next.
    pub(crate) fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > self.limit {
            return self.fault(TOO_DEEP);
        }
        if self.peek()?.is_none() {
            return self.fault(TRUNCATED);
        }
        self.reader.advance(1);
        Ok(())
    }

    /// Steps to the next element of the list that was entered, or out of it.
    pub(crate) fn element(&mut self, first: bool) -> Result<bool, Fault> {
        match self.peek()? {
            Some(b']') => {
                self.reader.advance(1);
                self.depth = self.depth.saturating_sub(1);
                Ok(false)
            }
            Some(b',') if !first => {
                self.reader.advance(1);
                Ok(true)
            }
            Some(_) if first => Ok(true),
            Some(_) => self.fault("expected `,` or `]`"),
            None => self.fault(TRUNCATED),
        }
    }

    /// Steps to the value of the next member of the object that was entered, or out of it.
    pub(crate) fn member(&mut self, first: bool) -> Result<Option<Member>, Fault> {
        match self.peek()? {
            Some(b'}') => {
                self.reader.advance(1);
                self.depth = self.depth.saturating_sub(1);
                return Ok(None);
            }
            Some(b',') if !first => self.reader.advance(1),
            Some(_) if first => {}
            Some(_) => return self.fault("expected `,` or `}`"),
            None => return self.fault(TRUNCATED),
        }
        match self.peek()? {
            Some(b'"') => {}
            Some(_) => return self.fault("expected a key"),
            None => return self.fault(TRUNCATED),
        }
        let start = self.offset();
        self.read_key()?;
        let name = Name::of(&self.key);
        self.next_is(b':', "expected `:`")?;
        Ok(Some(Member { name, start }))
    }

    fn read_key(&mut self) -> Result<(), Fault> {
        self.key.clear();
        let mut from = 1;
        loop {
            let ahead = self.reader.ahead();
            let end = token::string(ahead, from);
            if let End::At(end) | End::More(end) = end {
                self.key
                    .extend_from_slice(ahead.get(..end).unwrap_or_default());
            }
            match end {
                End::At(end) => {
                    self.reader.advance(end);
                    return Ok(());
                }
                End::More(safe) => {
                    self.reader.advance(safe);
                    from = 0;
                    if !self.reader.fill()? {
                        return self.fault(TRUNCATED);
                    }
                }
                End::Bad(at, what) => {
                    self.reader.advance(at);
                    return self.fault(what);
                }
            }
        }
    }

    /// Passes over the value that is next, whatever it is; says where it was.
    pub(crate) fn value(&mut self) -> Result<Range<u64>, Fault> {
        let first = self.peek()?;
        let start = self.offset();
        if first.is_none() {
            return self.fault(TRUNCATED);
        }
        self.open.clear();
        let room = (self.limit - self.depth.min(self.limit)) as usize;
        let mut expect = Expect::Value;
        loop {
            let at_end = self.reader.at_end();
            match walk(
                self.reader.ahead(),
                at_end,
                &mut expect,
                &mut self.open,
                room,
            ) {
                End::At(end) => {
                    self.reader.advance(end);
                    return Ok(start..self.offset());
                }
                End::More(safe) => {
                    self.reader.advance(safe);
                    if !self.reader.fill()? {
                        return self.fault(TRUNCATED);
                    }
                }
                End::Bad(at, what) => {
                    self.reader.advance(at);
                    return self.fault(what);
                }
            }
        }
    }

    /// Passes over the value that is next and copies it.
    pub(crate) fn copy_value(&mut self, into: &mut Vec<u8>) -> Result<(), Fault> {
        self.peek()?;
        self.reader.copy_from_here();
        self.value()?;
        self.reader.copied(into);
        Ok(())
    }

    /// Appends the bytes of a range and stands behind it.
    pub(crate) fn copy_range(
        &mut self,
        range: &Range<u64>,
        into: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        self.reader.seek(range.start);
        self.reader.copy_from_here();
        while self.offset() < range.end {
            let left = usize::try_from(range.end - self.offset()).unwrap_or(usize::MAX);
            let here = self.reader.ahead().len().min(left);
            self.reader.advance(here);
            if here == 0 && !self.reader.fill()? {
                return self.fault(TRUNCATED);
            }
        }
        self.reader.copied(into);
        Ok(())
    }
}
