//! The exit codes of all commands: one table.

use std::fmt::Write as _;
use std::process::ExitCode;

use pipeline::{Counts, Health};

use crate::config::ConfigError;

/// The exit code of a command. Of several codes the highest is the command's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything was done, or is healthy.
    Done = 0,
    /// The command was done, but something was rejected, differs, is behind or degraded.
    Differs = 1,
    /// The arguments or the configuration are wrong.
    Usage = 2,
    /// A guard held something back.
    HeldBack = 3,
    /// The command failed.
    Failed = 4,
    /// The command needs a running host, and none runs.
    NotRunning = 5,
}

impl Exit {
    const ALL: [Self; 6] = [
        Self::Done,
        Self::Differs,
        Self::Usage,
        Self::HeldBack,
        Self::Failed,
        Self::NotRunning,
    ];

    /// The number that the process returns.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or healthy",
            Self::Differs => "done, but something was rejected, differs, is behind or is degraded",
            Self::Usage => "wrong usage or configuration; nothing was done",
            Self::HeldBack => {
                "a guard held something back: too many deletes at once, or a mapping that failed its trial"
            }
            Self::Failed => "failed",
            Self::NotRunning => "misp-ecs is not running (`status`)",
        }
    }

    /// The exit code of one poll of one instance.
    pub(crate) fn of_poll(counts: &Counts, health: &Health) -> Self {
        let rejected = counts.outputs.values().any(|output| output.rejected > 0);
        if matches!(health, Health::Failed { .. }) || counts.balance().is_err() {
            Self::Failed
        } else if counts.sweep_held_back > 0 || counts.expiry_held_back > 0 {
            Self::HeldBack
        } else if counts.refused > 0
            || rejected
            || counts.unread > 0
            || !counts.behind.is_empty()
            || matches!(health, Health::Degraded { .. })
        {
            Self::Differs
        } else {
            Self::Done
        }
    }

    /// The exit code of a comparison.
    pub(crate) fn of_difference(differs: bool) -> Self {
        if differs { Self::Differs } else { Self::Done }
    }

    /// The exit code of a command that ends with this error.
    pub(crate) fn of_error(error: &anyhow::Error) -> Self {
        if let Some(stopped) = error.downcast_ref::<Stopped>() {
            return stopped.exit;
        }
        match error.downcast_ref::<ConfigError>() {
            Some(_) => Self::Usage,
            None => Self::Failed,
        }
    }

    /// An error that ends the command with this code.
    pub(crate) fn error(self, text: impl Into<String>) -> anyhow::Error {
        let text = text.into();
        anyhow::Error::new(Stopped { exit: self, text })
    }

    /// The same error, which ends the command with this code.
    pub(crate) fn with(self, error: &anyhow::Error) -> anyhow::Error {
        self.error(crate::explain(error))
    }
}

/// Gives the error of a result an exit code, unless it has one.
pub(crate) trait OrExit<T> {
    /// The same result, whose error ends the command with this code.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|error| {
            let error = error.into();
            let is_known = error.downcast_ref::<Stopped>().is_some();
            if is_known { error } else { exit.with(&error) }
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error whose exit code is known where it is made.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Stopped {
    exit: Exit,
    text: String,
}

/// The table for `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from("Exit codes of all commands:\n");
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}  {}", exit.code(), exit.meaning());
    }
    text
}

/// The table for the README and the reference of the configuration.
pub(crate) fn markdown() -> String {
    let mut text = String::from("| exit code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} | {} |", exit.code(), exit.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use pipeline::Verdicts;

    use super::*;

    #[test]
    fn the_readme_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        assert!(readme.contains(&markdown()), "{}", markdown());
    }

    #[test]
    fn an_error_keeps_its_code_under_context() {
        let error = Err::<(), _>(Exit::Usage.error("no instance `x`"));
        let error = error.context("audit").unwrap_err();
        assert_eq!(Exit::of_error(&error), Exit::Usage);
        assert_eq!(crate::explain(&error), "audit: no instance `x`");
        let error = anyhow::Error::new(ConfigError::Nothing).context("check");
        assert_eq!(Exit::of_error(&error), Exit::Usage);
        assert_eq!(Exit::of_error(&anyhow::anyhow!("broken")), Exit::Failed);
    }

    #[test]
    fn the_worst_of_a_poll_decides() {
        let mut counts = Counts::default();
        let of = |counts: &Counts| Exit::of_poll(counts, &Health::Running);
        assert_eq!(of(&counts), Exit::Done);
        let rejected = Verdicts {
            rejected: 1,
            ..Verdicts::default()
        };
        counts.documents = 1;
        counts.received = 1;
        counts.outputs.insert("out".to_owned(), rejected);
        assert_eq!(of(&counts), Exit::Differs);
        counts.sweep_held_back = 3;
        assert_eq!(of(&counts), Exit::HeldBack);
        let failed = Health::Failed {
            error: "no answer".to_owned(),
        };
        assert_eq!(Exit::of_poll(&counts, &failed), Exit::Failed);
    }
}
