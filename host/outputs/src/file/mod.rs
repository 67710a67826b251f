//! NDJSON in a file.

mod options;
mod output;
#[cfg(test)]
mod tests;

pub use options::FileOptions;
pub use output::FileOutput;
