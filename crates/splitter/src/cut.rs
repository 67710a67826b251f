//! The second pass: the slices of a big event.

use std::ops::Range;

use bytes::Bytes;

use crate::list::{Kind, List, Of};
use crate::plan::Parts;
use crate::record::SplitLimits;
use crate::scan::{Fault, Scanner};
use crate::walk::is_space;

/// Reads the attributes and objects of an event one by one.
#[derive(Debug)]
pub(crate) struct Entries {
    /// What is left, in order.
    lists: std::vec::IntoIter<(Of, List)>,
    /// The list being read, and whether its first entry is next.
    open: Option<(Of, Kind, bool)>,
    /// Where something is left out.
    holes: Vec<Range<u64>>,
}

impl Entries {
    pub(crate) fn new(parts: Parts) -> Self {
        let attributes = parts.attributes.into_iter();
        let attributes = attributes.map(|list| (Of::Attributes, list));
        let objects = parts.objects.into_iter().map(|list| (Of::Objects, list));
        let holes = parts.unreadable.into_iter().map(|part| part.span);
        let lists: Vec<_> = attributes.chain(objects).collect();
        Self {
            lists: lists.into_iter(),
            open: None,
            holes: holes.collect(),
        }
    }

    /// Copies the next entry; says of which list it is and how many attributes it holds.
    pub(crate) fn next(
        &mut self,
        scanner: &mut Scanner,
        into: &mut Vec<u8>,
    ) -> Result<Option<(Of, u64)>, Fault> {
        loop {
            let Some((of, kind, first)) = self.open.take() else {
                let Some((of, list)) = self.lists.next() else {
                    return Ok(None);
                };
                scanner.go_to(list.span.start);
                match list.kind {
                    Kind::Nothing => {}
                    Kind::List | Kind::Gappy => {
                        scanner.enter()?;
                        self.open = Some((of, list.kind, true));
                    }
                    Kind::Single { .. } | Kind::Scalar => {
                        scanner.copy_range(&list.span, into)?;
                        cut_out(into, list.span.start, &self.holes);
                        return Ok(Some((of, list.attributes)));
                    }
                }
                continue;
            };
            let more = match kind {
                Kind::Gappy => scanner.member(first)?.is_some(),
                _ => scanner.element(first)?,
            };
            if more {
                self.open = Some((of, kind, false));
                scanner.peek()?;
                if self.holes.is_empty() {
                    scanner.reader.copy_from_here();
                    let attributes = of.entry(scanner)?;
                    scanner.reader.copied(into);
                    return Ok(Some((of, attributes)));
                }
                let start = scanner.offset();
                let entry = scanner.entry(None, |scanner| of.entry(scanner))?;
                scanner.unreadable.clear();
                let Some(attributes) = entry else {
                    continue;
                };
                let end = scanner.offset();
                scanner.copy_range(&(start..end), into)?;
                cut_out(into, start, &self.holes);
                return Ok(Some((of, attributes)));
            }
        }
    }
}

/// Cuts holes out of bytes that begin at `start` in the body, each with the comma beside it.
fn cut_out(bytes: &mut Vec<u8>, start: u64, holes: &[Range<u64>]) {
    let end = start + bytes.len() as u64;
    let inside = holes
        .iter()
        .filter(|hole| start <= hole.start && hole.end <= end);
    let mut kept: Vec<u8> = Vec::new();
    let mut from = 0;
    for hole in inside {
        let place = |offset: u64| usize::try_from(offset - start).unwrap_or(usize::MAX);
        kept.extend_from_slice(bytes.get(from..place(hole.start)).unwrap_or_default());
        from = place(hole.end);
        let rest = bytes.get(from..).unwrap_or_default();
        let spaces = rest.iter().take_while(|byte| is_space(**byte)).count();
        if rest.get(spaces) == Some(&b',') {
            from += spaces + 1;
        } else {
            let before = kept.iter().rposition(|byte| !is_space(*byte));
            if let Some(comma) = before.filter(|at| kept.get(*at) == Some(&b',')) {
                kept.truncate(comma);
            }
        }
    }
    if from > 0 {
        kept.extend_from_slice(bytes.get(from..).unwrap_or_default());
        *bytes = kept;
    }
}

/// Cuts one event.
#[derive(Debug)]
pub(crate) struct Cutter {
    entries: Entries,
    frame: Frame,
    limits: SplitLimits,
    /// The entry that did not fit the slice before.
    held: Option<(Of, u64)>,
    entry: Vec<u8>,
    finished: bool,
}

impl Cutter {
    pub(crate) fn new(
        parts: Parts,
        scanner: &mut Scanner,
        limits: SplitLimits,
    ) -> Result<Self, Fault> {
        let frame = Frame::read(&parts, scanner)?;
        scanner.begin();
        Ok(Self {
            entries: Entries::new(parts),
            frame,
            limits,
            held: None,
            entry: Vec::new(),
            finished: false,
        })
    }

    /// The next slice, its attributes, and whether it is the last.
    pub(crate) fn next(
        &mut self,
        scanner: &mut Scanner,
    ) -> Result<Option<(Bytes, u64, bool)>, Fault> {
        if self.finished {
            return Ok(None);
        }
        let mut slice = self.frame.slice();
        loop {
            let next = match self.held.take() {
                Some(held) => Some(held),
                None => {
                    self.entry.clear();
                    self.entries.next(scanner, &mut self.entry)?
                }
            };
            let Some((of, attributes)) = next else {
                self.finished = true;
                return Ok(Some((slice.finish(), slice.attributes, true)));
            };
            let bytes = slice.content + self.entry.len() + 1;
            let together = slice.attributes.saturating_add(attributes);
            let fits = self.limits.allow(self.frame.head_len, together, bytes);
            if fits || (slice.attributes == 0 && attributes > 0) {
                slice.push(of, &self.entry, attributes);
            } else if attributes > 0 {
                self.held = Some((of, attributes));
                return Ok(Some((slice.finish(), slice.attributes, false)));
            }
            // What is left out here is an object without attributes: a slice of its
            // own would look like an event without any, and nothing is made of it.
        }
    }
}

/// What is the same in all slices of an event.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    start: Vec<u8>,
    event: bool,
    pub(crate) head_len: usize,
}

impl Frame {
    /// Reads the head.
    pub(crate) fn read(parts: &Parts, scanner: &mut Scanner) -> Result<Self, Fault> {
        let mut start = Vec::with_capacity(parts.head_len().min(1 << 20) + 64);
        start.extend_from_slice(if parts.event { b"{\"Event\":{" } else { b"{" });
        for run in &parts.head {
            scanner.copy_range(run, &mut start)?;
            start.push(b',');
        }
        Ok(Self {
            start,
            event: parts.event,
            head_len: parts.head_len(),
        })
    }

    /// An empty slice.
    pub(crate) fn slice(&self) -> Slice {
        let mut json = self.start.clone();
        json.extend_from_slice(b"\"Attribute\":[");
        Slice {
            json,
            event: self.event,
            in_objects: false,
            first: true,
            content: 0,
            attributes: 0,
        }
    }
}

/// A slice being written.
#[derive(Debug)]
pub(crate) struct Slice {
    json: Vec<u8>,
    event: bool,
    in_objects: bool,
    first: bool,
    /// Bytes beside the head.
    content: usize,
    pub(crate) attributes: u64,
}

impl Slice {
    pub(crate) fn push(&mut self, of: Of, entry: &[u8], attributes: u64) {
        if of == Of::Objects {
            self.start_objects();
        }
        if !self.first {
            self.json.push(b',');
        }
        self.first = false;
        self.json.extend_from_slice(entry);
        self.content += entry.len() + 1;
        self.attributes += attributes;
    }

    fn start_objects(&mut self) {
        if !self.in_objects {
            self.json.extend_from_slice(b"],\"Object\":[");
            self.in_objects = true;
            self.first = true;
        }
    }

    /// Closes it; nothing may follow.
    pub(crate) fn finish(&mut self) -> Bytes {
        if self.event {
            self.start_objects();
            self.json.extend_from_slice(b"]}}");
        } else {
            self.json.extend_from_slice(b"]}");
        }
        std::mem::take(&mut self.json).into()
    }
}
