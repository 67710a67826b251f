//! What a component may use.

use std::path::PathBuf;
use std::time::Duration;

use crate::bounded::Compiler;

/// How often the clock of the components ticks.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Limits of a component, each with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// Memory of one instance, bytes. Default 256 MiB: a slice is at most 4 MiB and
    /// its documents 32 MiB; a mapping that needs eight times that is broken.
    pub memory_bytes: usize,
    /// Time of one call. Default 30 s: a call takes milliseconds; this is for loops
    /// without end on a machine that is busy.
    pub call_timeout: Duration,
    /// Bytes that one call may return. Default 128 MiB.
    pub output_bytes: usize,
    /// Calls before an instance is replaced by a fresh one. Default 1,000: what a
    /// mapping leaks is bounded by it, and a fresh instance costs microseconds.
    pub reuse_calls: u32,
    /// An instance that has grown to this memory is replaced after the call, bytes. Default 128 MiB.
    pub retire_bytes: usize,
    /// A folder for compiled components, so that the next start need not compile.
    pub cache: Option<PathBuf>,
    /// Compiles a component before this process does, within limits. Default: none.
    pub compiler: Option<Compiler>,
    /// Attributes in a row that fault, none mapped between them, before the mapping
    /// counts as broken. Default 20: bad data is rare, a bad mapping fails always.
    pub fault_limit: u32,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            call_timeout: Duration::from_secs(30),
            output_bytes: 128 << 20,
            reuse_calls: 1_000,
            retire_bytes: 128 << 20,
            cache: None,
            compiler: None,
            fault_limit: 20,
        }
    }
}
