//! The user's files, or the sample, in batches as the host makes them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use splitter::{Record, Records, SplitError, SplitLimits};

use super::super::input;
use super::super::transform::{BATCH_ATTRIBUTES, BATCH_BYTES};
use crate::sample;

/// Calls `work` with each batch, in order. Returns how many parts were unreadable; each is said on stderr.
pub(super) async fn batches(
    files: &[PathBuf],
    mut work: impl AsyncFnMut(Vec<Record>) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    if files.is_empty() {
        work(sample::records()?).await?;
        return Ok(0);
    }
    let mut unreadable = 0;
    for path in files {
        let records = Records::from_input(input::read(path)?, SplitLimits::default())
            .with_context(|| format!("{} cannot be read", path.display()))?;
        unreadable += of_file(records, path, &mut work).await?;
    }
    Ok(unreadable)
}

async fn of_file(
    records: Records,
    path: &Path,
    work: &mut impl AsyncFnMut(Vec<Record>) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut unreadable = 0;
    let mut batch: Vec<Record> = Vec::new();
    let (mut attributes, mut bytes) = (0, 0);
    for record in records {
        match record {
            Ok(record) => {
                attributes += record.attributes.max(1);
                bytes += record.json.len();
                batch.push(record);
            }
            Err(SplitError::Io { source }) => {
                return Err(source).with_context(|| format!("{} cannot be read", path.display()));
            }
            Err(error) => {
                unreadable += 1;
                crate::say(&format!("{}: {error}", path.display()));
            }
        }
        if attributes >= BATCH_ATTRIBUTES || bytes >= BATCH_BYTES {
            work(std::mem::take(&mut batch)).await?;
            (attributes, bytes) = (0, 0);
        }
    }
    if !batch.is_empty() {
        work(batch).await?;
    }
    Ok(unreadable)
}
