//! What asks an instance for a round before its time, and for a sweep in it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::memory::DifferenceCounts;

/// Asks an instance for a round before its time, and for a sweep in it.
#[derive(Debug, Default)]
pub struct Wake {
    notify: Notify,
    asked: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: Option<AskedSweep>,
    /// The instance has ended: nobody reads what is asked any more.
    ended: bool,
}

/// A sweep that was asked for. Whoever asked is told that there was none when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct AskedSweep {
    /// Withdraw however much it is.
    pub(crate) confirmed: bool,
    asking: Vec<oneshot::Sender<Swept>>,
}

/// What a sweep came to, after what was missing has been fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// What was found at each output that is not behind, with the output's name; empty if the
    /// source cannot be listed.
    pub outputs: Vec<(String, DifferenceCounts)>,
    /// What was not withdrawn because it was too much.
    pub held_back: u64,
}

impl Wake {
    /// Asks for a round as soon as the one under way has ended.
    pub fn wake(&self) {
        self.notify.notify_one();
    }

    /// Asks for a sweep at the end of the round under way or of the next one, which begins at
    /// once. `confirmed`: it withdraws however much it is. An error from the receiver: no sweep
    /// was made, the instance has failed or ended.
    pub fn sweep(&self, confirmed: bool) -> oneshot::Receiver<Swept> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            if state.ended {
                return receiver;
            }
            let asked = state.asked.get_or_insert_default();
            asked.confirmed |= confirmed;
            asked.asking.push(sender);
        }
        self.wake();
        receiver
    }

    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    pub(crate) fn take(&self) -> Option<AskedSweep> {
        self.state().asked.take()
    }

    /// Nothing that is asked from now on is answered.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.asked = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A flag and senders: a panic leaves nothing half done.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AskedSweep {
    pub(crate) fn tell(self, swept: &Swept) {
        for asking in self.asking {
            // Whoever asked may have gone.
            let _ = asking.send(swept.clone());
        }
    }
}
