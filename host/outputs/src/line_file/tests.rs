use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use pipeline::{Class, Classify};
use units::ByteSize;

use super::writer::{Disk, Writer};
use super::{FileMode, Fsync, LineFileError, Rotation, Settings};
use crate::lines::Lines;

/// A disk with a clock of its own that fails as told.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Faults>>);

#[derive(Default)]
struct Faults {
    /// Bytes of the next write that still fit, then it fails once.
    full_after: Option<usize>,
    sync_fails: bool,
    syncs: u32,
    now_ms: u64,
}

impl Disk for Fake {
    fn write_all(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        match self.0.lock().unwrap().full_after.take() {
            Some(room) => {
                file.write_all(&bytes[..room.min(bytes.len())])?;
                Err(io::ErrorKind::StorageFull.into())
            }
            None => file.write_all(bytes),
        }
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        let mut faults = self.0.lock().unwrap();
        faults.syncs += 1;
        if std::mem::take(&mut faults.sync_fails) {
            return Err(io::Error::other("no power"));
        }
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.lock().unwrap().now_ms)
    }
}

struct Setup {
    folder: tempfile::TempDir,
    disk: Fake,
}

impl Setup {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            disk: Fake::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.ndjson")
    }

    fn writer(&self, rotation: Rotation, fsync: Fsync) -> Writer {
        let settings = Settings {
            path: self.path(),
            rotation,
            fsync,
            mode: FileMode::OWNER,
            private: false,
        };
        Writer::on(settings, Box::new(self.disk.clone()))
    }

    /// Every file of the folder, by name, with its text.
    fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }
}

fn lines(texts: &[&str]) -> Lines {
    let mut lines = Lines::default();
    for text in texts {
        lines
            .push(|line| {
                line.extend_from_slice(text.as_bytes());
                Ok::<_, ()>(())
            })
            .unwrap();
    }
    lines
}

fn by_size(size: u64) -> Rotation {
    Rotation {
        size: ByteSize(size),
        ..Rotation::default()
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_full_disk_leaves_no_partial_line_and_the_batch_can_come_again() {
    for room in 0..6 {
        let setup = Setup::new();
        let mut writer = setup.writer(Rotation::default(), Fsync::Batch);
        writer.append(&lines(&["{}"])).unwrap();
        setup.disk.0.lock().unwrap().full_after = Some(room);
        let error = writer.append(&lines(&["{1}", "{2}"])).unwrap_err();
        assert_eq!(error.class(), Class::Transient { after: None });
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(read(&setup.path()), "{}\n");
        writer.append(&lines(&["{1}", "{2}"])).unwrap();
        assert_eq!(read(&setup.path()), "{}\n{1}\n{2}\n");
    }
}

#[test]
fn a_failed_sync_is_no_acknowledgement() {
    let setup = Setup::new();
    let mut writer = setup.writer(Rotation::default(), Fsync::Batch);
    setup.disk.0.lock().unwrap().sync_fails = true;
    let error = writer.append(&lines(&["{}"])).unwrap_err();
    assert!(error.to_string().contains("could not sync"), "{error}");
    assert_eq!(read(&setup.path()), "");
    writer.append(&lines(&["{}"])).unwrap();
    assert_eq!(read(&setup.path()), "{}\n");
}

#[test]
fn fsync_follows_the_policy() {
    for (fsync, syncs) in [(Fsync::Never, 0), (Fsync::Batch, 2)] {
        let setup = Setup::new();
        let mut writer = setup.writer(Rotation::default(), fsync);
        writer.append(&lines(&["{1}", "{2}"])).unwrap();
        writer.append(&lines(&["{3}"])).unwrap();
        assert_eq!(setup.disk.0.lock().unwrap().syncs, syncs, "{fsync:?}");
    }
}

#[test]
fn size_rotates_between_lines_within_one_batch() {
    let setup = Setup::new();
    let mut writer = setup.writer(by_size(8), Fsync::Batch);
    writer
        .append(&lines(&["{1}", "{2}", "{3}", "{a long line}", "{4}"]))
        .unwrap();
    writer.append(&lines(&["{5}"])).unwrap();
    writer.append(&lines(&["{6}"])).unwrap();
    let texts: Vec<String> = setup.files().into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        texts,
        [
            "{1}\n{2}\n",
            "{3}\n",
            "{a long line}\n",
            "{4}\n{5}\n",
            "{6}\n"
        ]
    );
    assert_eq!(read(&setup.path()), "{6}\n");
}

#[test]
fn age_rotates_with_the_first_line_after_it() {
    let setup = Setup::new();
    let rotation = Rotation {
        age: units::Duration::from_secs(10),
        ..Rotation::default()
    };
    let mut writer = setup.writer(rotation, Fsync::Never);
    for (now_ms, text) in [(0, "{1}"), (9_999, "{2}"), (10_000, "{3}"), (19_999, "{4}")] {
        setup.disk.0.lock().unwrap().now_ms = now_ms;
        writer.append(&lines(&[text])).unwrap();
    }
    assert_eq!(
        setup.files(),
        [
            (
                "a-19700101T000010.000Z.ndjson".to_owned(),
                "{1}\n{2}\n".to_owned()
            ),
            ("a.ndjson".to_owned(), "{3}\n{4}\n".to_owned())
        ]
    );
}

#[test]
fn the_newest_renamed_files_are_kept() {
    let setup = Setup::new();
    let mut writer = setup.writer(
        Rotation {
            keep: 2,
            ..by_size(4)
        },
        Fsync::Never,
    );
    writer
        .append(&lines(&["{1}", "{2}", "{3}", "{4}", "{5}"]))
        .unwrap();
    let texts: Vec<String> = setup.files().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["{3}\n", "{4}\n", "{5}\n"]);
}

#[test]
fn a_failure_after_a_rotation_keeps_every_line_whole() {
    let setup = Setup::new();
    let mut writer = setup.writer(by_size(8), Fsync::Batch);
    writer.append(&lines(&["{1}", "{2}"])).unwrap();
    setup.disk.0.lock().unwrap().full_after = Some(2);
    writer.append(&lines(&["{3}", "{4}"])).unwrap_err();
    writer.append(&lines(&["{3}", "{4}"])).unwrap();
    let texts: Vec<String> = setup.files().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["{1}\n{2}\n", "{3}\n{4}\n"]);
}

#[test]
fn a_file_moved_by_another_program_is_opened_anew() {
    let setup = Setup::new();
    let mut writer = setup.writer(Rotation::default(), Fsync::Batch);
    let moved = setup.folder.path().join("moved");
    writer.append(&lines(&["{1}"])).unwrap();
    fs::rename(setup.path(), &moved).unwrap();
    writer.append(&lines(&["{2}"])).unwrap();
    assert_eq!(
        (read(&moved), read(&setup.path())),
        ("{1}\n".to_owned(), "{2}\n".to_owned())
    );
    fs::remove_file(setup.path()).unwrap();
    writer.append(&lines(&["{3}"])).unwrap();
    assert_eq!(read(&setup.path()), "{3}\n");
}

#[test]
fn a_file_truncated_by_another_program_is_not_filled_with_zeros() {
    let setup = Setup::new();
    let mut writer = setup.writer(Rotation::default(), Fsync::Batch);
    writer.append(&lines(&["{1}", "{2}"])).unwrap();
    File::options()
        .write(true)
        .open(setup.path())
        .unwrap()
        .set_len(0)
        .unwrap();
    setup.disk.0.lock().unwrap().full_after = Some(1);
    writer.append(&lines(&["{3}"])).unwrap_err();
    writer.append(&lines(&["{3}"])).unwrap();
    assert_eq!(read(&setup.path()), "{3}\n");
}

#[test]
fn an_unfinished_line_is_cut_before_the_first_append() {
    let setup = Setup::new();
    fs::write(setup.path(), "{1}\n{\"a\":").unwrap();
    setup
        .writer(Rotation::default(), Fsync::Batch)
        .append(&lines(&["{2}"]))
        .unwrap();
    assert_eq!(read(&setup.path()), "{1}\n{2}\n");
    fs::write(setup.path(), "mine").unwrap();
    let error = setup
        .writer(Rotation::default(), Fsync::Batch)
        .append(&lines(&["{2}"]));
    let error = error.unwrap_err();
    assert!(matches!(error, LineFileError::NotLines { .. }), "{error}");
    assert_eq!(
        (error.class(), read(&setup.path()).as_str()),
        (Class::Fatal, "mine")
    );
}
