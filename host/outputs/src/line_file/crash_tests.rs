//! A process that writes in a loop is killed at any moment: what it had acknowledged
//! is there, and after the repair every line is whole.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use units::ByteSize;

use super::writer::Writer;
use super::{Fsync, Rotation, Settings};
use crate::lines::Lines;

const FOLDER: &str = "MISP_ECS_TEST_CRASH_FOLDER";
const ROUND: &str = "MISP_ECS_TEST_CRASH_ROUND";

fn writer(folder: &Path) -> Writer {
    Writer::new(Settings {
        path: folder.join("a.ndjson"),
        rotation: Rotation {
            size: ByteSize::mib(2),
            ..Rotation::default()
        },
        fsync: Fsync::Never,
        mode: super::FileMode::OWNER,
        private: false,
    })
}

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "started by kill_at_any_moment"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    let mut writer = writer(&folder);
    let mut out = std::io::stdout();
    for batch in 0.. {
        let mut lines = Lines::default();
        for line in 0..4 {
            let id = format!("{round}-{batch}-{line}");
            let pad = "x".repeat(fastrand::usize(0..200_000));
            let document = serde_json::json!({ "id": id, "pad": pad });
            lines
                .push(|bytes| serde_json::to_writer(bytes, &document))
                .unwrap();
        }
        writeln!(out, "writing").unwrap();
        writer.append(&lines).unwrap();
        for line in 0..4 {
            writeln!(out, "acknowledged {round}-{batch}-{line}").unwrap();
        }
        out.flush().unwrap();
    }
}

/// Runs the child, kills it while it writes its batch number `count`, and gives the ids
/// it acknowledged.
fn kill_in(folder: &Path, round: usize, count: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "line_file::crash_tests::child",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut acknowledged, mut batches) = (Vec::new(), 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, id)) = line.split_once("acknowledged ") {
            acknowledged.push(id.to_owned());
        } else if line.ends_with("writing") {
            batches += 1;
            if batches == count {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(batches >= count, "the child ended by itself");
    acknowledged
}

#[test]
fn kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..20 {
        acknowledged.extend(kill_in(folder.path(), round, 1 + round));
    }
    writer(folder.path()).open().unwrap();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        for line in fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            let document: serde_json::Value = serde_json::from_str(line).unwrap();
            found.insert(document["id"].as_str().unwrap().to_owned());
        }
    }
    let missing: Vec<_> = acknowledged.difference(&found).collect();
    assert!(
        missing.is_empty(),
        "acknowledged but not there: {missing:?}"
    );
}
