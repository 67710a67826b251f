//! The Fluent Bit filter: what `filter_wasm` calls.
//!
//! [`Filter`] is all of it, in plain Rust; the exports of the module only call it. The
//! host writes tag and record into memory of [`Filter::malloc`], calls a function with
//! their addresses, and copies the NUL-terminated answer, which it never frees.

mod answer;
#[cfg(target_arch = "wasm32")]
mod exports;
mod filter;
mod memory;

pub use answer::Mode;
pub use filter::Filter;
