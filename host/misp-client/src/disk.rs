//! A body that is spooled to a disk on which others need room as well.

use std::io;
use std::path::{Path, PathBuf};

use splitter::{Spool, SpoolError, SpoolLimits};

use crate::body::Keep;

/// Bytes between two looks at the free space.
const EVERY: u64 = 4 << 20;
/// The most that is kept free, bytes; on a small file system a tenth of it.
const RESERVE: u64 = 1 << 30;

/// A spool that ends before it takes the last of its disk: the state and the dead letters may be
/// on the same one.
#[derive(Debug)]
pub struct DiskSpool {
    spool: Spool,
    directory: PathBuf,
    /// Bytes until the free space is looked at.
    unchecked: u64,
    space: fn(&Path) -> Option<Space>,
}

/// Bytes of a disk.
#[derive(Debug, Clone, Copy)]
struct Space {
    free: u64,
    all: u64,
}

/// `None`: the spool says what is wrong with the folder.
fn space(directory: &Path) -> Option<Space> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    Some(Space {
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
        all: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

impl DiskSpool {
    /// An empty body.
    pub fn new(limits: SpoolLimits) -> Self {
        Self {
            directory: limits.directory.clone().unwrap_or_else(std::env::temp_dir),
            // Before the first byte goes to the disk.
            unchecked: limits.memory as u64,
            spool: Spool::new(limits),
            space,
        }
    }

    /// The body is complete.
    pub(crate) fn into_spool(self) -> Spool {
        self.spool
    }

    fn look(&self) -> io::Result<()> {
        let Some(Space { free, all }) = (self.space)(&self.directory) else {
            return Ok(());
        };
        let reserve = (all / 10).min(RESERVE);
        if free >= reserve {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!(
                "{} MiB are free on the disk of {} and {} MiB stay reserved for the state; free \
                 space there or set `spool_path`",
                free >> 20,
                self.directory.display(),
                reserve >> 20
            ),
        ))
    }
}

impl Keep for DiskSpool {
    fn push(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        let length = piece.len() as u64;
        match self.unchecked.checked_sub(length) {
            Some(left) => self.unchecked = left,
            None => {
                self.look()?;
                self.unchecked = EVERY;
            }
        }
        self.spool.push(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn spool(space: fn(&Path) -> Option<Space>) -> DiskSpool {
        let limits = SpoolLimits {
            memory: MIB,
            ..SpoolLimits::default()
        };
        DiskSpool {
            space,
            ..DiskSpool::new(limits)
        }
    }

    #[test]
    fn the_last_of_a_disk_is_not_taken() {
        let full = |_: &Path| Some(Space { free: 9, all: 100 });
        let mut small = spool(full);
        small.push(&vec![0; MIB]).unwrap();
        let error = small.push(&[0]).unwrap_err().to_string();
        assert!(error.contains("spool_path"), "{error}");
        let spaces: [fn(&Path) -> Option<Space>; 2] = [
            |_| Some(Space { free: 10, all: 100 }),
            |_| {
                Some(Space {
                    free: RESERVE,
                    all: u64::MAX,
                })
            },
        ];
        for space in spaces {
            let mut spool = spool(space);
            spool.push(&vec![0; MIB]).unwrap();
            spool.push(&[0]).unwrap();
            assert_eq!(spool.into_spool().finish().unwrap().len(), MIB as u64 + 1);
        }
    }
}
