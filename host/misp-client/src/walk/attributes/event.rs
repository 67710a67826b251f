//! An event as step A saw it, and lists of them.

use pipeline::EventSeen;
use splitter::EventHead;

/// Events in one list, however few attributes they have: the list goes into the request.
const EVENTS_AT_ONCE: usize = 500;

/// An event as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) head: EventHead,
}

impl Event {
    /// `None` if nothing names it.
    pub(super) fn new(head: &EventHead) -> Option<Self> {
        let event = Self { head: head.clone() };
        (!event.name().is_empty()).then_some(event)
    }

    /// What it is asked for by. Its id, as long as it has one.
    pub(super) fn name(&self) -> &str {
        if self.head.id.is_empty() {
            &self.head.uuid
        } else {
            &self.head.id
        }
    }

    pub(super) fn seen(&self) -> EventSeen {
        seen(&self.head)
    }

    /// Attributes to make room for. One whose count is missing may be large.
    fn size(&self) -> u64 {
        self.head.attribute_count.unwrap_or(u64::MAX)
    }
}

pub(super) fn seen(head: &EventHead) -> EventSeen {
    EventSeen {
        uuid: head.uuid.clone(),
        publish_timestamp: head.publish_timestamp.unwrap_or(0),
    }
}

/// Lists of events that fit a page of so many attributes, or hold one event. What says that it
/// has no attributes is asked for too: the count leaves out deleted ones, and can be wrong.
pub(super) fn lists(heads: &[EventHead], page: u64) -> Vec<Vec<Event>> {
    // Deleted ones come but are not counted.
    let most = page - page / 8;
    let mut lists: Vec<Vec<Event>> = Vec::new();
    let mut size = 0_u64;
    for head in heads {
        let Some(event) = Event::new(head) else {
            tracing::warn!("an event has neither id nor uuid: its attributes cannot be asked for");
            continue;
        };
        size = size.saturating_add(event.size());
        match lists.last_mut() {
            Some(list) if size <= most && list.len() < EVENTS_AT_ONCE => list.push(event),
            _ => {
                size = event.size();
                lists.push(vec![event]);
            }
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_fits_a_page_or_holds_one_event() {
        let head = |id: u64, count| EventHead {
            id: id.to_string(),
            attribute_count: count,
            ..EventHead::default()
        };
        let heads = [
            head(1, Some(3)),
            head(2, Some(4)),
            head(3, Some(0)),
            head(4, Some(1)),
            head(5, Some(90)),
            head(6, None),
            EventHead::default(),
            head(7, Some(1)),
        ];
        let lists: Vec<Vec<String>> = lists(&heads, 8)
            .iter()
            .map(|list| list.iter().map(|event| event.name().to_owned()).collect())
            .collect();
        let expected: [&[&str]; 5] = [&["1", "2", "3"], &["4"], &["5"], &["6"], &["7"]];
        assert_eq!(lists, expected);
    }
}
