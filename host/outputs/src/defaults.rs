//! Defaults that several outputs share.

use std::num::NonZeroUsize;

use units::Duration;

/// The most records, lines or messages at once.
pub(crate) fn thousand() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(999)
}

/// For a connection.
pub(crate) fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// For an acknowledgement.
pub(crate) fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

/// For what is on unless it is turned off.
pub(crate) fn yes() -> bool {
    true
}
