//! What is made of files, and made again when one of them changes: certificates that live for a
//! day are replaced while the host runs.

use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What files were when they were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamps(Vec<Option<FileStamp>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl FileStamps {
    /// Looks at these files. One that is missing is remembered as missing.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        let stamps = files.into_iter().map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some(FileStamp {
                inode: metadata.ino(),
                length: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
            })
        });
        Self(stamps.collect())
    }
}

/// A value that is made of files, such as an HTTP client.
#[derive(Debug)]
pub struct Renewed<T> {
    files: Vec<PathBuf>,
    current: Mutex<(FileStamps, T)>,
}

impl<T: Clone> Renewed<T> {
    /// Makes the value.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn new<E>(
        files: impl IntoIterator<Item = PathBuf>,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Self, E> {
        let files: Vec<PathBuf> = files.into_iter().collect();
        // Before they are read: what changes meanwhile is seen the next time.
        let stamps = FileStamps::of(files.iter().map(PathBuf::as_path));
        Ok(Self {
            files,
            current: Mutex::new((stamps, make()?)),
        })
    }

    /// Returns the value, made again if a file has changed since. Files that cannot be used are
    /// logged once, and the value stays what it was until they change again.
    pub fn current<E: Display>(&self, make: impl FnOnce() -> Result<T, E>) -> T {
        let now = FileStamps::of(self.files.iter().map(PathBuf::as_path));
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (stamps, value) = &mut *current;
        if *stamps != now {
            *stamps = now;
            match make() {
                Ok(made) => {
                    tracing::info!("certificate files have changed and are used from now on");
                    *value = made;
                }
                Err(error) => tracing::warn!(
                    %error,
                    "certificate files have changed and cannot be used, continuing with the \
                     earlier ones"
                ),
            }
        }
        value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_again_when_a_file_changes_and_stays_if_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let read = || std::fs::read_to_string(&file);
        std::fs::write(&file, "a").unwrap();
        let renewed = Renewed::new([file.clone()], read).unwrap();
        let made = std::cell::Cell::new(false);
        let same = || -> std::io::Result<String> {
            made.set(true);
            Err(std::io::Error::other("nothing has changed"))
        };
        assert_eq!(renewed.current(same), "a");
        std::fs::write(&file, "bc").unwrap();
        assert_eq!(renewed.current(read), "bc");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(renewed.current(read), "bc");
        assert_eq!(renewed.current(same), "bc", "one try for each change");
        std::fs::write(&file, "d").unwrap();
        assert_eq!(renewed.current(read), "d");
        assert!(!made.get());
    }
}
