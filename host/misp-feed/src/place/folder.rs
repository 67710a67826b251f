//! A feed in a folder of this machine.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use misp_client::{DiskSpool, Keep as _, spooled};
use splitter::{Body, SpoolError, SpoolLimits};
use uuid::Uuid;

use super::{Listed, MANIFEST, spool};
use crate::error::FeedError;
use crate::manifest::{self, Entry, MANIFEST_BYTES, Manifest};
use crate::options::FeedOptions;

/// Bytes read at once.
const READ: usize = 256 << 10;

#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
    spool: SpoolLimits,
}

impl Folder {
    pub(super) fn new(path: &Path, options: &FeedOptions) -> Self {
        // Whoever names the manifest means its folder.
        let path = match (path.file_name(), path.parent()) {
            (Some(name), Some(parent)) if name == MANIFEST => parent,
            _ => path,
        };
        Self {
            path: if path.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                path.to_owned()
            },
            spool: spool(options),
        }
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) async fn manifest(&self) -> Result<Listed, FeedError> {
        let folder = self.clone();
        let manifest = tokio::task::spawn_blocking(move || folder.read_manifest()).await??;
        Ok(Listed {
            manifest,
            validators: None,
            date: None,
        })
    }

    pub(super) async fn event(&self, file: &str) -> Result<Body, FeedError> {
        let folder = self.clone();
        let file = file.to_owned();
        tokio::task::spawn_blocking(move || folder.read(&file, folder.spool.clone())).await?
    }

    fn read_manifest(&self) -> Result<Manifest, FeedError> {
        let limits = SpoolLimits {
            total: self.spool.total.min(MANIFEST_BYTES),
            memory: usize::MAX,
            directory: None,
        };
        let body = match self.read(MANIFEST, limits) {
            Ok(body) => body,
            Err(FeedError::Gone { .. }) => return self.list(),
            Err(FeedError::File { source, .. }) => {
                return Err(FeedError::Folder {
                    path: self.path.join(MANIFEST),
                    source,
                });
            }
            Err(error) => return Err(error),
        };
        let refuse = |reason| FeedError::Manifest {
            place: self.name(),
            reason,
        };
        let bytes = body
            .read_range(0..body.len(), usize::MAX)
            .map_err(|error| refuse(error.to_string()))?;
        Manifest::parse(&bytes).map_err(refuse)
    }

    /// Without a manifest, the folder is one: every `*.json` in it, its clock the file's own.
    fn list(&self) -> Result<Manifest, FeedError> {
        let failed = |source| FeedError::Folder {
            path: self.path.clone(),
            source,
        };
        let mut manifest = Manifest::default();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                manifest.ignored += 1;
                continue;
            };
            let Some(stem) = name.strip_suffix(".json") else {
                continue;
            };
            // What begins with a dot is hidden, or a file that is still being written.
            if name.starts_with('.') {
                continue;
            }
            match std::fs::metadata(&path) {
                Ok(about) if about.is_file() => {
                    let (uuid, named) = match manifest::uuid(stem) {
                        Some(uuid) => (uuid, true),
                        None => (made_of(name), false),
                    };
                    manifest.entries.insert(uuid, listed(name, &about, named));
                }
                Ok(_) => {}
                // It went away in between.
                Err(_) => manifest.ignored += 1,
            }
        }
        if manifest.entries.is_empty() {
            return Err(FeedError::NoFeed {
                place: self.name(),
                reason: "the folder holds neither manifest.json nor event files (*.json); give \
                         the folder that does",
            });
        }
        Ok(manifest)
    }

    fn read(&self, file: &str, limits: SpoolLimits) -> Result<Body, FeedError> {
        let failed = |source: io::Error| {
            let file = file.to_owned();
            if source.kind() == io::ErrorKind::NotFound {
                FeedError::Gone { file }
            } else {
                FeedError::File { file, source }
            }
        };
        let path = self.path.join(file);
        // Looked at before it is opened: opening a pipe would wait for ever.
        if !std::fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is no plain file")));
        }
        let mut opened = File::open(&path).map_err(failed)?;
        let mut spool = DiskSpool::new(limits);
        let mut piece = vec![0; READ];
        loop {
            let read = opened.read(&mut piece).map_err(failed)?;
            if read == 0 {
                break;
            }
            spool
                .push(piece.get(..read).unwrap_or_default())
                .map_err(|error| kept(file, error))?;
        }
        spooled(spool).map_err(|error| FeedError::body(file, error))
    }
}

fn listed(name: &str, about: &Metadata, named: bool) -> Entry {
    let modified = about
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    let (nanoseconds, len) = (modified.as_nanos(), about.len());
    Entry {
        file: name.to_owned(),
        timestamp: i64::try_from(modified.as_secs()).unwrap_or(i64::MAX),
        stamp: manifest::stamp(&[&nanoseconds.to_be_bytes(), &len.to_be_bytes()]),
        sha256: None,
        named,
    }
}

/// A key for a file that is not named after its event.
fn made_of(name: &str) -> Uuid {
    let half = |salt: &[u8]| manifest::stamp(&[salt, name.as_bytes()]);
    Uuid::from_u64_pair(half(b"file 1 "), half(b"file 2 "))
}

fn kept(file: &str, error: SpoolError) -> FeedError {
    let file = file.to_owned();
    match error {
        SpoolError::TooLarge { limit } => FeedError::TooLarge {
            file,
            limit,
            unpacked: true,
        },
        SpoolError::Io { source } => FeedError::Kept {
            file,
            reason: source.to_string(),
        },
    }
}
