//! SIGKILL at any moment, while somebody edits: whatever was half done, the next passes bring
//! the output to what the server has, and say so themselves.
//!
//! An ordinary test run kills five times for each endpoint and cursor. The long one:
//!
//! ```sh
//! MISP_ECS_KILLS=50 cargo test -p misp-ecs --test kills -- --nocapture
//! ```
//!
//! Seeds are printed; `MISP_ECS_SEED=N` begins with that one. A seed makes the same acts and the
//! same moments; which instruction a moment falls on is up to the machine.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail the test"
)]

#[path = "../common/mod.rs"]
mod common;
mod editor;
mod output;

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use common::{Setup, text};
use misp_ecs_tests::FakeMisp;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};

use crate::output::{Shown, account, length, standing, written};

const KILLS: u64 = 5;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// When a process is killed, unless it ends before.
#[derive(Debug)]
enum Moment {
    /// The server has got so many requests of it, and so many turns of the executor have passed.
    Requests(usize, u32),
    /// It has said so many lines.
    Lines(usize, u32),
    /// The output has grown by so many bytes: written, and nothing of it is remembered yet.
    Written(u64),
}

impl Moment {
    fn random(random: &mut fastrand::Rng) -> Self {
        let turns = match random.u8(0..3) {
            0 => 0,
            1 => random.u32(0..200),
            _ => random.u32(0..20_000),
        };
        match random.u8(0..3) {
            0 => Self::Requests(random.usize(1..14), turns),
            1 => Self::Lines(random.usize(1..90), turns),
            // Half of them at the first byte.
            _ => Self::Written(1 + random.u64(0..2) * random.u64(0..200_000)),
        }
    }

    /// Comes when the moment does; never if what is waited for does not.
    async fn comes(
        &self,
        misp: &FakeMisp,
        before: (usize, u64),
        setup: &Setup,
        stderr: impl AsyncRead + Unpin,
    ) {
        let mut lines = BufReader::new(stderr).lines();
        let turns = match *self {
            Self::Requests(count, turns) => {
                meanwhile_read(&mut lines, misp.arrived(before.0 + count)).await;
                turns
            }
            Self::Lines(count, turns) => {
                for _ in 0..count {
                    if !matches!(lines.next_line().await, Ok(Some(_))) {
                        std::future::pending::<()>().await;
                    }
                }
                turns
            }
            Self::Written(bytes) => {
                let grows = async {
                    while length(setup) < before.1 + bytes {
                        tokio::task::yield_now().await;
                    }
                };
                meanwhile_read(&mut lines, grows).await;
                0
            }
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
}

/// Waits, and reads on: the host must not wait for a reader of what it says.
async fn meanwhile_read(
    lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>,
    wait: impl Future<Output = ()>,
) {
    let read_on = async {
        while let Ok(Some(_)) = lines.next_line().await {}
        std::future::pending().await
    };
    tokio::select! {
        () = wait => {}
        () = read_on => {}
    }
}

/// Starts the host and kills it at the moment; gives how it ended if it did so before.
async fn kill_at(
    setup: &Setup,
    misp: &FakeMisp,
    words: &[&str],
    moment: &Moment,
) -> Option<ExitStatus> {
    let before = (misp.requests().len(), length(setup));
    let mut command = setup.command(words);
    command.args(["--log", "debug"]);
    let mut child = tokio::process::Command::from(command)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    let ended = tokio::select! {
        ended = child.wait() => Some(ended.unwrap()),
        () = moment.comes(misp, before, setup, stderr) => None,
    };
    if ended.is_none() {
        // SIGKILL.
        child.kill().await.unwrap();
    }
    ended
}

/// Runs a command to its end and gives what it says; it must end well.
async fn well(setup: &Setup, words: &[&str]) -> String {
    let ran = common::output(setup.command(words)).await;
    let said = text(&ran.stdout) + &text(&ran.stderr);
    assert!(ran.status.success(), "{words:?}: {said}");
    said
}

async fn killed_again_and_again(endpoint: &str, cursor: &str, nth: u64) {
    let seed = number("MISP_ECS_SEED", 1) * 4 + nth;
    let kills = number("MISP_ECS_KILLS", KILLS);
    let mut random = fastrand::Rng::with_seed(seed);
    let misp = Arc::new(FakeMisp::start().await);
    misp.with_store(editor::fill);
    let extra = format!(", endpoint: {endpoint}, cursor: {cursor}, attributes_page: 40");
    let setup = Setup::with_deletes(&misp, &extra);
    let editing = editor::start(Arc::clone(&misp), random.fork());
    let (mut starts, mut killed, mut asked, mut wrote) = (0, 0, 0, 0);
    while killed < kills {
        starts += 1;
        // Nor does anybody wait for a host that is down.
        misp.with_store(|store| editor::some_acts(store, &mut random, 2_000_000 + starts * 100));
        let words: &[&str] = if random.u8(0..3) == 0 {
            &["sweep", "--confirm"]
        } else {
            &["run", "--once"]
        };
        let moment = Moment::random(&mut random);
        let before = (misp.requests().len(), written(&setup));
        let ended = kill_at(&setup, &misp, words, &moment).await;
        killed += u64::from(ended.is_none());
        let after = (misp.requests().len(), written(&setup));
        asked += u64::from(after.0 > before.0);
        wrote += u64::from(after.1 > before.1);
        if let Some(status) = ended {
            assert!(status.success(), "seed {seed}, start {starts}: {status}");
        }
    }
    editing.abort();
    assert!(editing.await.is_err_and(|error| error.is_cancelled()));
    eprintln!(
        "{endpoint}, {cursor}: seed {seed}, {starts} starts, {killed} killed; {asked} asked and \
         {wrote} wrote; {} requests",
        misp.requests().len()
    );
    // Somebody reviews what was left half done.
    misp.with_store(editor::publish_all);
    let said = well(&setup, &["sweep", "--confirm"]).await;
    account(&said);
    let wanted: Shown = misp.with_store(|store| editor::database(store, cursor == "timestamp"));
    let found = standing(&setup);
    let differ: Vec<_> = wanted
        .iter()
        .filter(|(uuid, what)| found.get(*uuid) != Some(what))
        .map(|(uuid, what)| (uuid, what, found.get(uuid)))
        .collect();
    assert!(differ.is_empty(), "seed {seed}: differ {differ:?}\n{said}");
    let left: Vec<_> = found
        .iter()
        .filter(|(uuid, _)| !wanted.contains_key(*uuid))
        .collect();
    assert!(
        left.is_empty(),
        "seed {seed}: not withdrawn {left:?}\n{said}"
    );
    assert!(wanted.len() > 100);
    let said = well(&setup, &["audit"]).await;
    assert!(said.contains("nothing differs"), "seed {seed}: {said}");
    let before = written(&setup);
    let said = well(&setup, &["run", "--once"]).await;
    account(&said);
    assert!(said.contains("written   0 to out"), "seed {seed}: {said}");
    assert_eq!(written(&setup), before, "seed {seed}: sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_by_publish() {
    killed_again_and_again("events", "publish", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_by_timestamp() {
    killed_again_and_again("events", "timestamp", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_by_publish() {
    killed_again_and_again("attributes", "publish", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_by_timestamp() {
    killed_again_and_again("attributes", "timestamp", 3).await;
}
