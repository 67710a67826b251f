//! The second pass: cuts an event into slices.

use crate::index::{EventParts, Item, Span, object_attributes};
use crate::record::{Record, SplitError, SplitLimits};
use crate::scan::Scanner;
use crate::spool::Body;

/// Which list of the event is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Attribute,
    Object,
}

/// Reads the slices of one event. Holds the place and nothing of the event.
#[derive(Debug)]
pub(crate) struct Cutter {
    item: Item,
    parts: EventParts,
    list: List,
    /// Which of the lists of this kind.
    nth: usize,
    /// Where in it: its start, or after an element.
    at: u64,
    inside: bool,
    done: bool,
    left: u64,
}

/// An element that may go into a slice.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) list: List,
    /// The first of its list: it does not follow the one before it with a comma.
    pub(crate) first: bool,
    pub(crate) span: Span,
    pub(crate) attributes: u64,
}

impl Cutter {
    pub(crate) fn new(item: Item, parts: EventParts) -> Self {
        Self {
            left: item.attributes,
            item,
            parts,
            list: List::Attribute,
            nth: 0,
            at: 0,
            inside: false,
            done: false,
        }
    }

    /// The next slice; `None` after the last.
    pub(crate) fn next(
        &mut self,
        body: &Body,
        limits: &SplitLimits,
    ) -> Result<Option<Record>, SplitError> {
        if self.done {
            return Ok(None);
        }
        if self.is_one_slice(limits) {
            self.done = true;
            return self.whole(body).map(Some);
        }
        let mut slice = Slice::new(&self.parts);
        let mut attributes = 0;
        // One for the slice: a spooled body is read in windows, not element by element.
        let mut scanner = Scanner::new(body, self.at, limits.depth);
        loop {
            let before = (self.list, self.nth, self.at, self.inside);
            let Some(element) = self.element(&mut scanner)? else {
                self.done = true;
                break;
            };
            let length = element.span.end - element.span.start;
            let would_have = attributes + element.attributes;
            let over = would_have > u64::from(limits.attributes)
                || slice.length + length > limits.bytes as u64
                || self.parts.head_bytes().saturating_mul(would_have)
                    > limits.head_times_attributes as u64;
            if attributes > 0 && element.attributes > 0 && over {
                (self.list, self.nth, self.at, self.inside) = before;
                break;
            }
            attributes = would_have;
            slice.push(element);
        }
        self.left = self.left.saturating_sub(attributes);
        let json = slice.write(body, &self.parts)?;
        Ok(Some(self.record(json, attributes, self.done)))
    }

    fn is_one_slice(&self, limits: &SplitLimits) -> bool {
        let length = self.item.span.end - self.item.span.start;
        let head = self.parts.head_bytes();
        !self.inside
            && self.left == self.item.attributes
            && self.parts.plain
            && self.item.attributes <= u64::from(limits.attributes)
            && length <= limits.bytes as u64
            && head.saturating_mul(self.item.attributes) <= limits.head_times_attributes as u64
    }

    /// The event in the bytes that it came in.
    fn whole(&self, body: &Body) -> Result<Record, SplitError> {
        let mut json = Vec::new();
        if self.parts.bare {
            json.extend_from_slice(b"{\"Event\":");
        }
        body.append(self.item.span.start, self.item.span.end, &mut json)?;
        if self.parts.bare {
            json.push(b'}');
        }
        Ok(self.record(json, self.item.attributes, true))
    }

    fn record(&self, json: Vec<u8>, attributes: u64, last: bool) -> Record {
        Record {
            json: json.into(),
            head: self.item.head.clone(),
            attributes: u32::try_from(attributes).unwrap_or(u32::MAX),
            last,
        }
    }

    /// The next element of the lists, attributes first.
    pub(crate) fn element(
        &mut self,
        scanner: &mut Scanner<'_>,
    ) -> Result<Option<Element>, SplitError> {
        loop {
            let lists = match self.list {
                List::Attribute => &self.parts.attribute,
                List::Object => &self.parts.object,
            };
            let Some(list) = lists.get(self.nth) else {
                if self.list == List::Object {
                    return Ok(None);
                }
                (self.list, self.nth, self.inside) = (List::Object, 0, false);
                continue;
            };
            let first = !self.inside;
            scanner.seek(if first { list.start } else { self.at });
            if first {
                scanner.open(b'[')?;
            }
            if !scanner.next_element(first)? {
                if first {
                    scanner.close();
                }
                (self.nth, self.inside) = (self.nth + 1, false);
                continue;
            }
            scanner.peek()?;
            let start = scanner.position();
            let attributes = match self.list {
                List::Attribute => {
                    scanner.skip()?;
                    1
                }
                List::Object => object_attributes(scanner)?,
            };
            (self.at, self.inside) = (scanner.position(), true);
            if first {
                scanner.close();
            }
            return Ok(Some(Element {
                list: self.list,
                first,
                span: start..self.at,
                attributes,
            }));
        }
    }
}

/// Parts of an event that become a record.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Runs of elements that follow each other.
    attribute: Vec<Span>,
    object: Vec<Span>,
    length: u64,
}

impl Slice {
    pub(crate) fn new(parts: &EventParts) -> Self {
        Self {
            length: parts.head_bytes() + 48,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, element: Element) {
        self.length += element.span.end - element.span.start + 1;
        let runs = match element.list {
            List::Attribute => &mut self.attribute,
            List::Object => &mut self.object,
        };
        match runs.last_mut() {
            Some(run) if !element.first => run.end = element.span.end,
            _ => runs.push(element.span),
        }
    }

    /// `{"Event":{head, "Attribute":[..],"Object":[..]}}`; a list that the event has
    /// not is not there either: what a mapping sees of a slice is what it sees of the whole.
    pub(crate) fn write(&self, body: &Body, parts: &EventParts) -> Result<Vec<u8>, SplitError> {
        let mut json = Vec::with_capacity(usize::try_from(self.length).unwrap_or_default());
        json.extend_from_slice(b"{\"Event\":{");
        let mut members = 0;
        for run in &parts.head {
            comma(&mut json, &mut members);
            body.append(run.start, run.end, &mut json)?;
        }
        let lists = [
            (&b"\"Attribute\":["[..], &parts.attribute, &self.attribute),
            (b"\"Object\":[", &parts.object, &self.object),
        ];
        for (key, present, elements) in lists {
            if present.is_empty() {
                continue;
            }
            comma(&mut json, &mut members);
            json.extend_from_slice(key);
            let mut written = 0;
            for element in elements {
                comma(&mut json, &mut written);
                body.append(element.start, element.end, &mut json)?;
            }
            json.push(b']');
        }
        json.extend_from_slice(b"}}");
        Ok(json)
    }
}

fn comma(json: &mut Vec<u8>, written: &mut usize) {
    if *written > 0 {
        json.push(b',');
    }
    *written += 1;
}
