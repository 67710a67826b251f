//! What the checks found, for people and as JSON.

use std::fmt::Display;
use std::io::{self, Write as _};

use serde::Serialize;

/// How many examples of one mistake are told.
const EXAMPLES: usize = 3;

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    name: &'static str,
    ok: bool,
    /// What was found, one line.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// All checks in the order in which they were made.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) mapping: String,
    ok: bool,
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn of(mapping: &str) -> Self {
        Self {
            mapping: mapping.to_owned(),
            ok: true,
            checks: Vec::new(),
        }
    }

    pub(super) fn ok(&mut self, name: &'static str, found: impl Display) {
        self.checks.push(Check {
            name,
            ok: true,
            found: found.to_string(),
            advice: None,
        });
    }

    pub(super) fn fail(&mut self, name: &'static str, found: impl Display, advice: &'static str) {
        self.ok = false;
        self.checks.push(Check {
            name,
            ok: false,
            found: found.to_string(),
            advice: Some(advice),
        });
    }

    /// A check that fails if there is any problem: the first ones are told, and how many there are.
    pub(super) fn none(
        &mut self,
        name: &'static str,
        problems: &[String],
        found: impl Display,
        advice: &'static str,
    ) {
        if problems.is_empty() {
            return self.ok(name, found);
        }
        let shown: Vec<&str> = problems.iter().take(EXAMPLES).map(String::as_str).collect();
        let more = match problems.len().saturating_sub(EXAMPLES) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        self.fail(name, format!("{}{more}", shown.join("; ")), advice);
    }

    /// Did all checks pass?
    pub(super) fn is_ok(&self) -> bool {
        self.ok
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string_pretty(self)?)?;
            return Ok(());
        }
        for check in &self.checks {
            let verdict = if check.ok { "ok" } else { "FAIL" };
            writeln!(out, "{verdict:<5} {:<14} {}", check.name, check.found)?;
            if let Some(advice) = check.advice {
                writeln!(out, "{:<20} -> {advice}", "")?;
            }
        }
        let failed = self.checks.iter().filter(|check| !check.ok).count();
        if failed == 0 {
            writeln!(out, "{} keeps the contract", self.mapping)?;
        } else {
            writeln!(
                out,
                "{} breaks the contract: {failed} of {} checks failed",
                self.mapping,
                self.checks.len()
            )?;
        }
        Ok(())
    }
}
