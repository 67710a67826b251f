//! Where the time of an instance goes, by stage: wall clock, waiting included. Stages overlap, so
//! the sum is more than the time that passed; the longest one is what the others wait for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A stage of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Asking the source: the answer with all its bytes, unpacked, spooled, looked through.
    Fetch,
    /// Cutting batches.
    Split,
    /// The mapping.
    Map,
    /// Asking the state what is known of a batch.
    LookUp,
    /// Noting what is about to be sent.
    Note,
    /// The outputs, until they acknowledge.
    Send,
    /// Keeping dead letters.
    Keep,
    /// Remembering what was acknowledged.
    Remember,
    /// The end of a page: withdrawing what is gone, moving the cursor.
    Commit,
}

impl Stage {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Fetch, "fetch"),
        (Self::Split, "split"),
        (Self::Map, "map"),
        (Self::LookUp, "look up"),
        (Self::Note, "note"),
        (Self::Send, "send"),
        (Self::Keep, "keep"),
        (Self::Remember, "remember"),
        (Self::Commit, "commit"),
    ];
}

/// Microseconds by stage.
#[derive(Debug, Default)]
pub(crate) struct Times([AtomicU64; Stage::ALL.len()]);

impl Times {
    /// Adds the time that this takes. What fails, or is given up, does not count.
    pub(crate) async fn timed<T, E>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let done = work.await?;
        self.add(stage, started.elapsed());
        Ok(done)
    }

    fn add(&self, stage: Stage, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(time) = self.0.get(stage as usize) {
            time.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// Every stage by name, in the order of a batch.
    pub(crate) fn all(&self) -> Vec<(&'static str, Duration)> {
        let times = Stage::ALL.iter().zip(&self.0);
        times
            .map(|((_, name), time)| (*name, Duration::from_micros(time.load(Ordering::Relaxed))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_own_place() {
        let times = Times::default();
        for (place, (stage, _)) in Stage::ALL.iter().enumerate() {
            times.add(*stage, Duration::from_millis(place as u64 + 1));
        }
        let all = times.all();
        assert_eq!(all[0], ("fetch", Duration::from_millis(1)));
        assert_eq!(all[8], ("commit", Duration::from_millis(9)));
    }
}
