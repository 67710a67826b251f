//! Settings inside a WebAssembly file.
//!
//! An engine that is not ours passes nothing to a module. So every artifact has a
//! [`Block`], data of a fixed length behind a mark, into which `misp-ecs mapping bake`
//! writes: nothing moves, so the file needs no linking, and a second bake replaces the
//! first. What is written there is [`Settings`].

mod bake;
mod block;
mod settings;

pub use bake::{BakeError, baked, write};
pub use block::{Block, CAPACITY, Kind};
pub use settings::{Adapter, Settings, overlay};
