//! One thing that is tried until it works.

use std::mem::Discriminant;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{Class, Classify, RunError};
use crate::ledger::Ledger;
use crate::options::Options;
use crate::retry::{Backoff, hint};

/// Tries again until it succeeds, gives up, or is told to stop.
pub(crate) struct Attempts<'a> {
    ledger: &'a Ledger,
    backoff: Backoff,
    stop: &'a CancellationToken,
    stage: String,
    failed: u32,
    /// The class of the last error that was logged.
    logged: Option<Discriminant<Class>>,
    not_after: Option<Instant>,
    /// Is this one pass, of which somebody waits for the end?
    one_pass: bool,
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
            logged: None,
            not_after: None,
            one_pass: options.interval.is_none(),
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
        self.failed = 0;
        self.logged = None;
        self.ledger.works(&self.stage);
    }

    /// A part worked: the tries are counted anew, and whether the stage works is not known yet.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// As [`Self::succeeded`], for a stage whose success alone does not say that anything works.
    pub(crate) fn recovered(&mut self) {
        if self.failed > 0 {
            self.succeeded();
        }
    }

    /// It failed: waits for the next try, or says why there is none. Logs an error when it begins
    /// to fail, or fails in another way, and nothing for the tries after that.
    pub(crate) async fn failed<E>(
        &mut self,
        error: E,
        give_up: impl FnOnce(E) -> RunError,
    ) -> Result<(), RunError>
    where
        E: std::error::Error + Classify,
    {
        self.failed += 1;
        let class = error.class();
        // Whoever asked for one pass wants to hear at once what a person has to put right.
        let at_once = class == Class::Fatal && self.one_pass;
        let wait = self.backoff.wait(self.failed, hint(&error));
        let Some(wait) = wait.filter(|_| !at_once) else {
            self.ledger.fails(&self.stage, &error.to_string(), None);
            return Err(give_up(error));
        };
        let until = Instant::now() + wait;
        if self.not_after.is_some_and(|last| until > last) {
            self.ledger.fails(&self.stage, &error.to_string(), None);
            return Err(give_up(error));
        }
        let is_new = self
            .ledger
            .fails(&self.stage, &error.to_string(), Some(wait));
        let again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let stage = self.stage.as_str();
        let kind = std::mem::discriminant(&class);
        if is_new || self.logged.is_some_and(|logged| logged != kind) {
            tracing::error!(stage, %error, again_in_ms, "failed, retrying until it works");
        } else {
            let attempts = self.failed;
            tracing::debug!(stage, %error, attempts, again_in_ms, "failed again");
        }
        self.logged = Some(kind);
        tokio::select! {
            () = tokio::time::sleep_until(until) => Ok(()),
            () = self.stop.cancelled() => Err(RunError::Stopped {
                stage: self.stage.clone(),
                error: error.to_string(),
            }),
        }
    }
}
