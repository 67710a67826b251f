//! The made-up MISP's events.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::{Class, Classify, ServerClock};

/// An attribute as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) timestamp: i64,
    pub(crate) value: String,
}

/// An event as the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) timestamp: i64,
    pub(crate) publish_timestamp: i64,
    pub(crate) published: bool,
    pub(crate) attributes: BTreeMap<String, Attribute>,
}

/// A server: one clock, events by uuid.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) now: i64,
    pub(crate) events: BTreeMap<String, Event>,
    /// Events that an answer holds twice, as they were when it was begun.
    pub(crate) earlier: BTreeMap<String, Event>,
    /// Lists nothing, as a server that lost its database would.
    pub(crate) empty_listing: bool,
    /// The clock in its answers.
    pub(crate) clock: ServerClock,
    /// An event that is edited before its attributes are listed, and published before the events
    /// are.
    pub(crate) published_while_listed: Option<String>,
    /// Events that the filters leave out.
    pub(crate) hidden: BTreeSet<String>,
    /// Attributes of one page, for a server that gives an event in several pages.
    pub(crate) attributes_at_once: Option<usize>,
    /// Does no question for a page get an answer?
    pub(crate) down: bool,
    /// How many more questions for a page it refuses the key to.
    pub(crate) refusals: u32,
}

impl Server {
    pub(crate) fn tick(&mut self) -> i64 {
        self.now += 1;
        self.now
    }

    /// Sets an attribute, and publishes its event if told to.
    pub(crate) fn set(&mut self, event: &str, attribute: &str, value: &str) {
        let now = self.tick();
        let event = self.events.entry(event.to_owned()).or_default();
        event.timestamp = now;
        event.published = false;
        let attribute = attribute.to_owned();
        event.attributes.insert(
            attribute,
            Attribute {
                timestamp: now,
                value: value.to_owned(),
            },
        );
    }

    pub(crate) fn remove(&mut self, event: &str, attribute: &str) {
        let now = self.tick();
        if let Some(event) = self.events.get_mut(event) {
            event.attributes.remove(attribute);
            event.timestamp = now;
            event.published = false;
        }
    }

    pub(crate) fn publish(&mut self, event: &str) {
        let now = self.tick();
        if let Some(event) = self.events.get_mut(event) {
            event.publish_timestamp = now;
            event.published = true;
        }
    }

    /// Takes an event back, and nothing else.
    pub(crate) fn unpublish(&mut self, event: &str) {
        if let Some(event) = self.events.get_mut(event) {
            event.published = false;
        }
    }

    /// Publishes every event: somebody reviews everything that was left half done.
    pub(crate) fn publish_all(&mut self) {
        let events: Vec<String> = self.events.keys().cloned().collect();
        events.iter().for_each(|event| self.publish(event));
    }

    pub(crate) fn delete(&mut self, event: &str) {
        self.events.remove(event);
    }

    /// The values of all attributes of published events, by attribute.
    pub(crate) fn published(&self) -> BTreeMap<String, String> {
        let events = self.events.values().filter(|event| event.published);
        events
            .flat_map(|event| &event.attributes)
            .map(|(uuid, attribute)| (uuid.clone(), attribute.value.clone()))
            .collect()
    }
}

/// The server does not take the key.
#[derive(Debug, thiserror::Error)]
#[error("the key is refused")]
pub(crate) struct KeyRefused;

impl Classify for KeyRefused {
    fn class(&self) -> Class {
        Class::Fatal
    }
}
