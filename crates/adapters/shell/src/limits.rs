//! What is too much.

use splitter::SplitLimits;

/// Bounds of one record. Every one of them ends in a refusal that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a record. Read, JSON takes up to 50 times as much memory, and a 32-bit
    /// module has 4 GiB.
    pub record: usize,
    /// How deep JSON may nest: interpreters give a module a small stack.
    pub depth: u32,
    /// Bytes that are given to the mapping for one record: its head is mapped again with
    /// each slice.
    pub work: usize,
    /// Bytes of all answers to one record together: most engines copy them, and keep the copy.
    pub answers: usize,
}

impl Limits {
    /// For an engine that waits for the answer and keeps all of it in memory.
    pub const FILTER: Self = Self {
        record: 16 << 20,
        depth: 32,
        work: 256 << 20,
        answers: 32 << 20,
    };

    /// For a command, which writes its answers away as they come.
    pub const COMMAND: Self = Self {
        record: 256 << 20,
        depth: 100,
        work: usize::MAX,
        answers: usize::MAX,
    };

    /// Slices are small here: what a mapping makes of one is in memory as a whole.
    pub(crate) fn slices(self) -> SplitLimits {
        SplitLimits {
            attributes: 100,
            bytes: 512 << 10,
            head_times_attributes: 16 << 20,
            depth: self.depth,
            // A record is in memory already.
            record: self.record,
            ..SplitLimits::default()
        }
    }
}

/// Attributes times bytes of a slice: more than its documents hold together. Only a single
/// object can be over it, one that no MISP made.
pub(crate) const REPEATED: usize = 512 << 20;
