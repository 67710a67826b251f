//! The tables, one a file: what it holds, and how it is read and written.

pub(crate) mod cursors;
pub(crate) mod meta;
