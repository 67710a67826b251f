//! The tables, one a file: what it holds, and how it is read and written.

pub(crate) mod cursors;
pub(crate) mod documents;
pub(crate) mod export;
pub(crate) mod mappings;
pub(crate) mod meta;
pub(crate) mod names;
pub(crate) mod progress;
pub(crate) mod targets;
pub(crate) mod wanted;
