//! A mapped batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use splitter::Record;

use crate::batch::Broken;
use crate::record::{Delivery, Mapped, MappingIdentity};
use crate::selection::Selection;

/// A batch, mapped.
#[derive(Debug)]
pub(crate) struct MappedBatch {
    pub(crate) version: u64,
    pub(crate) now_ms: i64,
    pub(crate) mapping: Arc<MappingIdentity>,
    /// The mapping's private types.
    pub(crate) redact: Arc<BTreeSet<String>>,
    pub(crate) records: Vec<Record>,
    pub(crate) broken: Vec<Broken>,
    /// What came of each record, without its documents: they are the deliveries.
    pub(crate) mapped: Vec<Mapped>,
    pub(crate) deliveries: Arc<Vec<Delivery>>,
    /// How many documents became deletes because the instance's `only` and `except` exclude them.
    pub(crate) filtered: u64,
}

impl MappedBatch {
    /// Takes the documents out of what was mapped, without copying any of them. Those that the
    /// selection excludes become deletes.
    pub(crate) fn new(
        (version, now_ms): (u64, i64),
        mapping: Arc<MappingIdentity>,
        redact: Arc<BTreeSet<String>>,
        (records, broken): (Vec<Record>, Vec<Broken>),
        mut mapped: Vec<Mapped>,
        selection: &Selection,
    ) -> Self {
        let filtered = selection.apply(&mut mapped);
        let mut deliveries = Vec::new();
        for outcome in mapped.iter_mut().flatten() {
            let event: Arc<str> = Arc::from(outcome.event.as_str());
            let documents = std::mem::take(&mut outcome.documents);
            deliveries.extend(documents.into_iter().map(|document| Delivery {
                event: Arc::clone(&event),
                version,
                mapping: Arc::clone(&mapping),
                before: Vec::new(),
                revision: version,
                document,
            }));
        }
        Self {
            version,
            now_ms,
            mapping,
            redact,
            records,
            broken,
            mapped,
            deliveries: Arc::new(deliveries),
            filtered,
        }
    }
}
