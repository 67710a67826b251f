//! Looks whether what the configuration names as the mapping has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Swap;
use crate::config::MappingConfig;
use crate::mappings::component_at;

/// How often it looks. By the file's time and length: on network drives and mounted volumes no
/// one tells of a change.
const EVERY: Duration = Duration::from_secs(2);

/// A file as it was seen.
type Seen = Option<(PathBuf, SystemTime, u64)>;

/// What the configuration names by its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Watched {
    /// A file, or a folder of versions; `None`: the mapping has a name only.
    path: Option<PathBuf>,
    /// The file, or the newest in the folder.
    seen: Seen,
}

impl Watched {
    /// As it is now.
    pub(super) fn look(configured: &MappingConfig) -> Self {
        Self::at(configured.path.clone())
    }

    fn at(path: Option<PathBuf>) -> Self {
        Self {
            seen: path.as_deref().and_then(look),
            path,
        }
    }
}

/// Swaps whenever the file at the configured path, or the newest in that folder, is another than
/// the one that was read last, until `stop`. A configuration that is read again may name another.
pub(super) async fn watch(swap: Arc<Swap>, stop: CancellationToken) {
    let mut tried = swap.watched();
    let mut before = tried.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        let at_work = swap.watched();
        let now = Watched::at(at_work.path.clone());
        // Twice the same: whoever writes it has finished. One that is gone is left at work.
        let settled = now.seen.is_some() && now == before;
        if settled && now != at_work && now != tried {
            tried.clone_from(&now);
            if let Err(error) = swap.reload().await {
                tracing::error!(
                    path = now.path.as_deref().map(|path| path.display().to_string()),
                    error = crate::explain(&error),
                    "the mapping has changed and cannot be used: the old one stays at work"
                );
            }
        }
        before = now;
    }
}

fn look(path: &Path) -> Seen {
    let file = component_at(path)?;
    let about = std::fs::metadata(&file).ok()?;
    Some((file, about.modified().ok()?, about.len()))
}
