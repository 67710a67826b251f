//! The state of the fakes: knows the cursor and nothing of what went out (host/state tests the
//! rest with the real one), and writes down what it is asked.

use std::sync::Arc;

use super::fakes::{Act, Plan, Told, World, ids};
use crate::{
    Changes, Commit, Comparison, Cursor, Delivery, Difference, DifferenceCounts, DueCounts, Fate,
    Held, ListedAttribute, ListedEvent, OutputKey, Remembered, Standing, State, StateError,
    TargetChange, TargetIdentity, WaitingEvent,
};

/// Finds no difference.
struct FakeComparison;

impl Comparison for FakeComparison {
    fn add_attributes(&mut self, _: &[ListedAttribute]) -> Result<(), StateError> {
        Ok(())
    }

    fn add_events(&mut self, _: &[ListedEvent]) -> Result<(), StateError> {
        Ok(())
    }

    fn compare(
        &mut self,
        _: &OutputKey,
        _: &mut dyn FnMut(Difference) -> bool,
    ) -> Result<DifferenceCounts, StateError> {
        Ok(DifferenceCounts::default())
    }
}

pub(super) struct FakeState(pub(super) Arc<World>);

impl FakeState {
    /// Does what the plan says, and writes that down.
    fn call(&self, plan: &Plan, what: String) -> Result<(), StateError> {
        match plan.next() {
            Act::Fail(class) => {
                self.0.step(format!("cannot {what}"));
                return Err(StateError::new(Told(class)));
            }
            Act::Hang => {
                let gate = self.0.gate.lock().unwrap().take();
                self.0.step(format!("begin to {what}"));
                // Until it is let go.
                gate.unwrap().recv().unwrap();
            }
            _ => {}
        }
        self.0.step(what);
        Ok(())
    }
}

impl State for FakeState {
    fn cursor(&self, _: &str) -> Result<Option<Cursor>, StateError> {
        Ok(self.0.cursor.lock().unwrap().clone())
    }

    fn next_version(&self, fetched_ms: i64) -> Result<u64, StateError> {
        let mut version = self.0.version.lock().unwrap();
        *version = (*version + 1).max(u64::try_from(fetched_ms).unwrap());
        Ok(*version)
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), StateError> {
        if let Act::Fail(class) = self.0.store.next() {
            return Err(StateError::new(Told(class)));
        }
        let Some(cursor) = commit.cursor else {
            return Ok(());
        };
        self.0.step(format!("commit {}", cursor.0));
        self.0.note(format!("commit {}", cursor.0));
        *self.0.cursor.lock().unwrap() = Some(cursor.clone());
        Ok(())
    }

    fn standing(&self, _: &str, _: &OutputKey) -> Result<Standing, StateError> {
        Ok(Standing::New)
    }

    fn leave_behind(&self, _: &str, _: &OutputKey, _: bool) -> Result<(), StateError> {
        Ok(())
    }

    fn leave_others_behind(&self, _: &str, _: &[OutputKey]) -> Result<(), StateError> {
        Ok(())
    }

    fn caught_up(&self, _: &str, _: &OutputKey) -> Result<(), StateError> {
        Ok(())
    }

    fn see_target(
        &self,
        _: &OutputKey,
        _: &str,
        _: &TargetIdentity,
    ) -> Result<Option<TargetChange>, StateError> {
        Ok(None)
    }

    fn remembered(
        &self,
        _: &str,
        output: &OutputKey,
        documents: &[Delivery],
    ) -> Result<Vec<Option<Remembered>>, StateError> {
        let what = format!("look up {} {}", output.name, ids(documents.iter()));
        self.call(&self.0.looking_up, what)?;
        Ok(vec![None; documents.len()])
    }

    fn record(&self, changes: &[Changes<'_>]) -> Result<(), StateError> {
        for Changes {
            output, documents, ..
        } in changes
        {
            let is_note = documents
                .iter()
                .all(|(_, act)| *act == crate::Act::Sent(Fate::Sent));
            let (does, plan) = if is_note {
                ("note", &self.0.noting)
            } else {
                ("remember", &self.0.remembering)
            };
            let ids = ids(documents.iter().map(|(delivery, _)| *delivery));
            self.call(plan, format!("{does} {} {ids}", output.name))?;
        }
        Ok(())
    }

    fn older(
        &self,
        _: &str,
        _: &OutputKey,
        _: &str,
        _: u64,
        _: usize,
    ) -> Result<Vec<Held>, StateError> {
        Ok(Vec::new())
    }

    fn due(&self, _: &str, _: &OutputKey, _: i64, _: usize) -> Result<Vec<Held>, StateError> {
        Ok(Vec::new())
    }

    fn count_due(&self, _: &str, _: &OutputKey, _: i64, _: u64) -> Result<DueCounts, StateError> {
        Ok(DueCounts::default())
    }

    fn want_expired_too_early(&self, _: &str, _: i64) -> Result<u64, StateError> {
        Ok(0)
    }

    fn held(
        &self,
        _: &str,
        _: &OutputKey,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<Held>, StateError> {
        Ok(Vec::new())
    }

    fn want(&self, _: &str, _: &[String]) -> Result<(), StateError> {
        Ok(())
    }

    fn wanted(
        &self,
        _: &str,
        _: i64,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<String>, StateError> {
        let wanted = self.0.wanted.lock().unwrap();
        let later = wanted
            .iter()
            .filter(|event| after.is_none_or(|after| event.as_str() > after));
        Ok(later.take(most).cloned().collect())
    }

    fn unread(&self, _: &str, _: usize) -> Result<(u64, Vec<WaitingEvent>), StateError> {
        Ok((0, Vec::new()))
    }

    fn last_done(&self, _: &str, what: &str) -> Result<Option<i64>, StateError> {
        Ok(self.0.done.lock().unwrap().get(what).copied())
    }

    fn set_done(&self, _: &str, what: &str, at_ms: i64) -> Result<(), StateError> {
        let mut done = self.0.done.lock().unwrap();
        done.insert(what.to_owned(), at_ms);
        Ok(())
    }

    fn want_or_delete(&self, _: &str, _: &[String]) -> Result<(), StateError> {
        Ok(())
    }

    fn to_delete(&self, _: &str, _: &[String]) -> Result<Vec<String>, StateError> {
        Ok(Vec::new())
    }

    fn read_before(&self, _: &str, _: &[String], _: i64) -> Result<Vec<String>, StateError> {
        Ok(Vec::new())
    }

    fn select(&self, _: &str, _: &str, _: &str) -> Result<bool, StateError> {
        Ok(false)
    }

    fn comparison(self: Arc<Self>, _: &str) -> Result<Box<dyn Comparison>, StateError> {
        Ok(Box::new(FakeComparison))
    }
}
