//! The host's clock, and how far it is from a server's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

/// If the clocks of host and server differ by more than this, one of them is wrong.
pub(crate) const MOST_APART_MS: i64 = 3_600_000;

/// The host's clock, UNIX milliseconds.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}

/// A server's clock, as the `Date` header of its last answer showed it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ServerClock(Arc<Mutex<Option<(i64, Instant)>>>);

impl ServerClock {
    /// Notes the `Date` of an answer that has just come, UNIX seconds.
    pub fn set(&self, seconds: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((seconds, Instant::now()));
    }

    /// Milliseconds by which the host's clock is ahead of the server's now; `None` if the server
    /// has not shown its clock.
    pub fn host_ahead_ms(&self) -> Option<i64> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (seconds, at) = seen?;
        let since = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
        let server_ms = seconds.saturating_mul(1_000).saturating_add(since);
        Some(now_ms().saturating_sub(server_ms))
    }
}

/// What the source showed of its clock.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    clock: Mutex<ServerClock>,
    tried: CancellationToken,
}

impl Heard {
    /// Notes that the source has been asked, and answered or failed.
    pub(crate) fn hear(&self, clock: Option<ServerClock>) {
        if let Some(clock) = clock {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = clock;
        }
        self.tried.cancel();
    }

    /// Waits until the source has been asked once.
    pub(crate) async fn tried(&self) {
        self.tried.cancelled().await;
    }

    /// Seconds by which the host's clock is ahead of the server's, if they differ so much that no
    /// document may be taken for expired.
    pub(crate) fn apart_s(&self) -> Option<i64> {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = clock.host_ahead_ms()?;
        (ahead.saturating_abs() > MOST_APART_MS).then_some(ahead / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_by_more_than_an_hour_are_apart() {
        let heard = Heard::default();
        assert_eq!(heard.apart_s(), None, "nothing is known");
        let server = ServerClock::default();
        heard.hear(Some(server.clone()));
        assert_eq!(heard.apart_s(), None, "the server shows no clock");
        let now = now_ms() / 1_000;
        for (seconds, apart) in [
            (now, false),
            (now - 3_500, false),
            (now + 3_500, false),
            (now - 3_700, true),
            (now + 3_700, true),
        ] {
            server.set(seconds);
            assert_eq!(heard.apart_s().is_some(), apart, "{}", seconds - now);
        }
    }
}
