//! What `check` says, a line each.

use std::process::ExitCode;

use crate::exit::Exit;

/// Prints lines and remembers whether one was bad.
#[derive(Debug, Default)]
pub(super) struct Report {
    bad: u32,
    notes: u32,
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
            crate::print(&format!("{} to mend before a run would work", self.bad));
            return Exit::Differs.into();
        }
        crate::print(&format!("a run would work ({} notes)", self.notes));
        Exit::Done.into()
    }
}
