//! One host a folder: the file `lock` is locked as long as the store is open, and says
//! which process has it. The system lets go of the lock when the process ends, however
//! it ends; what the file says then means nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::StoreError;
use crate::error::IoContext;

/// A held lock: dropping it lets go.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone lets go only when no process that is just being started from
        // this one has a copy of the file.
        let _held_until_closed = self.file.unlock();
    }
}

impl Lock {
    pub(crate) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .context("could not open", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Held {
                    folder: folder.to_owned(),
                    pid: pid_in(&file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(error).context("could not lock", &path),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .context("could not write", &path)?;
        Ok(Self { file })
    }
}

/// Who says to hold it. Between locking and writing there is a moment without a name.
fn pid_in(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
