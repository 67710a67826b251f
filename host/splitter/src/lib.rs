//! A MISP answer as bytes in, records out, memory bounded.
//!
//! Skeleton of the interface, to be filled in.

mod record;
mod spool;

pub use record::{EventHead, Record, Records, SplitError, SplitLimits};
pub use spool::{Body, Spool, SpoolError, SpoolLimits};
