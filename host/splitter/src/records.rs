//! The records of a body, one after another.

use std::collections::VecDeque;

use crate::cut::Cutter;
use crate::index::{self, Entry, Item, Shape};
use crate::record::{EventHead, Record, SplitError, SplitLimits};
use crate::scan::{Scanner, check_utf8};
use crate::spool::Body;

/// The records of a body, in order. Reads the body as it goes; what stays in memory
/// is a few hundred bytes an event and one slice.
#[derive(Debug)]
pub struct Records {
    body: Body,
    limits: SplitLimits,
    heads: Vec<EventHead>,
    ahead: VecDeque<Ahead>,
    cutter: Option<Cutter>,
    /// Where the next value of an input starts; `None` when all of it is in `ahead`.
    rest: Option<u64>,
}

#[derive(Debug)]
enum Ahead {
    Item(Box<Item>),
    Error(SplitError),
}

impl Records {
    /// Reads one answer of MISP: exactly one JSON value, a page. Looks at all of it
    /// once, so that a truncated or unparsable answer is an error here and not
    /// after half of its records.
    ///
    /// # Errors
    /// When the body is not one whole JSON page.
    pub fn from_answer(body: Body, limits: SplitLimits) -> Result<Self, SplitError> {
        check_utf8(&body)?;
        let mut ahead = VecDeque::new();
        let mut heads = Vec::new();
        let mut scanner = Scanner::new(&body, 0, limits.depth);
        index::value(&mut scanner, &mut |entry| {
            if let Entry::Item(item) = &entry {
                heads.push(item.head.clone());
            }
            ahead.push_back(entry.into());
        })?;
        if scanner.peek()?.is_some() {
            return Err(scanner.malformed("the end expected"));
        }
        // An answer that is no page at all: an error message, a login page's JSON.
        if let [Ahead::Error(SplitError::NotARecord { .. })] = ahead.make_contiguous()
            && let Some(Ahead::Error(error)) = ahead.pop_front()
        {
            return Err(error);
        }
        Ok(Self {
            body,
            limits,
            heads,
            ahead,
            cutter: None,
            rest: None,
        })
    }

    /// Reads whatever a person has: any number of JSON values one after another,
    /// pretty-printed or one a line. A bad one is an error in the sequence and costs
    /// itself only: reading goes on at the next line that starts with a bracket.
    pub fn from_input(body: Body, limits: SplitLimits) -> Self {
        let bom = body
            .read_range(0, 3)
            .is_ok_and(|start| start == b"\xef\xbb\xbf");
        Self {
            body,
            limits,
            heads: Vec::new(),
            ahead: VecDeque::new(),
            cutter: None,
            rest: Some(if bom { 3 } else { 0 }),
        }
    }

    /// The heads of the page's events (or of its loose attributes), in order. Empty
    /// for an input, whose values are read one by one.
    pub fn heads(&self) -> &[EventHead] {
        &self.heads
    }

    /// The body, to show a part that failed.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Leaves out the items for which `keep` says no; the number is the item's place in [`Self::heads`].
    pub fn retain(&mut self, mut keep: impl FnMut(usize, &EventHead) -> bool) {
        let mut nth = 0;
        self.ahead.retain(|ahead| match ahead {
            Ahead::Error(_) => true,
            Ahead::Item(item) => {
                nth += 1;
                keep(nth - 1, &item.head)
            }
        });
    }

    /// Reads the next value of an input.
    fn read_ahead(&mut self, from: u64) {
        let mut scanner = Scanner::new(&self.body, from, self.limits.depth);
        let ahead = &mut self.ahead;
        let mut start = from;
        let result = scanner.peek().and_then(|next| match next {
            None => Ok(None),
            Some(_) => {
                start = scanner.position();
                let before = ahead.len();
                let result = index::value(&mut scanner, &mut |entry| ahead.push_back(entry.into()));
                if result.is_err() {
                    // Half a page is no page: its items stand in the skipped part.
                    ahead.truncate(before);
                }
                result.map(|()| Some(scanner.position()))
            }
        });
        self.rest = match result {
            Ok(rest) => rest,
            Err(error) => {
                let mut scanner = Scanner::new(&self.body, start, self.limits.depth);
                let next = scanner.next_bracketed_line();
                let rest = matches!(next, Ok(true)).then(|| scanner.position());
                let end = rest.unwrap_or(self.body.len());
                self.ahead.push_back(Ahead::Error(match error {
                    SplitError::Malformed { offset, what, .. } => SplitError::Malformed {
                        offset,
                        what,
                        skipped: start..end,
                    },
                    other => other,
                }));
                rest
            }
        };
    }
}

impl From<Entry> for Ahead {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Item(item) => Self::Item(item),
            Entry::Other(span) => Self::Error(SplitError::NotARecord {
                offset: span.start,
                skipped: span,
            }),
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, SplitError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(cutter) = &mut self.cutter {
                match cutter.next(&self.body, &self.limits) {
                    Ok(Some(record)) => return Some(Ok(record)),
                    Ok(None) => self.cutter = None,
                    Err(error) => {
                        self.cutter = None;
                        return Some(Err(error));
                    }
                }
            }
            match self.ahead.pop_front() {
                Some(Ahead::Error(error)) => return Some(Err(error)),
                Some(Ahead::Item(item)) => match &item.shape {
                    Shape::Event(parts) => {
                        let parts = parts.clone();
                        self.cutter = Some(Cutter::new(*item, parts));
                    }
                    Shape::Whole => return Some(whole(&self.body, *item)),
                },
                None => {
                    let from = self.rest.take()?;
                    self.read_ahead(from);
                }
            }
        }
    }
}

fn whole(body: &Body, item: Item) -> Result<Record, SplitError> {
    let mut json = Vec::new();
    body.append(item.span.start, item.span.end, &mut json)?;
    Ok(Record {
        json: json.into(),
        head: item.head,
        attributes: u32::try_from(item.attributes).unwrap_or(u32::MAX),
        last: true,
    })
}
