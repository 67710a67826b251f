//! Tells by an object's members what it is: an event, a loose attribute, a list of them.

use std::ops::Range;

use crate::list::Kind;
use crate::plan::{Parts, Planner, Seen, Shape};
use crate::scan::Fault;

impl Planner<'_> {
    pub(crate) fn loose_attribute(&mut self, mut seen: Seen, named: bool) -> Result<(), Fault> {
        let head = match seen.events.pop() {
            Some(event) => event.head,
            None => seen.event_ref,
        };
        let is_empty = seen.span.end - seen.span.start == 2;
        if is_empty {
            self.add_stray(seen.span)
        } else if named && !seen.of_attribute {
            self.add(seen.span, 1, Shape::Under("Attribute"), head)
        } else {
            self.add(seen.span, 1, Shape::AsIs, head)
        }
    }

    /// Tells by its members what an object is, and adds what it holds; is it of a
    /// known shape? `misp-model` reads a record by the same rules.
    pub(crate) fn one(&mut self, mut seen: Seen) -> Result<bool, Fault> {
        if let Some(known) = seen.response {
            return Ok(known);
        }
        let lists = &seen.parts.attributes;
        let has_attribute = !lists.is_empty();
        let nothing_beside = lists.last().is_none_or(|list| list.empty);
        let in_event = |event: &Seen| !event.parts.attributes.is_empty();
        let wraps_event =
            seen.event_is_last && (nothing_beside || seen.events.last().is_some_and(in_event));
        let loose_list = !wraps_event && has_attribute && !seen.of_event && !seen.uuid;

        if loose_list && !seen.of_attribute {
            self.attribute_list(seen)?;
            return Ok(true);
        }
        self.drop_guesses(&seen);
        if seen.of_attribute {
            self.loose_attribute(seen, false)?;
        } else if wraps_event {
            let mut events = std::mem::take(&mut seen.events);
            match (events.pop(), events.is_empty()) {
                (Some(event), true) => self.event(event, Some(seen.span))?,
                (last, _) => events
                    .into_iter()
                    .chain(last)
                    .try_for_each(|event| self.event(event, None))?,
            }
        } else if seen.of_event
            || has_attribute
            || (seen.uuid && (seen.date || !seen.parts.objects.is_empty()))
        {
            self.event(seen, None)?;
        } else {
            self.add_stray(seen.span)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes back the items that were found below `response`: it is something else.
    fn drop_guesses(&mut self, seen: &Seen) {
        self.plan.items.truncate(seen.items_from.0);
        self.plan.heads.truncate(seen.items_from.1);
    }

    /// `{"Attribute":[..]}`, perhaps with the event beside it.
    fn attribute_list(&mut self, mut seen: Seen) -> Result<(), Fault> {
        if seen.items_from.0 < self.plan.items.len() {
            if seen.only_lists && seen.events.is_empty() {
                return Ok(());
            }
            self.drop_guesses(&seen);
        }
        let mut parts = seen.parts;
        parts.objects.clear();
        let attributes = parts.attributes.iter().map(|list| list.attributes).sum();
        if attributes == 0 && parts.unreadable.is_empty() {
            return Ok(());
        }
        let head = seen.events.pop().map(|event| event.head);
        let shape = if self.fits(&parts, attributes, &seen.span) {
            Shape::AsIs
        } else {
            Shape::Cut(Box::new(parts))
        };
        self.add(seen.span, attributes, shape, head.unwrap_or_default())
    }

    /// An event; `around` is where the object with its `Event` key is, if there is one.
    fn event(&mut self, seen: Seen, around: Option<Range<u64>>) -> Result<(), Fault> {
        let mut parts = seen.parts;
        parts.event = true;
        let parts_head_len = parts.head_len();
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
        self.at_most(
            parts_head_len,
            self.limits.record,
            "bytes of one event beside its attributes",
        )?;
        self.add(around.unwrap_or(seen.span), attributes, shape, seen.head)
    }

    fn fits(&self, parts: &Parts, attributes: u64, span: &Range<u64>) -> bool {
        let len = usize::try_from(span.end - span.start).unwrap_or(usize::MAX);
        let head = parts.head_len();
        parts.unreadable.is_empty()
            && (attributes <= 1
                || self
                    .limits
                    .allow(head, attributes, len.saturating_sub(head)))
    }
}
