//! A MISP answer as bytes in, records out, memory bounded.
//!
//! MISP writes an event's tags behind its attributes, so one pass cannot cut it: a
//! body is kept ([`Spool`]; in memory, or in a file when it is large), one pass finds
//! where the head and the lists of each event are, a second cuts [`Record`]s. No tree
//! of the page is ever made, and no place of a single attribute is remembered.

mod cut;
mod halves;
mod index;
mod record;
mod records;
mod scan;
mod spool;

pub use record::{EventHead, Record, SplitError, SplitLimits};
pub use records::Records;
pub use spool::{Body, Spool, SpoolError, SpoolLimits};

#[cfg(test)]
mod tests;
