//! The walks over MISP's events and attributes: the pipeline's [`pipeline::Source`].

mod at_once;
mod attributes;
mod cursor;
mod events;
mod finder;
mod isolate;
mod listing;
mod size;
mod steps;
#[cfg(test)]
mod tests;

pub use attributes::AttributesWalk;
pub use cursor::{CursorError, CursorKind};
pub use events::EventsWalk;
pub use finder::{WalkError, WalkOptions};
