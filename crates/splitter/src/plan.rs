//! The first pass: what records a value holds, and where.

use std::ops::Range;

use crate::list::{Kind, List, Of};
use crate::name::Name;
use crate::record::{EventHead, REPEATED_KEY, SplitLimits};
use crate::scan::{Fault, Member, Scanner, Unreadable};

/// How the bytes of an item become records.
#[derive(Debug)]
pub(crate) enum Shape {
    /// One record, unchanged.
    AsIs,
    /// One record, as the value of this key.
    Under(&'static str),
    /// Slices.
    Cut(Box<Parts>),
    /// No record.
    Stray,
    /// A loose attribute that cannot be read: where and why.
    Unreadable(u64, &'static str),
}

/// An event, a loose attribute, or a part of a page that is neither.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) span: Range<u64>,
    pub(crate) attributes: u64,
    pub(crate) shape: Shape,
}

/// Where the parts of an event are.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Is it an event, or a list of loose attributes with something beside it?
    pub(crate) event: bool,
    /// Its other members, as runs of whole members.
    pub(crate) head: Vec<Range<u64>>,
    pub(crate) attributes: Vec<List>,
    pub(crate) objects: Vec<List>,
    /// What is left out of the lists.
    pub(crate) unreadable: Vec<Unreadable>,
}

impl Parts {
    pub(crate) fn head_len(&self) -> usize {
        let len = self.head.iter().map(|run| run.end - run.start).sum::<u64>();
        usize::try_from(len).unwrap_or(usize::MAX)
    }
}

/// Bytes of a text of an event's head that are kept.
const LONGEST_TEXT: u64 = 256;

/// What was found so far. Each item has a head, but what is no record.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) items: Vec<Item>,
    pub(crate) heads: Vec<EventHead>,
}

/// Passes over the value that is next; is it as a whole of a known shape? After a fault
/// `plan` holds the items before it.
pub(crate) fn value(
    scanner: &mut Scanner,
    limits: &SplitLimits,
    plan: &mut Plan,
) -> Result<bool, Fault> {
    let mut planner = Planner {
        scanner,
        limits,
        plan,
    };
    match planner.scanner.peek()? {
        Some(b'[') => planner.page().map(|()| true),
        Some(b'{') => {
            let seen = planner.object(Level::Top)?;
            planner.one(seen)
        }
        _ => planner.stray().map(|()| false),
    }
}

/// Passes over the object of an event that is next; says where its attributes are.
pub(crate) fn object_parts(scanner: &mut Scanner, limits: &SplitLimits) -> Result<Parts, Fault> {
    let mut planner = Planner {
        scanner,
        limits,
        plan: &mut Plan::default(),
    };
    planner.object(Level::Object).map(|seen| seen.parts)
}

pub(crate) struct Planner<'a> {
    scanner: &'a mut Scanner,
    pub(crate) limits: &'a SplitLimits,
    pub(crate) plan: &'a mut Plan,
}

/// Where an object stands: decides which of its members are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The whole value: `response` counts.
    Top,
    /// The value of `response`: its attributes are items, each by itself.
    Response,
    /// An entry of a page.
    Item,
    /// The value of `Event`.
    Event,
    /// An entry of an event's `Object`.
    Object,
}

/// What one pass over an object found.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) span: Range<u64>,
    pub(crate) of_attribute: bool,
    pub(crate) of_event: bool,
    pub(crate) uuid: bool,
    pub(crate) date: bool,
    /// Its own fields, should it be an event.
    pub(crate) head: EventHead,
    /// The fields that name an attribute's event.
    pub(crate) event_ref: EventHead,
    pub(crate) parts: Parts,
    /// The values of `Event` that are objects, and whether the last value is one.
    pub(crate) events: Vec<Seen>,
    pub(crate) event_is_last: bool,
    /// Were there `response` members, and was one of them of a known shape?
    pub(crate) response: Option<bool>,
    /// Where the items that it added itself start.
    pub(crate) items_from: (usize, usize),
    pub(crate) only_lists: bool,
}

impl Planner<'_> {
    fn page(&mut self) -> Result<(), Fault> {
        let mut first = true;
        self.scanner.enter()?;
        while self.scanner.element(first)? {
            first = false;
            match self.scanner.peek()? {
                Some(b'{') => {
                    let seen = self.object(Level::Item)?;
                    self.one(seen)?;
                }
                _ => self.stray()?,
            }
        }
        Ok(())
    }

    fn stray(&mut self) -> Result<(), Fault> {
        let span = self.scanner.value()?;
        self.add_stray(span)
    }

    pub(crate) fn add_stray(&mut self, span: Range<u64>) -> Result<(), Fault> {
        self.scanner.count_unreadable()?;
        self.plan.items.push(Item {
            span,
            attributes: 0,
            shape: Shape::Stray,
        });
        Ok(())
    }

    pub(crate) fn add(
        &mut self,
        span: Range<u64>,
        attributes: u64,
        shape: Shape,
        head: EventHead,
    ) -> Result<(), Fault> {
        self.at_most(
            self.plan.items.len() + 1,
            self.limits.items as usize,
            "events and attributes in one answer",
        )?;
        self.plan.heads.push(head);
        self.plan.items.push(Item {
            span,
            attributes,
            shape,
        });
        Ok(())
    }

    /// Fails if there is more of something than is accepted.
    pub(crate) fn at_most(
        &self,
        count: usize,
        limit: usize,
        what: &'static str,
    ) -> Result<(), Fault> {
        if count > limit {
            return Err(Fault::TooMany {
                offset: self.scanner.offset(),
                what,
                limit: limit as u64,
            });
        }
        Ok(())
    }

    fn object(&mut self, level: Level) -> Result<Seen, Fault> {
        let mut seen = Seen {
            items_from: (self.plan.items.len(), self.plan.heads.len()),
            only_lists: true,
            ..Seen::default()
        };
        let start = self.scanner.offset();
        let known = self.scanner.unreadable.len();
        let (mut first, mut run) = (true, None);
        self.scanner.enter()?;
        while let Some(member) = self.scanner.member(first)? {
            first = false;
            let in_head = self.member(level, member, &mut seen)?;
            let parts = &seen.parts;
            let lists = parts.attributes.len().max(parts.objects.len());
            let most = lists.max(seen.events.len());
            self.at_most(most, REPEATED_KEY, "members with the same key")?;
            let end = self.scanner.offset();
            if in_head {
                let from = run.map_or(member.start, |open: Range<u64>| open.start);
                run = Some(from..end);
            } else {
                seen.parts.head.extend(run.take());
            }
        }
        seen.parts.head.extend(run);
        seen.parts.unreadable = self.scanner.unreadable.split_off(known);
        seen.span = start..self.scanner.offset();
        Ok(seen)
    }

    /// Looks at one member; is it a part of the head?
    fn member(&mut self, level: Level, member: Member, seen: &mut Seen) -> Result<bool, Fault> {
        match member.name {
            Name::Response if level == Level::Top => {
                let page = self.response()?;
                seen.response = Some(page || seen.response == Some(true));
            }
            Name::Event if !matches!(level, Level::Event | Level::Object) => {
                seen.event_is_last = self.scanner.peek()? == Some(b'{');
                if seen.event_is_last {
                    let event = self.object(Level::Event)?;
                    seen.events.push(event);
                } else {
                    self.scanner.value()?;
                }
            }
            Name::Attribute => {
                let loose = level == Level::Response && self.scanner.peek()? == Some(b'[');
                let list = if loose {
                    self.loose_attributes()?
                } else {
                    seen.only_lists = false;
                    Of::Attributes.list(self.scanner)?
                };
                seen.parts.attributes.push(list);
                return Ok(false);
            }
            Name::Object if level != Level::Object => {
                let list = Of::Objects.list(self.scanner)?;
                seen.parts.objects.push(list);
                return Ok(false);
            }
            Name::Uuid | Name::Id | Name::EventUuid | Name::EventId => {
                let text = self.text()?;
                match member.name {
                    Name::Uuid => {
                        seen.uuid = true;
                        seen.head.uuid = text;
                    }
                    Name::Id => seen.head.id = text,
                    Name::EventUuid => seen.event_ref.uuid = text,
                    _ => seen.event_ref.id = text,
                }
            }
            Name::Timestamp => seen.head.timestamp = self.text()?.trim().parse().ok(),
            Name::PublishTimestamp => {
                seen.head.publish_timestamp = self.text()?.trim().parse().ok();
            }
            Name::Published => seen.head.published = self.flag()?,
            Name::AttributeCount => {
                seen.head.attribute_count = self.text()?.trim().parse().ok();
            }
            name => {
                seen.of_attribute |= name == Name::OfAttribute;
                seen.of_event |= name == Name::OfEvent;
                seen.date |= name == Name::Date;
                self.scanner.value()?;
            }
        }
        Ok(true)
    }

    /// The text of the string or number that is next; empty for anything else, and for what is
    /// longer than any uuid, id or time.
    fn text(&mut self) -> Result<String, Fault> {
        match self.scanner.peek()? {
            Some(first @ (b'"' | b'-' | b'0'..=b'9')) => {
                let mut raw = Vec::new();
                let span = self.scanner.value()?;
                if span.end - span.start > LONGEST_TEXT {
                    return Ok(String::new());
                }
                self.scanner.copy_range(&span, &mut raw)?;
                if first == b'"' {
                    Ok(serde_json::from_slice(&raw).unwrap_or_default())
                } else {
                    Ok(String::from_utf8(raw).unwrap_or_default())
                }
            }
            _ => self.scanner.value().map(|_| String::new()),
        }
    }

    /// The yes or no that is next; MISP of old writes 1 and 0.
    fn flag(&mut self) -> Result<Option<bool>, Fault> {
        match self.scanner.peek()? {
            Some(first @ (b't' | b'f')) => self.scanner.value().map(|_| Some(first == b't')),
            _ => Ok(match self.text()?.as_str() {
                "1" | "true" => Some(true),
                "0" | "false" => Some(false),
                _ => None,
            }),
        }
    }

    /// The value of `response`: is it of a known shape?
    fn response(&mut self) -> Result<bool, Fault> {
        match self.scanner.peek()? {
            Some(b'[') => self.page().map(|()| true),
            Some(b'{') => {
                let seen = self.object(Level::Response)?;
                self.one(seen)
            }
            _ => self.stray().map(|()| false),
        }
    }

    /// The attributes of a page of them: items, each by itself.
    fn loose_attributes(&mut self) -> Result<List, Fault> {
        let start = self.scanner.offset();
        let (mut first, mut attributes) = (true, 0);
        self.scanner.enter()?;
        while self.scanner.element(first)? {
            first = false;
            attributes += 1;
            match self.scanner.peek()? {
                Some(b'{') => self.loose_entry()?,
                _ => self.stray()?,
            }
        }
        Ok(List {
            span: start..self.scanner.offset(),
            kind: Kind::List,
            attributes,
            empty: first,
        })
    }

    /// One attribute of a page of them; what cannot be read costs itself.
    fn loose_entry(&mut self) -> Result<(), Fault> {
        let (items, heads) = (self.plan.items.len(), self.plan.heads.len());
        let (limits, plan) = (self.limits, &mut *self.plan);
        let read = self.scanner.entry(None, |scanner| {
            let mut planner = Planner {
                scanner,
                limits,
                plan,
            };
            planner.object(Level::Item)
        })?;
        if let Some(seen) = read {
            return self.loose_attribute(seen, true);
        }
        self.plan.items.truncate(items);
        self.plan.heads.truncate(heads);
        let unreadable = self.scanner.unreadable.pop();
        self.plan.items.extend(unreadable.map(|part| Item {
            span: part.span,
            attributes: 0,
            shape: Shape::Unreadable(part.offset, part.what),
        }));
        Ok(())
    }
}
