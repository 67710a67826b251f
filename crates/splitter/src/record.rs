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
    /// The spooled body could not be read back.
    #[error("the spooled body could not be read: {source}")]
    Io {
        /// What the system said.
        #[from]
        source: std::io::Error,
    },
}
