//! A batch as NDJSON, with the verdicts it gets once the lines are safe.

use std::ops::Range;

use pipeline::{Delivery, Operation, Verdict};

use crate::envelope;

/// What every output can be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Common {
    /// Deletes go out as tombstones; else they are skipped.
    pub(crate) deletes: bool,
    /// `misp_ecs` is added to every document.
    pub(crate) envelope_field: bool,
}

/// Whole lines and where each ends.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// Every line, each with its newline.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The index after each line's newline.
    pub(crate) fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// These lines, each with its newline; none if they are not all there.
    pub(crate) fn range(&self, lines: Range<usize>) -> &[u8] {
        let end_of = |count: usize| match count.checked_sub(1) {
            None => Some(0),
            Some(last) => self.ends.get(last).copied(),
        };
        let bounds = end_of(lines.start).zip(end_of(lines.end));
        bounds
            .and_then(|(start, end)| self.bytes.get(start..end))
            .unwrap_or_default()
    }

    /// Every line by itself, without its newline; nothing is copied.
    #[cfg(any(feature = "nats", feature = "kafka"))]
    pub(crate) fn into_each(self) -> impl Iterator<Item = bytes::Bytes> {
        let mut rest = bytes::Bytes::from(self.bytes);
        let mut start = 0;
        self.ends.into_iter().map(move |end| {
            let mut line = rest.split_to(end - start);
            line.truncate(line.len().saturating_sub(1));
            start = end;
            line
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds what `write` appends as one line; nothing if it fails.
    pub(crate) fn push<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
        Ok(())
    }
}

/// The lines of a batch and one verdict a delivery, in order.
pub(crate) fn encode(batch: &[Delivery], common: Common) -> (Lines, Vec<Verdict>) {
    let size: usize = batch
        .iter()
        .map(|delivery| delivery.document.body.len() + 256)
        .sum();
    let mut lines = Lines {
        bytes: Vec::with_capacity(size),
        ends: Vec::with_capacity(batch.len()),
    };
    let verdicts = batch
        .iter()
        .map(|delivery| encode_one(&mut lines, delivery, common))
        .collect();
    (lines, verdicts)
}

fn encode_one(lines: &mut Lines, delivery: &Delivery, common: Common) -> Verdict {
    let document = &delivery.document;
    let written = match document.operation {
        Operation::Delete if !common.deletes => return Verdict::Skipped,
        Operation::Delete => lines.push(|line| {
            envelope::append_tombstone(line, &document.id, delivery.version);
            Ok(())
        }),
        Operation::Put if common.envelope_field => {
            lines.push(|line| envelope::append_with_field(line, delivery))
        }
        Operation::Put => lines.push(|line| envelope::append_body(line, &document.body)),
    };
    match written {
        Ok(()) => Verdict::Stored,
        Err(error) => Verdict::Rejected {
            text: error.to_string(),
        },
    }
}
