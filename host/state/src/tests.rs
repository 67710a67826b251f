use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use pipeline::{Class, Classify, Commit, Cursor, State};
use redb::{Database, ReadableDatabase, TableDefinition, WriteTransaction};

use crate::error::Trouble;
use crate::schema::STEPS;
use crate::tables::meta;
use crate::tables::names::{self, Kind};
use crate::versions::BLOCK;
use crate::{Store, StoreError};

fn commit(store: &Store, instance: &str, cursor: &str, version: u64) {
    let cursor = Cursor(cursor.to_owned());
    store
        .commit(&Commit {
            instance,
            walk: instance,
            cursor: Some(&cursor),
            version,
            outputs: &[],
            whole: &[],
            no_longer_wanted: &[],
            unread: &[],
        })
        .unwrap();
}

fn cursor(store: &Store, instance: &str) -> Option<String> {
    store.cursor(instance).unwrap().map(|cursor| cursor.0)
}

fn opening(folder: &Path) -> StoreError {
    Store::open(folder).err().unwrap()
}

#[test]
fn what_is_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("deep/state");
    let agent_id = {
        let store = Store::open(&folder).unwrap();
        assert_eq!(cursor(&store, "a"), None);
        assert_eq!(store.instances().unwrap(), Vec::new());
        let first = store.next_version(1_000).unwrap();
        commit(&store, "a", "{\"W\":1}", first);
        commit(&store, "b", "\u{1F600}", store.next_version(1_000).unwrap());
        commit(&store, "a", "{\"W\":2}", store.next_version(1_000).unwrap());
        store.agent_id().to_owned()
    };
    let store = Store::open(&folder).unwrap();
    assert_eq!(store.agent_id(), agent_id);
    assert_eq!(agent_id.len(), 36);
    assert_eq!(cursor(&store, "a").as_deref(), Some("{\"W\":2}"));
    let instances = store.instances().unwrap();
    let facts: Vec<_> = instances
        .iter()
        .map(|state| {
            (
                state.instance.as_str(),
                state.cursor.as_str(),
                state.version,
            )
        })
        .collect();
    assert_eq!(
        facts,
        [("a", "{\"W\":2}", 1_002), ("b", "\u{1F600}", 1_001)]
    );
    assert!(instances.iter().all(|state| state.updated_ms > 0));
}

#[test]
fn folder_and_files_are_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("state");
    let _store = Store::open(&folder).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("state.redb")), 0o600);
    assert_eq!(mode(&folder.join("lock")), 0o600);
}

#[test]
fn a_reset_forgets_one_instance_and_no_version() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let version = store.next_version(5_000).unwrap();
    commit(&store, "a", "1", version);
    commit(&store, "b", "1", version);
    assert!(store.reset("a").unwrap());
    assert!(!store.reset("a").unwrap());
    assert_eq!(
        (cursor(&store, "a"), cursor(&store, "b").as_deref()),
        (None, Some("1"))
    );
    assert!(store.next_version(0).unwrap() > version);
}

#[test]
fn versions_follow_the_clock_and_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for clock in [1_000, 1_000, 5_000, 3, -7, 4_999, 1_000_000, 0] {
        let store = Store::open(folder.path()).unwrap();
        for _ in 0..3 {
            let version = store.next_version(clock).unwrap();
            assert!(version > last, "{version} after {last}");
            assert!(version >= u64::try_from(clock).unwrap_or(0));
            last = version;
        }
    }
    // Clean ends leave nothing out.
    assert_eq!(last, 1_000_005);
}

#[test]
fn a_version_given_out_before_a_crash_is_not_given_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let store = Store::open(folder.path()).unwrap();
        for _ in 0..=BLOCK {
            let version = store.next_version(0).unwrap();
            assert!(version > last, "{version} after {last}");
            last = version;
        }
        store.crash();
    }
    assert!(last <= 3 * 3 * BLOCK, "a crash leaves out a block at most");
}

#[test]
fn the_last_version_is_an_error_and_not_the_first_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.next_version(i64::MAX - 1_000).unwrap();
    let error = store.next_version(0).unwrap_err();
    assert!(
        matches!(error, StoreError::VersionsUsedUp { .. }),
        "{error}"
    );
    assert_eq!(error.class(), Class::Fatal);
}

#[test]
fn instances_at_once_get_different_versions() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let threads: Vec<_> = (0..4)
        .map(|instance| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                let name = format!("instance-{instance}");
                let mut versions = Vec::new();
                for _ in 0..500 {
                    versions.push(store.next_version(1_000).unwrap());
                }
                commit(&store, &name, "done", *versions.last().unwrap());
                assert!(versions.is_sorted());
                versions
            })
        })
        .collect();
    let versions: Vec<u64> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(versions.iter().collect::<BTreeSet<_>>().len(), 2_000);
    assert_eq!(store.instances().unwrap().len(), 4);
}

#[test]
fn a_second_host_is_refused_and_told_who_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    for error in [
        opening(folder.path()),
        Store::set_aside(folder.path()).unwrap_err(),
    ] {
        assert_eq!(error.class(), Class::Fatal);
        let text = error.to_string();
        assert!(
            text.contains(&format!("process {}", std::process::id())),
            "{text}"
        );
    }
    drop(first);
    Store::open(folder.path()).unwrap();
}

#[test]
fn damage_is_reported_and_left_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let store = Store::open(folder.path()).unwrap();
    commit(&store, "a", "1", 1);
    drop(store);
    let whole = fs::read(&path).unwrap();
    let half = &whole[..whole.len() / 2];
    for damaged in [&b""[..], b"garbage", &[0; 100_000], half, &whole[..10]] {
        fs::write(&path, damaged).unwrap();
        let error = opening(folder.path());
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert_eq!(error.class(), Class::Fatal);
        assert!(error.to_string().contains("left as it is"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "{} bytes", damaged.len());
    }
    let aside = Store::set_aside(folder.path()).unwrap().unwrap();
    assert_eq!(fs::read(&aside).unwrap(), &whole[..10]);
    assert_eq!(Store::set_aside(folder.path()).unwrap(), None);
    assert_eq!(cursor(&Store::open(folder.path()).unwrap(), "a"), None);
}

#[test]
fn a_first_start_that_was_cut_short_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.redb.new"), "unfinished").unwrap();
    Store::open(folder.path()).unwrap();
    assert!(!folder.path().join("state.redb.new").exists());
}

#[test]
fn a_flipped_byte_is_found_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let store = Store::open(folder.path()).unwrap();
    commit(&store, "a", "the cursor", 1);
    drop(store);
    let whole = fs::read(&path).unwrap();
    for _ in 0..200 {
        let at = fastrand::usize(..whole.len());
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << fastrand::u8(..8);
        fs::write(&path, &flipped).unwrap();
        match Store::open(folder.path()) {
            Ok(store) => {
                assert_eq!(
                    cursor(&store, "a").as_deref(),
                    Some("the cursor"),
                    "byte {at}"
                );
            }
            Err(error) => assert_eq!(error.class(), Class::Fatal, "byte {at}: {error}"),
        }
    }
}

#[test]
fn a_schema_from_the_future_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    commit(&store, "a", "1", 1);
    drop(store);
    let path = folder.path().join("state.redb");
    change(&path, |transaction| {
        meta::set_schema(transaction, 99).unwrap()
    });
    let error = opening(folder.path());
    assert!(
        matches!(error, StoreError::FromTheFuture { found: 99, .. }),
        "{error}"
    );
    assert_eq!(error.class(), Class::Fatal);
    change(&path, |transaction| {
        assert_eq!(meta::read(transaction).unwrap().schema, 99);
        meta::set_schema(transaction, STEPS.len() as u64).unwrap();
    });
    assert_eq!(
        cursor(&Store::open(folder.path()).unwrap(), "a").as_deref(),
        Some("1")
    );
}

const NEW_TABLE: TableDefinition<'_, &str, u64> = TableDefinition::new("new");

fn add_table(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(NEW_TABLE)?.insert("made", 1)?;
    Ok(())
}

fn fail(transaction: &WriteTransaction) -> Result<(), Trouble> {
    add_table(transaction)?;
    Err(Trouble::Damaged("no upgrade".to_owned()))
}

#[test]
fn an_older_schema_is_upgraded_once_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    commit(&store, "a", "1", 1);
    let agent_id = store.agent_id().to_owned();
    drop(store);
    let mut steps = STEPS.to_vec();
    steps.push(fail);
    let error = Store::open_with(folder.path(), &steps).err().unwrap();
    assert!(error.to_string().contains("no upgrade"), "{error}");
    let database = Database::open(folder.path().join("state.redb")).unwrap();
    database
        .begin_read()
        .unwrap()
        .open_table(NEW_TABLE)
        .unwrap_err();
    drop(database);
    *steps.last_mut().unwrap() = add_table;
    for _ in 0..2 {
        let store = Store::open_with(folder.path(), &steps).unwrap();
        assert_eq!(store.agent_id(), agent_id);
        assert_eq!(cursor(&store, "a").as_deref(), Some("1"));
    }
    assert!(
        matches!(opening(folder.path()), StoreError::FromTheFuture { found, .. }
        if found == STEPS.len() as u64 + 1)
    );
}

type RowOfSchema2 = (u8, u32, u32, Option<i64>, u64, Vec<(u32, u32)>);

const DOCUMENTS_OF_SCHEMA_2: TableDefinition<'_, (u32, &str), RowOfSchema2> =
    TableDefinition::new("documents");

#[test]
fn what_schema_2_knew_of_documents_is_known_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_with(folder.path(), STEPS.get(..2).unwrap()).unwrap();
    drop(store);
    let output = pipeline::OutputKey {
        name: "out".to_owned(),
        target: "there".to_owned(),
    };
    change(&folder.path().join("state.redb"), |transaction| {
        let number = |kind, text: &str| names::number(transaction, kind, text).unwrap();
        let lab = number(Kind::Instance, "lab");
        let out = number(Kind::Output, &names::of_output(&output));
        let (mapping, event) = (number(Kind::Mapping, "digest"), number(Kind::Event, "e"));
        let mut table = transaction.open_table(DOCUMENTS_OF_SCHEMA_2).unwrap();
        let row = (1, lab, mapping, Some(5), 9, vec![(lab, event)]);
        table.insert((out, "id"), row).unwrap();
    });
    let store = Store::open(folder.path()).unwrap();
    let due = store.due("lab", &output, 5, 9).unwrap();
    assert_eq!(due.len(), 1);
    let held = store.read(|transaction| {
        let place = crate::tables::documents::place(transaction, "lab", &output)?;
        let mut reader = crate::tables::documents::Reader::new(transaction, place.unwrap())?;
        let event = names::find(transaction, Kind::Event, "e")?.unwrap();
        reader.held(event, "id", &[], false)
    });
    let held = held.unwrap();
    assert_eq!(held.fate, pipeline::Fate::Delivered);
    assert_eq!(held.places.len(), 1);
    assert_eq!(held.places.first().unwrap().digest, "digest");
    assert_eq!(held.delete_revision, 2);
}

#[test]
fn work_goes_on_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let version = store.next_version(1_000).unwrap();
    commit(&store, "a", "1", version);
    store.fail_once();
    assert_eq!(cursor(&store, "a").as_deref(), Some("1"));
    store.fail_once();
    commit(&store, "a", "2", store.next_version(0).unwrap());
    assert_eq!(cursor(&store, "a").as_deref(), Some("2"));
}

fn change(path: &Path, work: impl FnOnce(&WriteTransaction)) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    work(&transaction);
    transaction.commit().unwrap();
}
