//! The text of a panic, where the host finds it. A component imports nothing, so it has no other
//! way to say what happened.

use std::panic::{PanicHookInfo, set_hook};

/// What the host looks for in the memory after a trap (wit/README.md).
const MARK: &[u8] = b"\xffpanic:";

/// Leaves the text of every panic in memory from now on.
pub(crate) fn leave_texts() {
    set_hook(Box::new(leave));
}

fn leave(info: &PanicHookInfo<'_>) {
    let text = info.to_string();
    let mut left = Vec::with_capacity(MARK.len() + 21 + text.len());
    left.extend_from_slice(MARK);
    left.extend_from_slice(text.len().to_string().as_bytes());
    left.push(b':');
    left.extend_from_slice(text.as_bytes());
    // Only the host reads it: without this the compiler would leave it out.
    std::hint::black_box(left.leak());
}
