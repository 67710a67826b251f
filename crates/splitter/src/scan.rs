//! Goes over JSON without building anything of it, and checks it on the way.

use std::io;
use std::ops::Range;

use crate::name::Name;
use crate::reader::Reader;
use crate::record::SplitLimits;
use crate::token::{self, End};
use crate::walk::{Expect, TOO_DEEP, is_space, walk};

/// Why scanning stopped.
#[derive(Debug)]
pub(crate) enum Fault {
    Malformed {
        offset: u64,
        what: &'static str,
    },
    TooMany {
        offset: u64,
        what: &'static str,
        limit: u64,
    },
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A part of the body that is left out of its event.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    pub(crate) span: Range<u64>,
    pub(crate) offset: u64,
    pub(crate) what: &'static str,
}

/// A member of an object: its key was read, its value is next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) name: Name,
    /// Where its key starts.
    pub(crate) start: u64,
}

const TRUNCATED: &str = "it ends in the middle of a value";
const TOO_LARGE: &str = "it is larger than a record may be";

/// A place in a body, and how deep it is.
#[derive(Debug)]
pub(crate) struct Scanner {
    pub(crate) reader: Reader,
    depth: u32,
    limits: SplitLimits,
    /// What was left out, of the events that are being read.
    pub(crate) unreadable: Vec<Unreadable>,
    /// How much was left out since [`Self::begin`].
    left_out: u32,
    /// The open containers of a value being passed over: is it an object?
    open: Vec<bool>,
    key: Vec<u8>,
}

impl Scanner {
    pub(crate) fn new(reader: Reader, limits: SplitLimits) -> Self {
        Self {
            reader,
            depth: 0,
            limits,
            unreadable: Vec::new(),
            left_out: 0,
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
        if self.depth > self.limits.depth {
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
                // One byte more than the longest name shows that it is not one of them.
                let room = (Name::LONGEST + 1).saturating_sub(self.key.len());
                self.key
                    .extend_from_slice(ahead.get(..end.min(room)).unwrap_or_default());
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
        let room = self.limits.depth.saturating_sub(self.depth) as usize;
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

    /// Passes over the entry that is next with `read`. What of it cannot be read is noted and
    /// passed over as a whole, if it is clear where it ends: then `None`. `from` is where the entry
    /// begins in its list.
    pub(crate) fn entry<T>(
        &mut self,
        from: Option<u64>,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.entry_or_list(from, read, |_| false)
    }

    /// The same where a list of entries may be next: one that `is_list` says so of may be of any
    /// length.
    pub(crate) fn entry_or_list<T>(
        &mut self,
        from: Option<u64>,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
        is_list: impl FnOnce(&T) -> bool,
    ) -> Result<Option<T>, Fault> {
        self.peek()?;
        let (start, depth, known) = (self.offset(), self.depth, self.unreadable.len());
        let (end, offset, what) = match read(self) {
            Ok(found)
                if self.readable(start, known) <= self.limits.record as u64 || is_list(&found) =>
            {
                return Ok(Some(found));
            }
            Ok(_) => (self.offset(), start, TOO_LARGE),
            Err(Fault::Malformed { offset, what }) if what != TRUNCATED => {
                self.reader.seek(start);
                self.depth = depth;
                let ends = self.pass_unread()?;
                let end = self.offset();
                if !ends || !matches!(self.peek()?, Some(b',' | b']' | b'}')) {
                    return Err(Fault::Malformed { offset, what });
                }
                (end, offset, what)
            }
            Err(fault) => return Err(fault),
        };
        self.unreadable.truncate(known);
        self.unreadable.push(Unreadable {
            span: from.unwrap_or(start)..end,
            offset,
            what,
        });
        self.count_unreadable()?;
        Ok(None)
    }

    /// The bytes from `start` to here without what is left out of them.
    fn readable(&self, start: u64, known: usize) -> u64 {
        let left_out = self.unreadable.iter().skip(known);
        let left_out: u64 = left_out.map(|part| part.span.end - part.span.start).sum();
        (self.offset() - start).saturating_sub(left_out)
    }

    /// Counts what is left out from here.
    pub(crate) fn begin(&mut self) {
        self.left_out = 0;
        self.unreadable.clear();
    }

    /// One part more of the body cannot be read.
    pub(crate) fn count_unreadable(&mut self) -> Result<(), Fault> {
        self.left_out += 1;
        if self.left_out > self.limits.unreadable {
            return Err(Fault::TooMany {
                offset: self.offset(),
                what: "parts that cannot be read",
                limit: self.limits.unreadable.into(),
            });
        }
        Ok(())
    }

    /// Passes over an object, a list or a string that is not valid, by its brackets and quotes
    /// alone; false if it has no end before the body's, or before a line that begins as a value.
    fn pass_unread(&mut self) -> Result<bool, Fault> {
        let (mut depth, mut in_string, mut escaped) = (0_u64, false, false);
        let mut before = 0;
        loop {
            for (at, byte) in self.reader.ahead().iter().enumerate() {
                if before == b'\n' && matches!(byte, b'{' | b'[') {
                    return Ok(false);
                }
                before = *byte;
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
                    _ => {}
                }
                let is_end = matches!(byte, b'"' | b'}' | b']') && !in_string && !escaped;
                if is_end && depth == 0 {
                    self.reader.advance(at + 1);
                    return Ok(true);
                }
            }
            let passed = self.reader.ahead().len();
            self.reader.advance(passed);
            if !self.reader.fill()? {
                return Ok(false);
            }
        }
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
