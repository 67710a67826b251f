//! A host at work, what it says, and when it is killed.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use misp_ecs_tests::FakeMisp;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::common::{self, Setup, text};

/// So many requests are a long life.
const LONG: usize = 60;

/// When a process is disturbed, unless it ends before.
#[derive(Debug)]
pub(crate) enum Moment {
    /// The server has got so many requests of it, and so many turns of the executor have passed.
    Requests(usize, u32),
    /// It has said so many lines.
    Lines(usize, u32),
    /// The output has grown by so much: written, and nothing of it is remembered yet.
    Written(u64),
}

impl Moment {
    /// `most`: by how much an output grows in a pass.
    pub(crate) fn random(random: &mut fastrand::Rng, most: u64) -> Self {
        let turns = match random.u8(0..3) {
            0 => 0,
            1 => random.u32(0..200),
            _ => random.u32(0..20_000),
        };
        match random.u8(0..3) {
            0 => Self::Requests(random.usize(1..14), turns),
            1 => Self::Lines(random.usize(1..90), turns),
            // Half of them at the first byte.
            _ => Self::Written(1 + random.u64(0..2) * random.u64(0..most)),
        }
    }
}

/// What moments are told by.
pub(crate) struct Signs<'a> {
    pub(crate) misp: &'a FakeMisp,
    /// How large the output is.
    pub(crate) size: &'a (dyn Fn() -> u64 + Sync),
}

/// The process. It is killed when this is dropped.
pub(crate) struct Host {
    child: Child,
    said: Arc<Said>,
    reading: JoinHandle<()>,
}

#[derive(Default)]
struct Said {
    text: Mutex<String>,
    lines: watch::Sender<usize>,
}

impl Said {
    /// The host must not wait for a reader of what it says.
    async fn read(self: Arc<Self>, stderr: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            text.push('\n');
            self.lines.send_modify(|lines| *lines += 1);
        }
    }
}

impl Host {
    pub(crate) fn start(setup: &Setup, words: &[&str]) -> Self {
        let mut command = setup.command(words);
        command.args(["--log", "debug"]);
        let mut child = tokio::process::Command::from(command)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = Arc::new(Said::default());
        let stderr = child.stderr.take().unwrap();
        let reading = tokio::spawn(Arc::clone(&said).read(stderr));
        Self {
            child,
            said,
            reading,
        }
    }

    /// Waits for the moment, or for many requests if it does not come; gives how the process
    /// ended if it did so before.
    pub(crate) async fn until(&mut self, moment: &Moment, signs: &Signs<'_>) -> Option<ExitStatus> {
        let requests = signs.misp.request_count();
        let (size, mut lines) = ((signs.size)(), self.said.lines.subscribe());
        let said = *lines.borrow();
        let comes = async {
            let turns = match *moment {
                Moment::Requests(count, turns) => {
                    signs.misp.arrived(requests + count).await;
                    turns
                }
                Moment::Lines(count, turns) => {
                    // The sender lives as long as `self`.
                    let _ = lines.wait_for(|lines| *lines >= said + count).await;
                    turns
                }
                Moment::Written(more) => {
                    while (signs.size)() < size + more {
                        tokio::task::yield_now().await;
                    }
                    0
                }
            };
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = self.child.wait() => Some(ended.unwrap()),
            () = comes => None,
            () = signs.misp.arrived(requests + LONG) => None,
        }
    }

    /// SIGKILL. What it said.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        self.end().await.1
    }

    /// SIGTERM.
    pub(crate) async fn terminate(self) -> (ExitStatus, String) {
        common::signal_to(self.child.id().unwrap(), "TERM");
        self.end().await
    }

    /// How it ended, and what it said; nothing in it may be a defect.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let ended = self.child.wait().await.unwrap();
        self.reading.await.unwrap();
        let said = std::mem::take(&mut *self.said.text.lock().unwrap());
        sound(&said);
        (ended, said)
    }
}

/// Holds that nobody panicked and every account balances.
fn sound(said: &str) {
    for bad in ["panicked", "DOES NOT BALANCE", "please report"] {
        assert!(!said.contains(bad), "{said}");
    }
}

/// Runs a command to its end and gives what it says; it must end well.
pub(crate) async fn well(setup: &Setup, words: &[&str]) -> String {
    let ran = common::output(setup.command(words)).await;
    let said = text(&ran.stdout) + &text(&ran.stderr);
    assert!(ran.status.success(), "{words:?}: {said}");
    sound(&said);
    said
}
