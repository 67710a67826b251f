//! The records of a body, one after another.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::cut::Cutter;
use crate::input;
use crate::plan::{self, Item, Plan, Shape};
use crate::reader::Reader;
use crate::record::{EventHead, Record, SplitError, SplitLimits};
use crate::scan::{Fault, Scanner};
use crate::spool::Body;

/// The records of a body, in order. Reads the body as it goes; nothing of it stays in memory.
#[derive(Debug)]
pub struct Records {
    body: Body,
    limits: SplitLimits,
    scanner: Scanner,
    /// The heads of all items of the value, and how many were handed out.
    heads: Vec<EventHead>,
    taken: usize,
    items: VecDeque<Item>,
    /// The error that ends the value, after its items.
    broken: Option<SplitError>,
    cutting: Option<Cutter>,
    /// What was left out of the event that is being cut.
    left_out: VecDeque<SplitError>,
    /// Where the next value is looked for; `None`: there is no other.
    next_value: Option<u64>,
    /// Something was broken before: what closes it may be left over.
    salvaging: bool,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Records {
    /// Reads one answer of MISP: exactly one JSON value, a page. Looks at all of it
    /// once, so that a truncated or unparsable answer is an error here and not
    /// after half of its records.
    ///
    /// # Errors
    /// When the body is not one whole JSON page.
    pub fn from_answer(body: Body, limits: SplitLimits) -> Result<Self, SplitError> {
        let mut records = Self::new(body, limits)?;
        let start = records.scanner.offset();
        let all = start..records.body.len();
        let mut plan = Plan::default();
        let read = plan::value(&mut records.scanner, &limits, &mut plan);
        let read = read.and_then(|known| match records.scanner.peek()? {
            None => Ok(known),
            Some(_) => Err(Fault::Malformed {
                offset: records.scanner.offset(),
                what: "something follows the answer",
            }),
        });
        let known = read.map_err(|fault| error(fault, all.clone()))?;
        if !known {
            let offset = plan.items.first().map_or(start, |item| item.span.start);
            return Err(SplitError::NotARecord {
                offset,
                skipped: all,
            });
        }
        records.begin(plan);
        Ok(records)
    }

    /// Reads whatever a person has: any number of JSON values one after another,
    /// pretty-printed or one a line. A bad one is an error in the sequence and
    /// costs itself only: reading goes on at the next line that begins with `{` or `[`.
    ///
    /// # Errors
    /// When the body cannot be read.
    pub fn from_input(body: Body, limits: SplitLimits) -> Result<Self, SplitError> {
        let mut records = Self::new(body, limits)?;
        records.next_value = Some(records.scanner.offset());
        Ok(records)
    }

    fn new(body: Body, limits: SplitLimits) -> Result<Self, SplitError> {
        let mark = body.read_range(0..BYTE_ORDER_MARK.len() as u64, BYTE_ORDER_MARK.len())?;
        let mut scanner = Scanner::new(Reader::new(body.clone()), limits);
        if mark == BYTE_ORDER_MARK {
            scanner.go_to(mark.len() as u64);
        }
        Ok(Self {
            body,
            limits,
            scanner,
            heads: Vec::new(),
            taken: 0,
            items: VecDeque::new(),
            broken: None,
            cutting: None,
            left_out: VecDeque::new(),
            next_value: None,
            salvaging: false,
        })
    }

    fn begin(&mut self, plan: Plan) {
        self.heads = plan.heads;
        self.items = plan.items.into();
        self.taken = 0;
    }

    /// The heads of the page's events (or of its loose attributes), in order. Of
    /// [`Self::from_input`]: those of the value being read.
    pub fn heads(&self) -> &[EventHead] {
        &self.heads
    }

    /// Leaves out the items for which `keep` says no; the number is the item's place in
    /// [`Self::heads`], where it is then missing too. What was handed out before is not asked for.
    pub fn retain(&mut self, mut keep: impl FnMut(usize, &EventHead) -> bool) {
        let mut kept = Vec::with_capacity(self.heads.len());
        let mut heads = std::mem::take(&mut self.heads).into_iter().enumerate();
        kept.extend(heads.by_ref().take(self.taken).map(|(_, head)| head));
        self.items.retain(|item| {
            if matches!(item.shape, Shape::Stray | Shape::Unreadable(..)) {
                return true;
            }
            let Some((place, head)) = heads.next() else {
                return true;
            };
            let keeps = keep(place, &head);
            if keeps {
                kept.push(head);
            }
            keeps
        });
        self.heads = kept;
    }

    /// The body that is read, to show what an error skipped.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Reads on until there is an item, an error or nothing.
    fn read_value(&mut self) -> Result<bool, Fault> {
        let Some(at) = self.next_value.take() else {
            return Ok(false);
        };
        self.scanner.go_to(at);
        self.scanner.begin();
        if self.salvaging {
            self.pass(b",]}")?;
        }
        if self.scanner.peek()?.is_none() {
            return Ok(false);
        }
        let start = self.scanner.offset();
        let mut plan = Plan::default();
        match plan::value(&mut self.scanner, &self.limits, &mut plan) {
            Ok(_) => self.next_value = Some(self.scanner.offset()),
            Err(fault @ (Fault::Malformed { .. } | Fault::TooMany { .. })) => {
                self.salvaging = true;
                let mut broken_from = start;
                if let Some(whole) = plan.items.last() {
                    self.scanner.go_to(whole.span.end);
                    self.pass(b",")?;
                    broken_from = self.scanner.offset();
                }
                let next = input::next_line(&mut self.scanner.reader, broken_from)?;
                self.next_value = Some(next);
                self.broken = Some(error(fault, broken_from..next));
            }
            Err(fault) => return Err(fault),
        }
        self.begin(plan);
        Ok(true)
    }

    /// Passes over these bytes and white space.
    fn pass(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        while self
            .scanner
            .peek()?
            .is_some_and(|next| bytes.contains(&next))
        {
            self.scanner.reader.advance(1);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<Result<Record, SplitError>>, Fault> {
        loop {
            if let Some(cutter) = &mut self.cutting {
                if let Some((json, attributes, last)) = cutter.next(&mut self.scanner)? {
                    return Ok(Some(Ok(self.record(json, attributes, last))));
                }
                self.cutting = None;
            }
            if let Some(error) = self.left_out.pop_front() {
                return Ok(Some(Err(error)));
            }
            if let Some(item) = self.items.pop_front() {
                let Item {
                    span,
                    attributes,
                    shape,
                } = item;
                let (before, after) = match shape {
                    Shape::Stray => {
                        return Ok(Some(Err(SplitError::NotARecord {
                            offset: span.start,
                            skipped: span,
                        })));
                    }
                    Shape::Unreadable(offset, what) => {
                        return Ok(Some(Err(SplitError::Malformed {
                            offset,
                            what,
                            skipped: span,
                        })));
                    }
                    Shape::Cut(parts) => {
                        self.taken += 1;
                        let event = self.heads.get(self.taken - 1);
                        let event = event.map(|head| head.uuid.as_str()).unwrap_or_default();
                        let left_out = parts.unreadable.iter().map(|part| SplitError::Part {
                            event: event.to_owned(),
                            offset: part.offset,
                            what: part.what,
                            skipped: part.span.clone(),
                        });
                        self.left_out.extend(left_out);
                        // Without any attribute it would look like an event that has none.
                        if attributes == 0 && !self.left_out.is_empty() {
                            continue;
                        }
                        let cutter = Cutter::new(*parts, &mut self.scanner, self.limits)?;
                        self.cutting = Some(cutter);
                        continue;
                    }
                    Shape::AsIs => (String::new(), ""),
                    Shape::Under(key) => (format!("{{\"{key}\":"), "}"),
                };
                self.taken += 1;
                let mut json = before.into_bytes();
                self.scanner.copy_range(&span, &mut json)?;
                json.extend_from_slice(after.as_bytes());
                return Ok(Some(Ok(self.record(json.into(), attributes, true))));
            }
            if let Some(broken) = self.broken.take() {
                return Ok(Some(Err(broken)));
            }
            if !self.read_value()? {
                return Ok(None);
            }
        }
    }

    fn record(&self, json: Bytes, attributes: u64, last: bool) -> Record {
        let head = self.taken.checked_sub(1).and_then(|at| self.heads.get(at));
        Record {
            json,
            head: head.cloned().unwrap_or_default(),
            attributes: u32::try_from(attributes).unwrap_or(u32::MAX),
            last,
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, SplitError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().unwrap_or_else(|fault| {
            // Whatever it was, there is nothing to go on with.
            self.items.clear();
            self.cutting = None;
            self.left_out.clear();
            self.next_value = None;
            let place = self.scanner.offset();
            Some(Err(error(fault, place..self.body.len())))
        })
    }
}

fn error(fault: Fault, skipped: std::ops::Range<u64>) -> SplitError {
    match fault {
        Fault::Io(source) => SplitError::Io { source },
        Fault::Malformed { offset, what } => SplitError::Malformed {
            offset,
            what,
            skipped,
        },
        Fault::TooMany {
            offset,
            what,
            limit,
        } => SplitError::TooMany {
            what,
            limit,
            offset,
            skipped,
        },
    }
}
