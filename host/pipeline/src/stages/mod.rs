//! The three loops of an instance, and what goes between them.

mod deliver;
mod fetch;
mod map;

use std::sync::Arc;

use splitter::Record;

use crate::batch::Broken;
use crate::record::{Cursor, Mapped, MappingIdentity, Page};

pub(crate) use deliver::Deliver;
pub(crate) use fetch::Fetch;
pub(crate) use map::Map;

/// A page with its write version, or the end of a walk.
pub(crate) enum Fetched {
    Page(Box<Page>, u64),
    WalkEnd,
}

/// What goes to the deliver loop, in order.
pub(crate) enum Work {
    /// A mapped batch.
    Mapped(MappedBatch),
    /// Every batch of a page has been sent: its cursor may be stored after them.
    PageEnd { cursor: Cursor, version: u64 },
    /// Every page of a walk has been sent.
    WalkEnd,
}

/// A batch, mapped.
pub(crate) struct MappedBatch {
    pub(crate) version: u64,
    pub(crate) now_ms: i64,
    pub(crate) mapping: Arc<MappingIdentity>,
    pub(crate) records: Vec<Record>,
    pub(crate) broken: Vec<Broken>,
    pub(crate) mapped: Vec<Mapped>,
}
