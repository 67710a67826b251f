//! Durations and sizes of the configuration. Both are written as text with a
//! unit ("24h", "100MiB"): a bare number is an error, because nobody remembers
//! whether it meant seconds or milliseconds. `0` needs none.

mod byte_size;
mod duration;
mod text;

pub use byte_size::ByteSize;
pub use duration::Duration;
