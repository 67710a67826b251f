//! When a file is full, and what it is called afterwards.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use units::ByteSize;

/// When to start a new file and how many old ones to keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// Before the file grows past this; 0 = never.
    pub(crate) size: ByteSize,
    /// With the first line after this time; 0 = never.
    pub(crate) age: units::Duration,
    /// Renamed files to keep; 0 = all.
    pub(crate) keep: u32,
}

impl Rotation {
    /// Must a file of this length and age be replaced before a line of `next` bytes?
    /// Never an empty one: a line longer than `size` gets a file for itself.
    pub(super) fn due(&self, length: u64, next: u64, age: Duration) -> bool {
        let by_size = !self.size.is_zero() && length.saturating_add(next) > self.size.bytes();
        let by_age = !self.age.is_zero() && age >= self.age.get();
        length > 0 && (by_size || by_age)
    }

    /// How many bytes fit after `length`.
    pub(super) fn room(&self, length: u64) -> u64 {
        if self.size.is_zero() {
            u64::MAX
        } else {
            self.size.bytes().saturating_sub(length)
        }
    }
}

/// Renames the file to `NAME-20260101T000000.000Z.EXT`, later than every such name
/// there and never onto an existing file. Gives the new path.
pub(super) fn rename_aside(path: &Path, now: SystemTime) -> io::Result<PathBuf> {
    let latest = renamed(path)?.into_iter().next_back().map(|(time, _)| time);
    let after_latest = latest.map_or(SystemTime::UNIX_EPOCH, next_millisecond);
    let mut time = now.max(after_latest);
    loop {
        let target = name_at(path, time);
        // The name is claimed first: renaming alone would overwrite.
        match File::create_new(&target) {
            Ok(_) => {
                let renamed = fs::rename(path, &target);
                if renamed.is_err() {
                    let _claim = fs::remove_file(&target);
                }
                return renamed.map(|()| target);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                time = next_millisecond(time);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Deletes the oldest renamed files beyond `keep`; 0 keeps all.
pub(super) fn prune(path: &Path, keep: u32) -> io::Result<()> {
    let renamed = renamed(path)?;
    let surplus = match keep {
        0 => 0,
        keep => renamed.len().saturating_sub(keep as usize),
    };
    for (_, old) in renamed.into_iter().take(surplus) {
        fs::remove_file(&old)?;
        tracing::info!(path = %old.display(), keep, "deleted an old file");
    }
    Ok(())
}

/// The files that were renamed from this path, oldest first.
fn renamed(path: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder_of(path))? {
        let candidate = entry?.path();
        if let Some(time) = time_in_name(path, &candidate) {
            found.push((time, candidate));
        }
    }
    found.sort();
    Ok(found)
}

/// The files that were renamed from this path, oldest first, and the file itself, if they are
/// there.
pub(crate) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let renamed = match renamed(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        renamed => renamed?,
    };
    let mut files: Vec<PathBuf> = renamed.into_iter().map(|(_, path)| path).collect();
    files.push(path.to_owned());
    Ok(files)
}

/// The folder that holds the path; `.` for a bare name.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn next_millisecond(time: SystemTime) -> SystemTime {
    time + Duration::from_millis(1)
}

fn name_at(path: &Path, time: SystemTime) -> PathBuf {
    let stamp = humantime::format_rfc3339_millis(time)
        .to_string()
        .replace(['-', ':'], "");
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push("-");
    name.push(stamp);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// The time in `candidate`'s name, if `name_at` made exactly that name for `path`.
fn time_in_name(path: &Path, candidate: &Path) -> Option<SystemTime> {
    let stem = path.file_stem()?.to_str()?;
    let name = candidate.file_name()?.to_str()?;
    let stamp = name
        .strip_prefix(stem)?
        .strip_prefix('-')?
        .get(.."20260101T000000.000Z".len())?;
    let (date, clock) = stamp.split_once('T')?;
    let spaced = format!(
        "{}-{}-{}T{}:{}:{}",
        date.get(..4)?,
        date.get(4..6)?,
        date.get(6..)?,
        clock.get(..2)?,
        clock.get(2..4)?,
        clock.get(4..)?
    );
    let time = humantime::parse_rfc3339(&spaced).ok()?;
    (name_at(path, time).file_name()? == candidate.file_name()?).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_due_at_the_edge_of_its_size_and_age() {
        let rotation = Rotation {
            size: ByteSize(10),
            age: units::Duration::from_secs(5),
            keep: 0,
        };
        let young = Duration::from_millis(4_999);
        assert!(!rotation.due(4, 6, young));
        assert!(rotation.due(4, 7, young));
        assert!(!rotation.due(0, 100, young));
        assert!(rotation.due(1, 1, Duration::from_secs(5)));
        assert!(!rotation.due(0, 1, Duration::from_secs(5)));
        let never = Rotation::default();
        assert!(!never.due(u64::MAX, u64::MAX, Duration::MAX));
        assert_eq!((rotation.room(4), never.room(4)), (6, u64::MAX));
    }

    #[test]
    fn names_sort_by_time_even_when_the_clock_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        for (content, now) in [("1", 1_000), ("2", 1_000), ("3", 10)] {
            fs::write(&path, content).unwrap();
            rename_aside(&path, at(now)).unwrap();
        }
        let names = names(folder.path());
        assert_eq!(
            names,
            [
                "a-19700101T000001.000Z.ndjson",
                "a-19700101T000001.001Z.ndjson",
                "a-19700101T000001.002Z.ndjson"
            ]
        );
        let contents: Vec<String> = names
            .iter()
            .map(|name| fs::read_to_string(folder.path().join(name)).unwrap())
            .collect();
        assert_eq!(contents, ["1", "2", "3"]);
    }

    #[test]
    fn only_own_names_are_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        let others = [
            "a-b.ndjson",
            "a-20260101T000000.000Z.txt",
            "ab-19700101T000001.000Z.ndjson",
        ];
        for other in others {
            fs::write(folder.path().join(other), "").unwrap();
        }
        for now in [1, 2, 3] {
            fs::write(&path, "").unwrap();
            rename_aside(&path, at(now)).unwrap();
        }
        prune(&path, 0).unwrap();
        assert_eq!(names(folder.path()).len(), 6);
        prune(&path, 1).unwrap();
        let names = names(folder.path());
        assert_eq!(names.len(), 4);
        assert!(
            names.contains(&"a-19700101T000000.003Z.ndjson".to_owned()),
            "{names:?}"
        );
        assert!(
            others
                .iter()
                .all(|other| names.contains(&(*other).to_owned())),
            "{names:?}"
        );
    }

    #[test]
    fn a_name_without_extension_works() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("documents");
        fs::write(&path, "").unwrap();
        let target = rename_aside(&path, at(5)).unwrap();
        assert_eq!(target, folder.path().join("documents-19700101T000000.005Z"));
        assert_eq!(time_in_name(&path, &target), Some(at(5)));
    }
}
