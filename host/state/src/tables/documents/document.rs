//! One document at one output: what became of it, and who wants it.

use pipeline::Fate;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::precedence::Ranks;

/// What became of a document at an output. It stays when nobody wants it any more: its revisions
/// go on where they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Document {
    #[serde(serialize_with = "as_byte", deserialize_with = "of_byte")]
    pub(super) fate: Fate,
    /// The instance whose copy the output has; 0: nobody's.
    pub(super) copy_of: u32,
    /// The mappings under which the output may have it; the last is that of what was sent last.
    pub(super) places: Vec<u32>,
    /// UNIX milliseconds.
    pub(super) expires_ms: Option<i64>,
    /// The write version of what was sent last.
    pub(super) version: u64,
    /// Who wants it to be there: instance and event.
    pub(super) wanted_by: Vec<(u32, u32)>,
    /// Greater with each change of what was sent; 0: nothing was sent yet.
    pub(super) revision: u64,
    /// The fingerprint of what was sent last; `None`: a delete.
    pub(super) content: Option<u64>,
    /// The hash of what the output stores, where that is known. It stands behind the entries of a
    /// row.
    #[serde(skip)]
    pub(super) hash: Option<u64>,
}

impl Document {
    /// One of which nothing was sent yet.
    pub(super) fn new() -> Self {
        Self {
            fate: Fate::Deleted,
            copy_of: 0,
            places: Vec::new(),
            expires_ms: None,
            version: 0,
            wanted_by: Vec::new(),
            revision: 0,
            content: None,
            hash: None,
        }
    }

    /// The mapping of what was sent last; 0: unknown.
    pub(super) fn mapping(&self) -> u32 {
        self.places.last().copied().unwrap_or(0)
    }

    /// Notes what is sent now. The first revision is the write version: it is greater than that of
    /// a document whose entry was dropped, or that an earlier state knew.
    pub(super) fn sends(&mut self, content: Option<u64>, version: u64) {
        if self.revision == 0 {
            self.revision = version;
            self.content = content;
        } else if self.content != content {
            self.revision = self.revision.saturating_add(1);
            self.content = content;
        }
    }

    /// The revision that a delete of it has.
    pub(super) fn revision_of_delete(&self) -> u64 {
        if self.content.is_none() {
            self.revision.max(1)
        } else {
            self.revision.saturating_add(1)
        }
    }

    /// Notes that the output may have it under this mapping from now on, too.
    pub(super) fn may_be_under(&mut self, mapping: u32) {
        self.places.retain(|known| *known != mapping);
        self.places.push(mapping);
    }

    /// Notes that this instance and event does not want it.
    pub(super) fn unwanted_by(&mut self, me: (u32, u32)) {
        self.wanted_by.retain(|other| *other != me);
    }

    /// Does another configured instance, or another event, want it?
    pub(super) fn wanted_by_others(&self, me: (u32, u32), ranks: &Ranks) -> bool {
        let mut others = self.wanted_by.iter().filter(|other| **other != me);
        others.any(|other| ranks.of(other.0).is_some())
    }

    /// Does an instance want it that takes precedence of this rank?
    pub(super) fn is_wanted_before(&self, rank: Option<usize>, ranks: &Ranks) -> bool {
        let mut wanting = self.wanted_by.iter();
        wanting.any(|(who, _)| Ranks::is_before(ranks.of(*who), rank))
    }

    /// Whose copy expires when, if it is there.
    pub(super) fn due(&self) -> Option<(u32, i64)> {
        let there = self.fate.may_be_there() && self.copy_of != 0;
        self.expires_ms
            .filter(|_| there)
            .map(|at| (self.copy_of, at))
    }
}

pub(super) fn to_byte(fate: Fate) -> u8 {
    match fate {
        Fate::Delivered => 1,
        Fate::Deleted => 2,
        Fate::Expired => 3,
        Fate::Refused => 4,
        Fate::Sent => 5,
    }
}

pub(super) fn to_fate(byte: u8) -> Option<Fate> {
    match byte {
        1 => Some(Fate::Delivered),
        2 => Some(Fate::Deleted),
        3 => Some(Fate::Expired),
        4 => Some(Fate::Refused),
        5 => Some(Fate::Sent),
        _ => None,
    }
}

pub(super) fn as_byte<S: Serializer>(fate: &Fate, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(to_byte(*fate))
}

pub(super) fn of_byte<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Fate, D::Error> {
    let byte = u8::deserialize(deserializer)?;
    to_fate(byte)
        .ok_or_else(|| serde::de::Error::custom(format_args!("a document has the fate {byte}")))
}
