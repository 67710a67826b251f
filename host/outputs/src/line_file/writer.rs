//! The blocking half: opening, appending, taking back, rotating.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::error::{IoContext, LineFileError};
use super::repair::repair_tail;
use super::rotation::{folder_of, prune, rename_aside};
use super::{Fsync, Settings};
use crate::lines::Lines;

/// What can go wrong on a disk, so that tests can make it go wrong.
pub(super) trait Disk: Send {
    fn write_all(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self, file: &File) -> io::Result<()>;
    fn now(&self) -> SystemTime;
}

/// The real one.
struct SystemDisk;

impl Disk for SystemDisk {
    fn write_all(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

pub(super) struct Writer {
    settings: Settings,
    disk: Box<dyn Disk>,
    current: Option<Current>,
}

/// The open file. Its lock goes with it.
struct Current {
    file: File,
    /// Device and inode: whether the path still leads here.
    identity: (u64, u64),
    since: SystemTime,
    /// A failed write could not be taken back: the file is good up to here.
    good: Option<u64>,
}

impl Writer {
    pub(super) fn new(settings: Settings) -> Self {
        Self::on(settings, Box::new(SystemDisk))
    }

    pub(super) fn on(settings: Settings, disk: Box<dyn Disk>) -> Self {
        Self {
            settings,
            disk,
            current: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.settings.path
    }

    pub(super) fn open(&mut self) -> Result<(), LineFileError> {
        self.current().map(|_| ())
    }

    pub(super) fn append(&mut self, lines: &Lines) -> Result<(), LineFileError> {
        self.follow_rename();
        let path = self.settings.path.clone();
        let mut start = 0;
        let mut ends = lines.ends();
        while let Some(&first) = ends.first() {
            let length = self.current()?.good_length(&path)?;
            if self.rotation_is_due(length, (first - start) as u64) {
                self.rotate()?;
                continue;
            }
            let fit = start.saturating_add(
                usize::try_from(self.settings.rotation.room(length)).unwrap_or(usize::MAX),
            );
            let count = ends.partition_point(|&end| end <= fit).max(1);
            let (now, later) = ends.split_at_checked(count).unwrap_or((ends, &[]));
            let end = now.last().copied().unwrap_or(start);
            self.write(lines.bytes().get(start..end).unwrap_or_default(), length)?;
            (start, ends) = (end, later);
        }
        Ok(())
    }

    /// Appends after `length` good bytes; on a failure the file is cut back to them.
    fn write(&mut self, bytes: &[u8], length: u64) -> Result<(), LineFileError> {
        let Some(current) = self.current.as_mut() else {
            return Ok(());
        };
        let path = &self.settings.path;
        let written = self
            .disk
            .write_all(&mut current.file, bytes)
            .context("could not write", path)
            .and_then(|()| match self.settings.fsync {
                Fsync::Never => Ok(()),
                Fsync::Batch => self
                    .disk
                    .sync(&current.file)
                    .context("could not sync", path),
            });
        if written.is_err() {
            current.good = Some(length);
            if let Err(error) = current.good_length(path) {
                tracing::warn!(%error, "an unfinished line stays until the next write");
            }
        }
        written
    }

    fn rotation_is_due(&self, length: u64, next: u64) -> bool {
        let since = self.current.as_ref().map(|current| current.since);
        let age = since.and_then(|since| self.disk.now().duration_since(since).ok());
        self.settings
            .rotation
            .due(length, next, age.unwrap_or(Duration::ZERO))
    }

    /// Renames the full file. Its lines are on the disk already, if they must be.
    fn rotate(&mut self) -> Result<(), LineFileError> {
        let path = &self.settings.path;
        let target = rename_aside(path, self.disk.now()).context("could not rename", path)?;
        tracing::info!(from = %path.display(), to = %target.display(), "rotated");
        self.current = None;
        if let Err(error) = prune(path, self.settings.rotation.keep) {
            tracing::warn!(%error, path = %path.display(), "could not delete old files");
        }
        Ok(())
    }

    /// Lets go of a file that was renamed or deleted under us.
    fn follow_rename(&mut self) {
        let Some(current) = &self.current else { return };
        let there = fs::metadata(&self.settings.path)
            .ok()
            .map(|metadata| identity(&metadata));
        if there != Some(current.identity) {
            tracing::info!(path = %self.settings.path.display(), "the file was moved: open anew");
            self.current = None;
        }
    }

    fn current(&mut self) -> Result<&mut Current, LineFileError> {
        let opened = match self.current.take() {
            Some(current) => current,
            None => self.open_file()?,
        };
        Ok(self.current.insert(opened))
    }

    fn open_file(&self) -> Result<Current, LineFileError> {
        let Settings {
            path,
            fsync,
            mode,
            private,
            ..
        } = &self.settings;
        let folder = folder_of(path);
        DirBuilder::new()
            .recursive(true)
            .create(folder)
            .context("could not create", folder)?;
        let existed = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                return Err(LineFileError::NotAFile { path: path.clone() });
            }
            found => found.is_ok(),
        };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        options.mode(mode.bits());
        let mut file = options.open(path).context("could not open", path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => LineFileError::Locked { path: path.clone() },
            TryLockError::Error(source) => LineFileError::Io {
                doing: "could not lock",
                path: path.clone(),
                source,
            },
        })?;
        repair_tail(&mut file, path)?;
        let metadata = file.metadata().context("could not look at", path)?;
        if !existed && metadata.mode() & 0o777 != mode.bits() {
            // The mask of the process took something away.
            file.set_permissions(fs::Permissions::from_mode(mode.bits()))
                .context("could not set the mode of", path)?;
        }
        if *private && metadata.mode() & 0o077 != 0 {
            let owner_only = fs::Permissions::from_mode(0o600);
            file.set_permissions(owner_only)
                .context("could not close to others", path)?;
            tracing::warn!(path = %path.display(), "others could read it: set its mode to 0600");
        }
        if *fsync == Fsync::Batch && !existed {
            // The name of a new file must be on the disk too.
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .context("could not sync", folder)?;
        }
        let since = match metadata.created() {
            Ok(created) if existed => created,
            Err(_) if existed => metadata.modified().unwrap_or_else(|_| self.disk.now()),
            _ => self.disk.now(),
        };
        Ok(Current {
            file,
            identity: identity(&metadata),
            since,
            good: None,
        })
    }

    pub(super) fn check(&self) -> Result<(), LineFileError> {
        let path = &self.settings.path;
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                Err(LineFileError::NotAFile { path: path.clone() })
            }
            Ok(_) => File::options()
                .append(true)
                .open(path)
                .context("could not open", path)
                .map(|_| ()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => check_folder(folder_of(path)),
            Err(error) => Err(error).context("could not look at", path),
        }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        // Closing alone lets go only when no process that is just being started from
        // this one has a copy of the file.
        let _held_until_closed = self.file.unlock();
    }
}

impl Current {
    /// The length of the whole lines; what a failed write left after them is cut first.
    fn good_length(&mut self, path: &Path) -> Result<u64, LineFileError> {
        let length = self
            .file
            .metadata()
            .context("could not look at", path)?
            .len();
        let Some(good) = self.good.filter(|good| *good < length) else {
            self.good = None;
            return Ok(length);
        };
        self.file
            .set_len(good)
            .context("could not take back an unfinished line of", path)?;
        self.good = None;
        Ok(good)
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Could a file be made here? Tries with one of its own, which it removes again: the
/// permission bits alone say too little.
fn check_folder(folder: &Path) -> Result<(), LineFileError> {
    let existing = folder
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(folder);
    let existing = if existing.as_os_str().is_empty() {
        Path::new(".")
    } else {
        existing
    };
    let probe = existing.join(format!(".misp-ecs-check-{}", std::process::id()));
    File::create_new(&probe)
        .and_then(|_| fs::remove_file(&probe))
        .context("could not create a file in", existing)
}
