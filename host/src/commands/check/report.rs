//! What `check` says, a line each.

use std::process::ExitCode;

use crate::exit::Exit;
use crate::summary::plural;

/// Prints lines and remembers whether one was bad.
#[derive(Debug, Default)]
pub(super) struct Report {
    bad: u64,
    notes: u64,
}

impl Report {
    pub(super) fn title(&self, text: &str) {
        crate::print(text);
    }

    pub(super) fn good(&self, what: &str, text: &str) {
        crate::print(&format!("  ok    {what}: {text}"));
    }

    pub(super) fn note(&mut self, what: &str, text: &str) {
        self.notes += 1;
        crate::print(&format!("  note  {what}: {text}"));
    }

    pub(super) fn bad(&mut self, what: &str, text: &str) {
        self.bad += 1;
        crate::print(&format!("  FAIL  {what}: {text}"));
    }

    pub(super) fn end(&self) -> ExitCode {
        if self.bad > 0 {
            let problems = plural(self.bad, "problem");
            crate::print(&format!("{problems} to fix before this will run"));
            return Exit::Differs.into();
        }
        let notes = plural(self.notes, "note");
        crate::print(&format!("a run would work ({notes})"));
        Exit::Done.into()
    }
}
