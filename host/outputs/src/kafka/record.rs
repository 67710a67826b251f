//! What is produced for a delivery, and in which batches.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chrono::DateTime;
use pipeline::{Delivery, Operation, Verdict};
use rskafka::record::Record;

use super::murmur2::partition;
use super::options::KafkaOptions;
use crate::lines::Lines;

/// A record and the place of its delivery among those that are sent.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) at: usize,
    pub(super) record: Record,
}

/// The records of a batch, by partition, in order: one for each delivery whose verdict is yet
/// `Stored`.
pub(super) fn records(
    batch: &[Delivery],
    verdicts: &[Verdict],
    lines: Lines,
    partitions: usize,
) -> Vec<(usize, Vec<Placed>)> {
    let mut by_partition: BTreeMap<usize, Vec<Placed>> = BTreeMap::new();
    let sent = batch
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| **verdict == Verdict::Stored)
        .map(|(delivery, _)| delivery);
    for (at, (delivery, line)) in sent.zip(lines.into_each()).enumerate() {
        let place = partition(delivery.document.id.as_bytes(), partitions);
        let record = record(delivery, &line);
        by_partition
            .entry(place)
            .or_default()
            .push(Placed { at, record });
    }
    by_partition.into_iter().collect()
}

fn record(delivery: &Delivery, line: &Bytes) -> Record {
    let (operation, value) = match delivery.document.operation {
        Operation::Put => ("put", Some(line.to_vec())),
        Operation::Delete => ("delete", None),
    };
    let mapping = format!("{}@{}", delivery.mapping.name, delivery.mapping.version);
    Record {
        key: Some(delivery.document.id.clone().into_bytes()),
        value,
        headers: BTreeMap::from([
            ("misp_ecs.operation".to_owned(), operation.into()),
            (
                "misp_ecs.version".to_owned(),
                delivery.version.to_string().into(),
            ),
            ("misp_ecs.mapping".to_owned(), mapping.into()),
        ]),
        timestamp: now(),
    }
}

/// By this a topic ages, so it is not the time of the indicator.
fn now() -> DateTime<chrono::Utc> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

/// Records of one partition in batches within the limits, in order.
pub(super) fn batches(records: Vec<Placed>, options: &KafkaOptions) -> Vec<Vec<Placed>> {
    let max_bytes = usize::try_from(options.max_bytes.bytes()).unwrap_or(usize::MAX);
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for placed in records {
        let size = placed.record.approximate_size();
        let full = batch.len() >= options.max_count.get() || bytes + size > max_bytes;
        if full && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push(placed);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}
