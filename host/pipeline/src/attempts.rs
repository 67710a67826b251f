//! One thing that is tried until it works.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{Classify, RunError};
use crate::ledger::{Health, Ledger};
use crate::options::Options;
use crate::retry::{Backoff, hint};

/// Tries again until it succeeds, gives up, or is told to stop.
pub(crate) struct Attempts<'a> {
    ledger: &'a Ledger,
    backoff: Backoff,
    stop: &'a CancellationToken,
    stage: String,
    failed: u32,
    not_after: Option<Instant>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(
        stage: impl Into<String>,
        ledger: &'a Ledger,
        options: &Options,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            ledger,
            backoff: options.backoff,
            stop,
            stage: stage.into(),
            failed: 0,
            not_after: None,
        }
    }

    /// Gives up after so many tries in a row, or earlier where the options say so.
    pub(crate) fn at_most(&mut self, tries: u32) {
        let attempts = self.backoff.attempts.map_or(tries, |most| most.min(tries));
        self.backoff.attempts = Some(attempts);
    }

    /// No try begins after this.
    pub(crate) fn not_after(&mut self, instant: Instant) {
        self.not_after = Some(instant);
    }

    /// It worked.
    pub(crate) fn succeeded(&mut self) {
        if self.failed > 0 {
            tracing::info!(stage = self.stage, tries = self.failed, "works again");
        }
        self.failed = 0;
        self.ledger.set_health(Health::Running);
    }

    /// It failed: waits for the next try, or says why there is none.
    pub(crate) async fn failed<E>(
        &mut self,
        error: E,
        give_up: impl FnOnce(E) -> RunError,
    ) -> Result<(), RunError>
    where
        E: std::error::Error + Classify,
    {
        self.failed += 1;
        let Some(wait) = self.backoff.wait(self.failed, hint(&error)) else {
            return Err(give_up(error));
        };
        let until = Instant::now() + wait;
        if self.not_after.is_some_and(|last| until > last) {
            return Err(give_up(error));
        }
        self.ledger.set_health(Health::Degraded {
            stage: self.stage.clone(),
            error: error.to_string(),
        });
        tracing::warn!(
            stage = self.stage,
            %error,
            tries = self.failed,
            again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "failed, will try again"
        );
        tokio::select! {
            () = tokio::time::sleep_until(until) => Ok(()),
            () = self.stop.cancelled() => Err(RunError::Stopped {
                stage: self.stage.clone(),
                error: error.to_string(),
            }),
        }
    }
}
