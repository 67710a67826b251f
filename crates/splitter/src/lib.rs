//! A MISP answer as bytes in, records out, memory bounded.
//!
//! A body is spooled ([`Spool`], [`Body`]): in memory, and in a temporary file when it
//! is large. [`Records`] then goes over it twice. The first pass checks the JSON and
//! finds where each event begins and ends and where its lists are (MISP writes an
//! event's tags after its attributes, so one pass cannot cut). The second cuts the
//! [`Record`]s. Never is there a tree of the page, nor anything kept for an attribute:
//! memory holds some hundred bytes an event and one slice.

mod cut;
mod halves;
mod input;
mod list;
mod name;
mod plan;
mod reader;
mod record;
mod records;
mod scan;
mod shape;
mod spool;
mod token;
mod walk;

#[cfg(test)]
mod tests;

pub use record::{EventHead, Record, SplitError, SplitLimits};
pub use records::Records;
pub use spool::{Body, Spool, SpoolError, SpoolLimits};
