//! Records: one event, or a slice of a big one.

use bytes::Bytes;

use crate::spool::Body;

/// How an event is cut, and what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitLimits {
    /// Attributes in one slice, object attributes included.
    pub attributes: u32,
    /// Bytes in one slice.
    pub bytes: usize,
    /// Head bytes times attributes in one slice: what a mapping that repeats the head writes.
    pub head_times_attributes: usize,
    /// How deep JSON may nest.
    pub depth: u32,
}

impl Default for SplitLimits {
    fn default() -> Self {
        Self {
            attributes: 1_000,
            bytes: 4 << 20,
            head_times_attributes: 32 << 20,
            depth: 100,
        }
    }
}

/// What is known of an event before it is mapped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventHead {
    /// The event's uuid; empty if there is none.
    pub uuid: String,
    /// The event's id; empty if there is none.
    pub id: String,
    /// `timestamp`, UNIX seconds.
    pub timestamp: Option<i64>,
    /// `publish_timestamp`, UNIX seconds.
    pub publish_timestamp: Option<i64>,
}

/// One event, a slice of one, or one loose attribute, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The JSON object, as a mapping takes it.
    pub json: Bytes,
    /// The event it belongs to.
    pub head: EventHead,
    /// Attributes in it, object attributes included.
    pub attributes: u32,
    /// Is it the last slice of its event?
    pub last: bool,
}

/// An answer, or a part of it, that could not be split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// Not the JSON it should be.
    #[error("not valid JSON at byte {offset}: {what}")]
    Malformed {
        /// Where, counted from the start of the body.
        offset: u64,
        /// What was expected or found.
        what: &'static str,
        /// What was skipped because of it, bytes from `offset` of the value's start.
        skipped: std::ops::Range<u64>,
    },
    /// Valid JSON, but neither a page, an event nor an attribute.
    #[error("neither a page, an event nor an attribute at byte {offset}")]
    NotARecord {
        /// Where, counted from the start of the body.
        offset: u64,
        /// The value that was skipped.
        skipped: std::ops::Range<u64>,
    },
    /// The spooled body could not be read back.
    #[error("the spooled body could not be read: {source}")]
    Io {
        /// What the system said.
        #[from]
        source: std::io::Error,
    },
}

/// The records of a body, in order. Reads the body as it goes; nothing of it stays in memory.
#[derive(Debug)]
pub struct Records {
    _body: Body,
    _limits: SplitLimits,
    heads: Vec<EventHead>,
}

impl Records {
    /// Reads one answer of MISP: exactly one JSON value, a page. Looks at all of it
    /// once, so that a truncated or unparsable answer is an error here and not
    /// after half of its records.
    ///
    /// # Errors
    /// When the body is not one whole JSON page.
    pub fn from_answer(body: Body, limits: SplitLimits) -> Result<Self, SplitError> {
        Ok(Self {
            _body: body,
            _limits: limits,
            heads: Vec::new(),
        })
    }

    /// Reads whatever a person has: any number of JSON values one after another,
    /// pretty-printed or one a line. A bad one is an error in the sequence and
    /// costs itself only.
    ///
    /// # Errors
    /// When the body cannot be read.
    pub fn from_input(body: Body, limits: SplitLimits) -> Result<Self, SplitError> {
        Ok(Self {
            _body: body,
            _limits: limits,
            heads: Vec::new(),
        })
    }

    /// The heads of the page's events (or of its loose attributes), in order.
    pub fn heads(&self) -> &[EventHead] {
        &self.heads
    }

    /// Leaves out the items for which `keep` says no; the number is the item's place in [`Self::heads`].
    pub fn retain(&mut self, _keep: impl FnMut(usize, &EventHead) -> bool) {}
}

impl Iterator for Records {
    type Item = Result<Record, SplitError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
