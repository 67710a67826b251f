//! The embedded store: cursors and the write version.
