//! Cuts a record in two: how a runtime finds the one attribute at fault.

use bytes::Bytes;

use crate::cut::{Cutter, Element, List, Slice};
use crate::index::{self, Entry, EventParts, Shape, Span};
use crate::record::{Record, SplitError, SplitLimits};
use crate::scan::{Kind, Scanner};
use crate::spool::Body;

impl Record {
    /// The record in two, each with a part of its attributes and the same head; at
    /// the last step an object with several attributes becomes two objects with
    /// some of them each. `None` when there is nothing to cut: one attribute, none,
    /// or a record that another shipper split.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let body = Body::from(self.json.to_vec());
        let (parts, elements) = elements(&body).ok()??;
        let total: u64 = elements.iter().map(|element| element.attributes).sum();
        if total < 2 {
            return None;
        }
        let holding = elements
            .iter()
            .filter(|element| element.attributes > 0)
            .count();
        if holding == 1 {
            return self.halve_object(&body, &parts, &elements);
        }
        let mut before = 0;
        let mut cut = 0;
        for (index, element) in elements.iter().enumerate() {
            before += element.attributes;
            cut = index + 1;
            // Both sides must hold something.
            if before * 2 >= total && before > 0 {
                break;
            }
        }
        if before == total {
            // The last element holds most: cut before it.
            cut = elements
                .iter()
                .rposition(|element| element.attributes > 0)?;
        }
        let (left, right) = elements.split_at_checked(cut)?;
        let half = |elements: &[Element], last| {
            let attributes = elements.iter().map(|element| element.attributes).sum();
            let mut slice = Slice::new(&parts);
            for (index, element) in elements.iter().enumerate() {
                slice.push(Element {
                    first: element.first || index == 0,
                    list: element.list,
                    span: element.span.clone(),
                    attributes: element.attributes,
                });
            }
            let json = slice.write(&body, &parts).ok()?;
            Some(self.part(json, attributes, last))
        };
        Some((half(left, false)?, half(right, self.last)?))
    }

    /// The uuid of the only attribute of a record that holds one.
    pub fn attribute_uuid(&self) -> Option<String> {
        if self.attributes != 1 {
            return None;
        }
        let body = Body::from(self.json.to_vec());
        let place = match elements(&body).ok()? {
            Some((_, elements)) => {
                let element = elements
                    .into_iter()
                    .find(|element| element.attributes > 0)?;
                match element.list {
                    List::Attribute => element.span.start,
                    List::Object => {
                        inner_lists(&body, element.span.start)
                            .ok()?
                            .1
                            .first()?
                            .start
                    }
                }
            }
            None => 0,
        };
        uuid_at(&body, place).ok()?
    }

    fn part(&self, json: Vec<u8>, attributes: u64, last: bool) -> Self {
        Self {
            json: Bytes::from(json),
            head: self.head.clone(),
            attributes: u32::try_from(attributes).unwrap_or(u32::MAX),
            last,
        }
    }

    /// Cuts the list inside the only object that holds attributes.
    fn halve_object(
        &self,
        body: &Body,
        parts: &EventParts,
        elements: &[Element],
    ) -> Option<(Self, Self)> {
        let object = elements.iter().find(|element| element.attributes > 0)?;
        let (list, inner) = inner_lists(body, object.span.start).ok()?;
        let middle = inner.len() / 2;
        let half = |from: usize, to: usize, last| {
            let chosen = inner.get(from..to)?;
            let mut element = Vec::new();
            body.append(object.span.start, list.start, &mut element)
                .ok()?;
            element.push(b'[');
            body.append(chosen.first()?.start, chosen.last()?.end, &mut element)
                .ok()?;
            element.push(b']');
            body.append(list.end, object.span.end, &mut element).ok()?;
            let mut json = Slice::default()
                .write(
                    body,
                    &EventParts {
                        head: parts.head.clone(),
                        ..EventParts::default()
                    },
                )
                .ok()?;
            // `{"Event":{..` stays open for the lists.
            json.truncate(json.len().checked_sub(2)?);
            if !parts.head.is_empty() {
                json.push(b',');
            }
            if !parts.attribute.is_empty() {
                json.extend_from_slice(b"\"Attribute\":[],");
            }
            json.extend_from_slice(b"\"Object\":[");
            json.extend_from_slice(&element);
            json.extend_from_slice(b"]}}");
            Some(self.part(json, (to - from) as u64, last))
        };
        Some((
            half(0, middle, false)?,
            half(middle, inner.len(), self.last)?,
        ))
    }
}

/// The elements of an event's lists; `None` for what is not an event with lists.
fn elements(body: &Body) -> Result<Option<(EventParts, Vec<Element>)>, SplitError> {
    let limits = SplitLimits::default();
    let mut item = None;
    index::value(&mut Scanner::new(body, 0, limits.depth), &mut |entry| {
        if let Entry::Item(found) = entry {
            item = Some(found);
        }
    })?;
    let Some(item) = item else { return Ok(None) };
    let Shape::Event(parts) = &item.shape else {
        return Ok(None);
    };
    let parts = parts.clone();
    let mut cutter = Cutter::new(*item, parts.clone());
    let mut scanner = Scanner::new(body, 0, limits.depth);
    let mut elements = Vec::new();
    while let Some(element) = cutter.element(&mut scanner)? {
        elements.push(element);
    }
    Ok(Some((parts, elements)))
}

/// The `Attribute` list of the object at a place, and its elements.
fn inner_lists(body: &Body, at: u64) -> Result<(Span, Vec<Span>), SplitError> {
    let mut scanner = Scanner::new(body, at, SplitLimits::default().depth);
    scanner.open(b'{')?;
    let mut list = 0..0;
    let mut elements = Vec::new();
    let mut first = true;
    while let Some((key, _)) = scanner.next_member(first)? {
        first = false;
        match (key.as_str(), scanner.kind()?) {
            ("Attribute", Kind::Array) if elements.is_empty() => {
                let start = scanner.position();
                scanner.open(b'[')?;
                let mut first = true;
                while scanner.next_element(first)? {
                    first = false;
                    scanner.peek()?;
                    let start = scanner.position();
                    scanner.skip()?;
                    elements.push(start..scanner.position());
                }
                scanner.close();
                list = start..scanner.position();
            }
            ("Attribute", Kind::Object) if elements.is_empty() => {
                let start = scanner.position();
                scanner.skip()?;
                list = start..scanner.position();
                elements.push(list.clone());
            }
            _ => scanner.skip()?,
        }
    }
    Ok((list, elements))
}

/// The `uuid` of the object at a place, or of the one below its `Attribute`.
fn uuid_at(body: &Body, at: u64) -> Result<Option<String>, SplitError> {
    let mut scanner = Scanner::new(body, at, SplitLimits::default().depth);
    if scanner.kind()? != Kind::Object {
        return Ok(None);
    }
    scanner.open(b'{')?;
    let mut below = None;
    let mut first = true;
    while let Some((key, _)) = scanner.next_member(first)? {
        first = false;
        match (key.as_str(), scanner.kind()?) {
            ("uuid", _) => return scanner.scalar(),
            ("Attribute", Kind::Object) => {
                below = Some(scanner.position());
                scanner.skip()?;
            }
            _ => scanner.skip()?,
        }
    }
    match below {
        Some(at) => uuid_at(body, at),
        None => Ok(None),
    }
}
