//! Looks whether what the configuration names as the mapping has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Swap;
use crate::mappings::component_at;

/// How often it looks. By the file's time and length: on network drives and mounted volumes no
/// one tells of a change.
const EVERY: Duration = Duration::from_secs(2);

/// A file as it was seen.
type Seen = Option<(PathBuf, SystemTime, u64)>;

/// Swaps whenever the file at `path`, or the newest in that folder, is another, until `stop`.
pub(super) async fn watch(swap: Arc<Swap>, path: PathBuf, stop: CancellationToken) {
    let mut at_work = look(&path);
    let mut before = at_work.clone();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        let now = look(&path);
        // Twice the same: whoever writes it has finished. One that is gone is left at work.
        let settled = now.is_some() && now == before;
        if settled && now != at_work {
            at_work.clone_from(&now);
            if let Err(error) = swap.reload().await {
                tracing::error!(
                    path = %path.display(),
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
