//! NDJSON on standard output.

mod options;
mod output;
#[cfg(test)]
mod tests;

pub use options::StdoutOptions;
pub use output::{StdoutError, StdoutOutput};
