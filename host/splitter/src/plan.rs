//! The first pass: what records a value holds, and where.

use std::ops::Range;

use crate::list::{Kind, List, Of};
use crate::name::Name;
use crate::record::{EventHead, SplitLimits};
use crate::scan::{Fault, Member, Scanner};

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
}

impl Parts {
    pub(crate) fn head_len(&self) -> usize {
        let len = self.head.iter().map(|run| run.end - run.start).sum::<u64>();
        usize::try_from(len).unwrap_or(usize::MAX)
    }
}

/// What was found so far. Each item but the strays has a head.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) items: Vec<Item>,
    pub(crate) heads: Vec<EventHead>,
}

/// Passes over the value that is next. After a fault `plan` holds the items before it.
pub(crate) fn value(
    scanner: &mut Scanner,
    limits: &SplitLimits,
    plan: &mut Plan,
) -> Result<(), Fault> {
    let mut planner = Planner {
        scanner,
        limits,
        plan,
    };
    match planner.scanner.peek()? {
        Some(b'[') => planner.page(),
        Some(b'{') => planner.object(Level::Top).map(|seen| planner.one(seen)),
        _ => planner.stray(),
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

struct Planner<'a> {
    scanner: &'a mut Scanner,
    limits: &'a SplitLimits,
    plan: &'a mut Plan,
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
struct Seen {
    span: Range<u64>,
    of_attribute: bool,
    of_event: bool,
    uuid: bool,
    date: bool,
    /// Its own fields, should it be an event.
    head: EventHead,
    /// The fields that name an attribute's event.
    event_ref: EventHead,
    parts: Parts,
    /// The values of `Event` that are objects, and whether the last value is one.
    events: Vec<Seen>,
    event_is_last: bool,
    /// Were there `response` members, and was one of them a page?
    response: Option<bool>,
    /// Where the items that it added itself start.
    items_from: (usize, usize),
    only_lists: bool,
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
                    self.one(seen);
                }
                _ => self.stray()?,
            }
        }
        Ok(())
    }

    fn stray(&mut self) -> Result<(), Fault> {
        let span = self.scanner.value()?;
        self.add_stray(span);
        Ok(())
    }

    fn add_stray(&mut self, span: Range<u64>) {
        self.plan.items.push(Item {
            span,
            attributes: 0,
            shape: Shape::Stray,
        });
    }

    fn add(&mut self, span: Range<u64>, attributes: u64, shape: Shape, head: EventHead) {
        self.plan.heads.push(head);
        self.plan.items.push(Item {
            span,
            attributes,
            shape,
        });
    }

    fn object(&mut self, level: Level) -> Result<Seen, Fault> {
        let mut seen = Seen {
            items_from: (self.plan.items.len(), self.plan.heads.len()),
            only_lists: true,
            ..Seen::default()
        };
        let start = self.scanner.offset();
        let (mut first, mut run) = (true, None);
        self.scanner.enter()?;
        while let Some(member) = self.scanner.member(first)? {
            first = false;
            let in_head = self.member(level, member, &mut seen)?;
            let end = self.scanner.offset();
            if in_head {
                let from = run.map_or(member.start, |open: Range<u64>| open.start);
                run = Some(from..end);
            } else {
                seen.parts.head.extend(run.take());
            }
        }
        seen.parts.head.extend(run);
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
            name => {
                seen.of_attribute |= name == Name::OfAttribute;
                seen.of_event |= name == Name::OfEvent;
                seen.date |= name == Name::Date;
                self.scanner.value()?;
            }
        }
        Ok(true)
    }

    /// The text of the string or number that is next; empty for anything else.
    fn text(&mut self) -> Result<String, Fault> {
        match self.scanner.peek()? {
            Some(first @ (b'"' | b'-' | b'0'..=b'9')) => {
                let mut raw = Vec::new();
                self.scanner.copy_value(&mut raw)?;
                if first == b'"' {
                    Ok(serde_json::from_slice(&raw).unwrap_or_default())
                } else {
                    Ok(String::from_utf8(raw).unwrap_or_default())
                }
            }
            _ => self.scanner.value().map(|_| String::new()),
        }
    }

    /// The value of `response`: is it a page?
    fn response(&mut self) -> Result<bool, Fault> {
        match self.scanner.peek()? {
            Some(b'[') => self.page().map(|()| true),
            Some(b'{') => {
                let seen = self.object(Level::Response)?;
                self.one(seen);
                Ok(true)
            }
            _ => self.scanner.value().map(|_| false),
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
                Some(b'{') => {
                    let seen = self.object(Level::Item)?;
                    self.loose_attribute(seen, true);
                }
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

    fn loose_attribute(&mut self, mut seen: Seen, named: bool) {
        let head = match seen.events.pop() {
            Some(event) => event.head,
            None => seen.event_ref,
        };
        let is_empty = seen.span.end - seen.span.start == 2;
        if is_empty {
            self.add_stray(seen.span);
        } else if named && !seen.of_attribute {
            self.add(seen.span, 1, Shape::Under("Attribute"), head);
        } else {
            self.add(seen.span, 1, Shape::AsIs, head);
        }
    }

    /// Tells by its members what an object is, and adds what it holds. `misp-model`
    /// reads a record by the same rules.
    fn one(&mut self, mut seen: Seen) {
        match seen.response {
            Some(true) => return,
            Some(false) => return self.add_stray(seen.span),
            None => {}
        }
        let lists = &seen.parts.attributes;
        let has_attribute = !lists.is_empty();
        let nothing_beside = lists.last().is_none_or(|list| list.empty);
        let event_has_attribute = seen
            .events
            .last()
            .is_some_and(|event| !event.parts.attributes.is_empty());

        if !seen.of_attribute
            && !(seen.event_is_last && (event_has_attribute || nothing_beside))
            && has_attribute
            && !seen.of_event
            && !seen.uuid
        {
            return self.attribute_list(seen);
        }
        // Items below `response` were a guess: this is something else.
        self.plan.items.truncate(seen.items_from.0);
        self.plan.heads.truncate(seen.items_from.1);
        if seen.of_attribute {
            self.loose_attribute(seen, false);
        } else if seen.event_is_last && (event_has_attribute || nothing_beside) {
            let mut events = std::mem::take(&mut seen.events);
            match (events.pop(), events.is_empty()) {
                (Some(event), true) => self.event(event, Some(seen.span)),
                (last, _) => events
                    .into_iter()
                    .chain(last)
                    .for_each(|event| self.event(event, None)),
            }
        } else if seen.of_event
            || has_attribute
            || (seen.uuid && (seen.date || !seen.parts.objects.is_empty()))
        {
            self.event(seen, None);
        } else {
            self.add_stray(seen.span);
        }
    }

    /// `{"Attribute":[..]}`, perhaps with the event beside it.
    fn attribute_list(&mut self, mut seen: Seen) {
        if seen.items_from.0 < self.plan.items.len() {
            if seen.only_lists && seen.events.is_empty() {
                return;
            }
            self.plan.items.truncate(seen.items_from.0);
            self.plan.heads.truncate(seen.items_from.1);
        }
        let mut parts = seen.parts;
        parts.objects.clear();
        let attributes = parts.attributes.iter().map(|list| list.attributes).sum();
        if attributes == 0 {
            return;
        }
        let head = seen.events.pop().map(|event| event.head);
        let shape = if self.fits(&parts, attributes, &seen.span) {
            Shape::AsIs
        } else {
            Shape::Cut(Box::new(parts))
        };
        self.add(seen.span, attributes, shape, head.unwrap_or_default());
    }

    /// An event; `around` is where the object with its `Event` key is, if there is one.
    fn event(&mut self, seen: Seen, around: Option<Range<u64>>) {
        let mut parts = seen.parts;
        parts.event = true;
        let beside = parts.attributes.last().map(|list| list.kind);
        let object = parts.objects.last().map(|list| list.kind);
        let pre_split = [beside, object]
            .iter()
            .any(|kind| matches!(kind, Some(Kind::Single { .. })));
        // Another shipper's pair of an attribute and an object: one document.
        let pair = matches!(
            (beside, object),
            (
                Some(Kind::Single { .. }),
                Some(Kind::Single {
                    one_attribute: true
                })
            )
        );
        let attributes = if pair {
            1
        } else {
            let lists = parts.attributes.iter().chain(&parts.objects);
            lists.map(|list| list.attributes).sum()
        };
        let shape = if !self.fits(&parts, attributes, &seen.span) {
            Shape::Cut(Box::new(parts))
        } else if around.is_none() && !pre_split {
            Shape::Under("Event")
        } else {
            Shape::AsIs
        };
        self.add(around.unwrap_or(seen.span), attributes, shape, seen.head);
    }

    fn fits(&self, parts: &Parts, attributes: u64, span: &Range<u64>) -> bool {
        let len = usize::try_from(span.end - span.start).unwrap_or(usize::MAX);
        let head = parts.head_len();
        attributes <= 1
            || self
                .limits
                .allow(head, attributes, len.saturating_sub(head))
    }
}
