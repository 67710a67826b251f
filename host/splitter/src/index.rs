//! The first pass: which items a body holds, and where their parts are.

use std::ops::Range;

use crate::record::{EventHead, SplitError};
use crate::scan::{Kind, Scanner};

/// Bytes of a body.
pub(crate) type Span = Range<u64>;

/// One event, or one loose attribute.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) head: EventHead,
    /// All of it.
    pub(crate) span: Span,
    /// Attributes in it, object attributes included.
    pub(crate) attributes: u64,
    pub(crate) shape: Shape,
}

/// How an item can be cut.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// An event with its lists.
    Event(EventParts),
    /// One attribute, or an event that another shipper split: never cut.
    Whole,
}

/// Where the parts of an event are.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventParts {
    /// Runs of members that are not the lists.
    pub(crate) head: Vec<Span>,
    /// The `Attribute` lists; more than one where the key stands twice.
    pub(crate) attribute: Vec<Span>,
    /// The `Object` lists.
    pub(crate) object: Vec<Span>,
    /// The event stands bare, not below a key `Event`.
    pub(crate) bare: bool,
    /// Members follow each other as they should; nothing stands twice.
    pub(crate) plain: bool,
}

impl EventParts {
    pub(crate) fn head_bytes(&self) -> u64 {
        self.head.iter().map(|run| run.end - run.start).sum()
    }
}

/// What stands in a body, top to bottom.
pub(crate) enum Entry {
    Item(Box<Item>),
    /// A value that is no record.
    Other(Span),
}

type Result<T> = std::result::Result<T, SplitError>;

/// What the members of an object said.
#[derive(Debug, Default)]
struct Seen {
    head: EventHead,
    parts: EventParts,
    /// Attributes in its lists.
    attributes: u64,
    /// The item below `Event`.
    event: Option<Box<Item>>,
    /// `Attribute` is one object (or a list that PHP wrote as one): its head.
    one_attribute: Option<EventHead>,
    /// `Object` is one object.
    one_object: bool,
    /// It has a key that only attributes have.
    of_attribute: bool,
    /// It has a key that only events have.
    of_event: bool,
    /// It has a `date`, or an `Object` of whatever kind.
    date_or_object: bool,
    /// Members with a number as their key and an object as their value.
    numbered: u64,
    /// Other members.
    named: u64,
}

/// Keys that an attribute has and an event never has.
const ATTRIBUTE_KEYS: [&str; 3] = ["value", "to_ids", "category"];

/// Keys that an event has and an attribute never has, beside `Attribute`.
const EVENT_KEYS: [&str; 5] = ["info", "Orgc", "threat_level_id", "analysis", "orgc_id"];

/// Reads the value ahead and tells what items it holds.
pub(crate) fn value(scanner: &mut Scanner<'_>, found: &mut dyn FnMut(Entry)) -> Result<()> {
    scanner.mark();
    match scanner.kind()? {
        Kind::Object => object(scanner, found),
        Kind::Array => list(scanner, found),
        Kind::Text | Kind::Number | Kind::Literal => other(scanner, found),
    }
}

fn other(scanner: &mut Scanner<'_>, found: &mut dyn FnMut(Entry)) -> Result<()> {
    scanner.peek()?;
    let start = scanner.position();
    scanner.skip()?;
    found(Entry::Other(start..scanner.position()));
    Ok(())
}

/// A list of items, or of lists of them.
fn list(scanner: &mut Scanner<'_>, found: &mut dyn FnMut(Entry)) -> Result<()> {
    scanner.open(b'[')?;
    let mut first = true;
    while scanner.next_element(first)? {
        first = false;
        value(scanner, found)?;
    }
    scanner.close();
    Ok(())
}

/// A page, an event, an attribute, or nothing of these.
fn object(scanner: &mut Scanner<'_>, found: &mut dyn FnMut(Entry)) -> Result<()> {
    let mut is_page = false;
    let seen = members(scanner, &mut |scanner, key| {
        if key == "response" && matches!(scanner.kind()?, Kind::Array | Kind::Object) {
            is_page = true;
            response(scanner, found)?;
            return Ok(true);
        }
        Ok(false)
    })?;
    if !is_page {
        classify(seen).map(&mut *found);
    }
    Ok(())
}

/// What is below `response`: a list of events, `{"Attribute": [..]}`, or one event.
fn response(scanner: &mut Scanner<'_>, found: &mut dyn FnMut(Entry)) -> Result<()> {
    if scanner.kind()? == Kind::Array {
        return list(scanner, found);
    }
    let mut loose = false;
    let seen = members(scanner, &mut |scanner, key| {
        if key == "Attribute" && scanner.kind()? == Kind::Array {
            loose = true;
            list(scanner, found)?;
            return Ok(true);
        }
        Ok(false)
    })?;
    if !loose {
        classify(seen).map(&mut *found);
    }
    Ok(())
}

/// Walks over an object; `special` may take the value of a key for itself.
fn members(
    scanner: &mut Scanner<'_>,
    special: &mut dyn FnMut(&mut Scanner<'_>, &str) -> Result<bool>,
) -> Result<(Seen, Span)> {
    scanner.peek()?;
    let start = scanner.position();
    scanner.open(b'{')?;
    let mut seen = Seen {
        parts: EventParts {
            plain: true,
            ..EventParts::default()
        },
        ..Seen::default()
    };
    let mut run: Option<Span> = None;
    let mut first = true;
    while let Some((key, key_start)) = scanner.next_member(first)? {
        first = false;
        let in_head = if special(scanner, &key)? {
            false
        } else {
            member(scanner, &key, &mut seen)?
        };
        if in_head {
            let end = scanner.position();
            match &mut run {
                Some(run) => run.end = end,
                None => run = Some(key_start..end),
            }
        } else {
            seen.parts.head.extend(run.take());
        }
    }
    seen.parts.head.extend(run);
    scanner.close();
    Ok((seen, start..scanner.position()))
}

/// Reads one member; whether it belongs to the head.
fn member(scanner: &mut Scanner<'_>, key: &str, seen: &mut Seen) -> Result<bool> {
    let kind = scanner.kind()?;
    if kind == Kind::Object && key.parse::<u32>().is_ok() {
        seen.numbered += 1;
    } else {
        seen.named += 1;
    }
    seen.of_attribute |= ATTRIBUTE_KEYS.contains(&key);
    seen.of_event |= EVENT_KEYS.contains(&key);
    seen.date_or_object |= matches!(key, "date" | "Object");
    match (key, kind) {
        ("Attribute", Kind::Array) => {
            let (span, count) = counted(scanner, one)?;
            seen.attributes += count;
            seen.parts.plain &= seen.parts.attribute.is_empty();
            seen.parts.attribute.push(span);
            return Ok(false);
        }
        ("Object", Kind::Array) => {
            let (span, count) = counted(scanner, object_attributes)?;
            seen.attributes += count;
            seen.parts.plain &= seen.parts.object.is_empty();
            seen.parts.object.push(span);
            return Ok(false);
        }
        ("Event", Kind::Object) => {
            let (inner, span) = members(scanner, &mut |_, _| Ok(false))?;
            seen.event = Some(Box::new(event(inner, span)));
        }
        ("Attribute", Kind::Object) => {
            let (inner, _) = members(scanner, &mut |_, _| Ok(false))?;
            let is_list = inner.numbered > 0 && inner.named == 0;
            seen.attributes += if is_list {
                inner.numbered
            } else {
                inner.named.min(1)
            };
            if inner.numbered + inner.named > 0 {
                let head = inner.event.map(|event| event.head);
                seen.one_attribute = Some(head.unwrap_or_default());
            }
        }
        ("Object", Kind::Object) => {
            let count = object_attributes(scanner)?;
            seen.one_object |= count > 0;
        }
        ("uuid", _) => seen.head.uuid = scanner.scalar()?.unwrap_or_default(),
        ("id", _) => seen.head.id = scanner.scalar()?.unwrap_or_default(),
        ("timestamp", _) => seen.head.timestamp = seconds(scanner)?,
        ("publish_timestamp", _) => seen.head.publish_timestamp = seconds(scanner)?,
        _ => scanner.skip()?,
    }
    Ok(true)
}

/// Passes over one element: it counts as one.
fn one(scanner: &mut Scanner<'_>) -> Result<u64> {
    scanner.skip()?;
    Ok(1)
}

fn seconds(scanner: &mut Scanner<'_>) -> Result<Option<i64>> {
    Ok(scanner.scalar()?.and_then(|text| text.trim().parse().ok()))
}

/// Walks over a list and sums up what `count` says of each element.
fn counted(
    scanner: &mut Scanner<'_>,
    count: impl Fn(&mut Scanner<'_>) -> Result<u64>,
) -> Result<(Span, u64)> {
    scanner.peek()?;
    let start = scanner.position();
    scanner.open(b'[')?;
    let mut total = 0;
    let mut first = true;
    while scanner.next_element(first)? {
        first = false;
        total += count(scanner)?;
    }
    scanner.close();
    Ok((start..scanner.position(), total))
}

/// Passes over one object of MISP and counts its attributes.
pub(crate) fn object_attributes(scanner: &mut Scanner<'_>) -> Result<u64> {
    if scanner.kind()? != Kind::Object {
        scanner.skip()?;
        return Ok(0);
    }
    scanner.open(b'{')?;
    let mut total = 0;
    let mut first = true;
    while let Some((key, _)) = scanner.next_member(first)? {
        first = false;
        match (key.as_str(), scanner.kind()?) {
            ("Attribute", Kind::Array) => {
                total += counted(scanner, one)?.1;
            }
            ("Attribute", Kind::Object) => {
                scanner.skip()?;
                total += 1;
            }
            _ => scanner.skip()?,
        }
    }
    scanner.close();
    Ok(total)
}

/// What an object is, by its members: the same rules as `misp-model` has.
fn classify((seen, span): (Seen, Span)) -> Option<Entry> {
    if seen.of_attribute {
        // A loose attribute: the event it belongs to is inside, or unknown.
        let head = seen.event.map(|event| event.head).unwrap_or_default();
        return Some(whole(head, span, 1));
    }
    let is_event = seen.of_event
        || !seen.head.uuid.is_empty()
            && (seen.date_or_object || seen.attributes > 0 || !seen.parts.attribute.is_empty());
    let beside = seen.attributes > 0 && seen.parts.object.is_empty() && !seen.one_object;
    match (seen.event, &seen.one_attribute) {
        (Some(event), _) if !beside => {
            let mut event = event;
            if let Shape::Event(parts) = &mut event.shape {
                parts.bare = false;
            }
            event.span = span;
            Some(Entry::Item(event))
        }
        // `{"Attribute": ..}`, perhaps with the event beside it.
        (event, one) if !is_event && beside => {
            let head = event.map(|event| event.head).or_else(|| one.clone());
            Some(whole(head.unwrap_or_default(), span, seen.attributes))
        }
        (None, None)
            if !is_event && !seen.parts.attribute.is_empty() && !seen.parts.object.is_empty() =>
        {
            Some(Entry::Item(Box::new(event(
                Seen {
                    event: None,
                    ..seen
                },
                span,
            ))))
        }
        // A list of attributes that is empty: an empty page.
        (_, None) if !is_event && !seen.parts.attribute.is_empty() => None,
        (_, _) if is_event => Some(Entry::Item(Box::new(event(
            Seen {
                event: None,
                ..seen
            },
            span,
        )))),
        _ => Some(Entry::Other(span)),
    }
}

/// An event, by its members.
fn event(seen: Seen, span: Span) -> Item {
    let is_split = seen.one_attribute.is_some() || seen.one_object;
    Item {
        head: seen.head,
        span,
        attributes: if is_split {
            seen.attributes.max(1)
        } else {
            seen.attributes
        },
        shape: if is_split {
            Shape::Whole
        } else {
            Shape::Event(EventParts {
                bare: true,
                ..seen.parts
            })
        },
    }
}

fn whole(head: EventHead, span: Span, attributes: u64) -> Entry {
    Entry::Item(Box::new(Item {
        head,
        span,
        attributes,
        shape: Shape::Whole,
    }))
}
