//! How slowly an answer may come, and how long it may take.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// Over this time the throughput is averaged.
const WINDOW: Duration = Duration::from_secs(60);

/// How slowly the body of an answer may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLimits {
    /// The fewest bytes in a second, on average over each minute. Default 1 KiB; 0: any.
    pub min_throughput: u64,
    /// The longest time from the head of an answer to its last byte. Default 1 h; 0: any.
    pub total: Duration,
}

impl Default for PaceLimits {
    fn default() -> Self {
        Self {
            min_throughput: 1 << 10,
            total: Duration::from_secs(3_600),
        }
    }
}

/// Why a body is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooSlow {
    /// Too few bytes within a minute.
    #[error(
        "{bytes} bytes came in {} s, and the least is {least} in a second; a smaller \
         `min_throughput` allows that",
        WINDOW.as_secs()
    )]
    Throughput {
        /// What came.
        bytes: u64,
        /// The fewest bytes in a second.
        least: u64,
    },
    /// It took too long as a whole.
    #[error("it was not complete after {} s; a longer `download_timeout` allows that", total.as_secs())]
    Total {
        /// The longest time.
        total: Duration,
    },
}

/// Measures one body.
#[derive(Debug)]
pub struct Pace {
    limits: PaceLimits,
    /// When it must be complete.
    end: Option<Instant>,
    window: Instant,
    bytes: u64,
}

impl Pace {
    /// The head of the answer is here.
    pub fn new(limits: PaceLimits) -> Self {
        let now = Instant::now();
        Self {
            limits,
            end: (!limits.total.is_zero()).then(|| now + limits.total),
            window: now,
            bytes: 0,
        }
    }

    /// Waits for the next piece.
    ///
    /// # Errors
    /// When too little came for too long.
    pub async fn wait<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, TooSlow> {
        let mut piece = pin!(piece);
        loop {
            let now = Instant::now();
            if self.end.is_some_and(|end| now >= end) {
                return Err(TooSlow::Total {
                    total: self.limits.total,
                });
            }
            let window_end = self.window + WINDOW;
            if now >= window_end {
                let least = self.limits.min_throughput;
                if self.bytes < least.saturating_mul(WINDOW.as_secs()) {
                    return Err(TooSlow::Throughput {
                        bytes: self.bytes,
                        least,
                    });
                }
                (self.window, self.bytes) = (now, 0);
                continue;
            }
            let until = self.end.map_or(window_end, |end| end.min(window_end));
            if let Ok(came) = timeout_at(until, &mut piece).await {
                return Ok(came);
            }
        }
    }

    /// Counts a piece of this length, bytes.
    pub fn came(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    async fn pieces(
        limits: PaceLimits,
        bytes: usize,
        every: Duration,
        count: u32,
    ) -> Option<TooSlow> {
        let mut pace = Pace::new(limits);
        for _ in 0..count {
            if let Err(error) = pace.wait(sleep(every)).await {
                return Some(error);
            }
            pace.came(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_every_four_minutes_is_too_slow_and_the_least_is_not() {
        let limits = PaceLimits::default();
        let four = Duration::from_secs(240);
        let error = pieces(limits, 1, four, 5).await.unwrap();
        assert!(
            matches!(error, TooSlow::Throughput { bytes: 0, .. }),
            "{error}"
        );
        let second = Duration::from_secs(1);
        assert_eq!(pieces(limits, 1_024, second, 1_000).await, None);
        assert!(pieces(limits, 1_000, second, 1_000).await.is_some());
        let any = PaceLimits {
            min_throughput: 0,
            total: Duration::ZERO,
        };
        assert_eq!(pieces(any, 0, four, 100).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_body_without_an_end_is_given_up() {
        let limits = PaceLimits::default();
        let second = Duration::from_secs(1);
        let error = pieces(limits, 1 << 20, second, 4_000).await.unwrap();
        assert!(matches!(error, TooSlow::Total { .. }), "{error}");
        let began = Instant::now();
        let mut pace = Pace::new(limits);
        pace.wait(pending::<()>()).await.unwrap_err();
        assert!(began.elapsed() < WINDOW + second, "{:?}", began.elapsed());
    }
}
