//! The clock of the time limits: it ticks only while a component is at work, so that a service
//! that waits costs nothing.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::options::TICK;

/// Ticks an engine on a thread of its own; ends with its last owner.
pub(crate) struct Clock(Arc<Shared>);

#[derive(Default)]
struct Shared {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
struct Now {
    /// How many calls are under way.
    calls: usize,
    /// Has the last owner gone?
    ended: bool,
}

/// A call that is under way; the clock ticks until it is dropped.
#[must_use]
pub(crate) struct AtWork<'c>(&'c Shared);

impl Clock {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(crate) fn start(engine: &wasmtime::Engine) -> std::io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let clock = Self(Arc::clone(&shared));
        let engine = engine.weak();
        std::thread::Builder::new()
            .name("wasm-clock".to_owned())
            .spawn(move || {
                while shared.wait_for_work() {
                    std::thread::sleep(TICK);
                    if let Some(engine) = engine.upgrade() {
                        engine.increment_epoch();
                    }
                }
            })?;
        Ok(Arc::new(clock))
    }

    /// To be held while a component is at work.
    pub(crate) fn at_work(&self) -> AtWork<'_> {
        self.0.now().calls += 1;
        self.0.changed.notify_one();
        AtWork(&self.0)
    }
}

impl Shared {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call is under way; `false` when there will be none any more.
    fn wait_for_work(&self) -> bool {
        let idle = |now: &mut Now| now.calls == 0 && !now.ended;
        let now = self.changed.wait_while(self.now(), idle);
        !now.unwrap_or_else(PoisonError::into_inner).ended
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.now().ended = true;
        self.0.changed.notify_one();
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.now().calls -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_while_nothing_is_at_work_and_ends_with_its_owner() {
        let clock = Clock(Arc::new(Shared::default()));
        let shared = Arc::clone(&clock.0);
        let (one, other) = (clock.at_work(), clock.at_work());
        assert!(shared.wait_for_work());
        drop(one);
        assert!(shared.wait_for_work());
        drop(other);
        assert_eq!(shared.now().calls, 0);
        let waiting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.wait_for_work()
        });
        drop(clock);
        assert!(!waiting.join().unwrap());
    }
}
