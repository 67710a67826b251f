//! A process that commits in a loop is killed at any moment: after reopening the
//! cursor is the last acknowledged one or newer, and no version comes again. While it
//! lives, no other process gets in.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pipeline::{Commit, Cursor, State};

use crate::{Store, StoreError};

const FOLDER: &str = "MISP_ECS_TEST_CRASH_FOLDER";

/// Not a test of its own: the process that is killed. Its clock stands still, so that
/// versions come from the store alone.
#[test]
#[ignore = "started by kill_at_any_moment"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let store = Store::open(&folder).unwrap();
    let start = position(&store);
    let mut out = std::io::stdout();
    for position in start + 1.. {
        let version = store.next_version(0).unwrap();
        writeln!(out, "version {version}").unwrap();
        let cursor = Cursor(position.to_string());
        store
            .commit(&Commit {
                instance: "a",
                walk: "a",
                cursor: Some(&cursor),
                version,
                outputs: &[],
                whole: &[],
                no_longer_wanted: &[],
                unread: &[],
            })
            .unwrap();
        writeln!(out, "committed {position}").unwrap();
    }
}

fn position(store: &Store) -> u64 {
    store
        .cursor("a")
        .unwrap()
        .map_or(0, |cursor| cursor.0.parse().unwrap())
}

/// Runs the child until it has said so many lines, kills it, and gives what it said.
fn kill_after(folder: &Path, count: usize) -> (Vec<u64>, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash_tests::child", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut versions, mut committed, mut lines) = (Vec::new(), 0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, version)) = line.split_once("version ") {
            versions.push(version.parse().unwrap());
        } else if let Some((_, position)) = line.split_once("committed ") {
            committed = position.parse().unwrap();
        } else {
            continue;
        }
        lines += 1;
        if lines == count {
            let refused = Store::open(folder).err();
            let Some(StoreError::Held { pid, .. }) = refused else {
                panic!("a second host got in: {refused:?}");
            };
            assert_eq!(pid, Some(child.id()));
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(lines >= count, "the child ended by itself");
    (versions, committed)
}

#[test]
fn kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (mut last_version, mut last_committed) = (0, 0);
    for _ in 0..30 {
        let (versions, committed) = kill_after(folder.path(), fastrand::usize(1..40));
        for version in versions {
            assert!(version > last_version, "{version} after {last_version}");
            last_version = version;
        }
        last_committed = committed.max(last_committed);
        let store = Store::open(folder.path()).unwrap();
        let found = position(&store);
        assert!(
            found >= last_committed,
            "{found} is older than {last_committed}"
        );
        store.crash();
    }
}
