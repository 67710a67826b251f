//! Cuts the records of a page into batches for the mapping.

use splitter::{Record, Records, SplitError};

/// How much goes through the mapping in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Attributes in one call. A call costs some microseconds, so more gains nothing.
    pub attributes: u64,
    /// Bytes of records in one call.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            attributes: 1_000,
            bytes: 4 << 20,
        }
    }
}

/// A piece of a page.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// Records for the mapping.
    pub(crate) records: Vec<Record>,
    /// Parts of the page that are no records.
    pub(crate) broken: Vec<Broken>,
    /// Nothing follows.
    pub(crate) end: bool,
}

/// A part of a page that is no record, with its text.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: SplitError,
    /// The start of what was skipped.
    pub(crate) input: Vec<u8>,
}

/// How much of a broken part is kept for the dead letters, bytes.
const BROKEN_INPUT: usize = 64 << 10;

impl Cut {
    /// What must become a document or a refusal.
    pub(crate) fn units(&self) -> u64 {
        self.records.iter().map(units).sum::<u64>() + self.broken.len() as u64
    }
}

/// What a record must become: one document an attribute, or one for an event without any.
pub(crate) fn units(record: &Record) -> u64 {
    u64::from(record.attributes.max(1))
}

/// Reads the next batch. Blocks: large bodies are in a file.
pub(crate) fn cut(records: &mut Records, limits: &BatchLimits) -> Cut {
    let mut cut = Cut::default();
    let (mut attributes, mut bytes) = (0_u64, 0_usize);
    while attributes < limits.attributes && bytes < limits.bytes {
        match records.next() {
            None => {
                cut.end = true;
                break;
            }
            Some(Ok(record)) => {
                attributes += units(&record);
                bytes += record.json.len();
                cut.records.push(record);
            }
            Some(Err(error)) => {
                attributes += 1;
                // It is for people: what cannot be read back is left out.
                let input = records.body().read_range(error.skipped(), BROKEN_INPUT);
                cut.broken.push(Broken {
                    error,
                    input: input.unwrap_or_default(),
                });
            }
        }
    }
    cut
}
