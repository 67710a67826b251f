//! SIGKILL at any moment, while somebody edits: whatever was half done, the next passes bring
//! the output to what the server has, and say so themselves. Into a file with a MISP that is
//! well, and into an Elasticsearch with faults on both sides ([`both`]).
//!
//! An ordinary test run kills about three times for each variant. The long one:
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

mod both;
#[path = "../common/mod.rs"]
mod common;
mod editor;
mod host;
mod index;
mod operators;
mod output;
mod soak;

use std::sync::Arc;

use common::Setup;
use misp_ecs_tests::FakeMisp;

use crate::host::{Host, Moment, Signs, well};
use crate::output::{Shown, account, length, same, standing, written};

/// By how many bytes the file grows in a pass, about.
const GROWS: u64 = 200_000;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

async fn killed_again_and_again(endpoint: &str, cursor: &str, nth: u64) {
    let seed = number("MISP_ECS_SEED", 1) * 4 + nth;
    let kills = number("MISP_ECS_KILLS", 3);
    let mut random = fastrand::Rng::with_seed(seed);
    let misp = Arc::new(FakeMisp::start().await);
    misp.with_store(editor::fill);
    let extra = format!(", endpoint: {endpoint}, cursor: {cursor}, attributes_page: 40");
    let setup = Setup::with_deletes(&misp, &extra);
    let editing = editor::start(Arc::clone(&misp), random.fork(), 1_000);
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
        let moment = Moment::random(&mut random, GROWS);
        let before = (misp.request_count(), written(&setup));
        let mut host = Host::start(&setup, words);
        let signs = Signs {
            misp: &misp,
            size: &|| length(&setup),
        };
        let ended = host.until(&moment, &signs).await;
        if ended.is_none() {
            host.kill().await;
            killed += 1;
        }
        let after = (misp.request_count(), written(&setup));
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
        misp.request_count()
    );
    // Somebody reviews what was left half done.
    misp.with_store(editor::publish_all);
    let said = well(&setup, &["sweep", "--confirm"]).await;
    account(&said);
    let wanted: Shown = misp.with_store(|store| editor::database(store, cursor == "timestamp"));
    let found = standing(&setup);
    same(&wanted, &found, &format!("seed {seed}: {said}"));
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
