//! The processor for Redpanda Connect and Bento: what their `wasm` processor calls.
//!
//! [`Processor`] is all of it, in plain Rust; the exports of the module only call it. A
//! message in is one message out, a JSON array of documents: `unarchive` with the format
//! `json_array` makes messages of it. What was refused is a document too, and the
//! message's metadata `misp_ecs_refused` counts it.

#[cfg(target_arch = "wasm32")]
mod exports;
mod memory;
mod processor;

pub use memory::Memory;
pub use processor::{Processed, Processor};
