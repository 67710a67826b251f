//! Records: one event, or a slice of a big one.

use bytes::Bytes;

/// How an event is cut, and what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitLimits {
    /// Attributes in one slice, object attributes included.
    pub attributes: u32,
    /// Bytes in one slice. The head counts for half of it at most, so that a huge head
    /// does not leave one attribute a slice.
    pub bytes: usize,
    /// Head bytes times attributes in one slice: what a mapping that repeats the head writes.
    pub head_times_attributes: usize,
    /// How deep JSON may nest. An attribute that nests deeper is left out of its event.
    pub depth: u32,
    /// Events and loose attributes in one answer; each takes some 250 bytes of memory. 500,000
    /// take 125 MB; MISP's largest pages have 10,000.
    pub items: u32,
    /// Parts of one answer that are no record, and attributes that cannot be read; each takes 64
    /// bytes of memory and becomes a dead letter. MISP sends none.
    pub unreadable: u32,
    /// Bytes of one attribute, of one object with its attributes, and of an event without both.
    /// More than 64 MiB does not fit into a mapping's memory.
    pub record: usize,
}

/// How often one object may have one of the keys whose values are looked into. No JSON writer
/// gives a key twice.
pub(crate) const REPEATED_KEY: usize = 16;

impl Default for SplitLimits {
    fn default() -> Self {
        Self {
            attributes: 1_000,
            bytes: 4 << 20,
            head_times_attributes: 32 << 20,
            depth: 100,
            items: 500_000,
            unreadable: 10_000,
            record: 64 << 20,
        }
    }
}

impl SplitLimits {
    /// Does a slice with this head, so many attributes and so many bytes of them keep to the limits?
    pub(crate) fn allow(&self, head: usize, attributes: u64, bytes: usize) -> bool {
        let head_counts = head.min(self.bytes / 2);
        let repeated = attributes.saturating_mul(head as u64);
        attributes <= u64::from(self.attributes)
            && bytes.saturating_add(head_counts) <= self.bytes
            && repeated <= self.head_times_attributes as u64
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
    /// Is it published?
    pub published: Option<bool>,
    /// `attribute_count`: live attributes, those too that this key may not see.
    pub attribute_count: Option<u64>,
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
        /// What was skipped because of it: where `Body::read_range` finds it.
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
    /// An attribute or object of an event that is left out of it; the rest of the event is read.
    #[error("a part of the event is left out: {what} at byte {offset}")]
    Part {
        /// The event's uuid; empty if there is none.
        event: String,
        /// Where, counted from the start of the body.
        offset: u64,
        /// What was expected or found.
        what: &'static str,
        /// What is left out.
        skipped: std::ops::Range<u64>,
    },
    /// More than memory is there for.
    #[error("more than {limit} {what}, at byte {offset}")]
    TooMany {
        /// What of, in the plural.
        what: &'static str,
        /// How many are accepted.
        limit: u64,
        /// Where, counted from the start of the body.
        offset: u64,
        /// What was skipped because of it.
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

impl SplitError {
    /// What was skipped because of it: where `Body::read_range` finds it.
    pub fn skipped(&self) -> std::ops::Range<u64> {
        match self {
            Self::Malformed { skipped, .. }
            | Self::NotARecord { skipped, .. }
            | Self::Part { skipped, .. }
            | Self::TooMany { skipped, .. } => skipped.clone(),
            Self::Io { .. } => 0..0,
        }
    }

    /// The uuid of the event that it is a part of, if that is known.
    pub fn event(&self) -> Option<&str> {
        match self {
            Self::Part { event, .. } if !event.is_empty() => Some(event),
            _ => None,
        }
    }
}
