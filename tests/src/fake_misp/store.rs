//! The events a [`super::FakeMisp`] holds, and what happens to them.
//! What moves which time is what MISP 2.5 does.

use serde_json::{Map, Value};

use crate::events;

/// Events as MISP would show them, newest last, and a clock that only the test moves.
#[derive(Debug)]
pub struct Store {
    events: Vec<Value>,
    now: i64,
    next_id: u64,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            events: Vec::new(),
            now: events::BASE_TIME + 86_400,
            next_id: 1,
        }
    }

    /// The server's time, UNIX seconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Sets the server's time.
    pub fn set_now(&mut self, now: i64) {
        self.now = now;
    }

    /// Lets the server's time pass.
    pub fn advance(&mut self, seconds: i64) {
        self.now += seconds;
    }

    /// Everything, in the order of ids.
    pub fn events(&self) -> &[Value] {
        &self.events
    }

    /// The uuids of all published events and of their live attributes, objects' included:
    /// what a client that lost nothing has seen.
    pub fn published_attributes(&self) -> Vec<String> {
        self.events
            .iter()
            .filter(|event| event.get("published").and_then(Value::as_bool) == Some(true))
            .flat_map(attributes)
            .filter(|attribute| attribute.get("deleted").and_then(Value::as_bool) != Some(true))
            .filter_map(|attribute| attribute.get("uuid").and_then(Value::as_str))
            .map(str::to_owned)
            .collect()
    }

    /// Takes in an event (with or without the `Event` around it) and gives it the next ids.
    pub fn add(&mut self, event: Value) -> u64 {
        let mut event = match event {
            Value::Object(mut map) if map.contains_key("Event") => {
                map.remove("Event").unwrap_or_default()
            }
            other => other,
        };
        let id = self.next_id;
        self.next_id += 1;
        set(&mut event, "id", id.to_string());
        let mut attribute_id = id * 100_000;
        for attribute in attributes_mut(&mut event) {
            attribute_id += 1;
            set(attribute, "id", attribute_id.to_string());
            set(attribute, "event_id", id.to_string());
        }
        self.events.push(event);
        id
    }

    /// Adds an attribute, built as part of any event, to one that is there.
    pub fn add_attribute(&mut self, uuid: &str, attribute: Value) {
        let now = self.now.to_string();
        self.edit(uuid, |event| {
            let mut attribute = attribute;
            let id = next_attribute_id(event);
            set(&mut attribute, "id", id.to_string());
            set(&mut attribute, "event_id", text(event, "id"));
            set(&mut attribute, "timestamp", now);
            if let Some(Value::Array(list)) = event.get_mut("Attribute") {
                list.push(attribute);
            }
            count(event);
        });
    }

    /// Publishes: `published`, and `publish_timestamp` is now. Nothing else moves.
    pub fn publish(&mut self, uuid: &str) {
        let now = self.now.to_string();
        if let Some(event) = self.event_mut(uuid) {
            set(event, "published", true);
            set(event, "publish_timestamp", now);
        }
    }

    /// Takes the publication back; no time moves.
    pub fn unpublish(&mut self, uuid: &str) {
        if let Some(event) = self.event_mut(uuid) {
            set(event, "published", false);
        }
    }

    /// Changes an event: its `timestamp` is now and it is no longer published.
    pub fn edit(&mut self, uuid: &str, change: impl FnOnce(&mut Value)) {
        let now = self.now.to_string();
        if let Some(event) = self.event_mut(uuid) {
            change(event);
            set(event, "timestamp", now);
            set(event, "published", false);
        }
    }

    /// Changes an attribute: its and its event's `timestamp` are now.
    pub fn edit_attribute(&mut self, uuid: &str, attribute: &str, change: impl FnOnce(&mut Value)) {
        let now = self.now.to_string();
        self.edit(uuid, |event| {
            if let Some(found) = attributes_mut(event).find(|found| is(found, attribute)) {
                change(found);
                set(found, "timestamp", now);
            }
        });
    }

    /// Adds a tag to an event.
    pub fn tag(&mut self, uuid: &str, name: &str) {
        self.edit(uuid, |event| {
            if let Value::Object(map) = event
                && let Value::Array(tags) =
                    map.entry("Tag").or_insert_with(|| Value::Array(Vec::new()))
            {
                tags.push(events::tag(name));
            }
        });
    }

    /// Takes a tag off an event.
    pub fn untag(&mut self, uuid: &str, name: &str) {
        self.edit(uuid, |event| {
            if let Some(Value::Array(tags)) = event.get_mut("Tag") {
                tags.retain(|tag| text(tag, "name") != name);
            }
        });
    }

    /// Marks an attribute as deleted.
    pub fn soft_delete(&mut self, uuid: &str, attribute: &str) {
        self.edit_attribute(uuid, attribute, |found| set(found, "deleted", true));
        if let Some(event) = self.event_mut(uuid) {
            count(event);
        }
    }

    /// Removes an attribute, also one of an object, without a trace. Its object stays.
    pub fn hard_delete(&mut self, uuid: &str, attribute: &str) {
        self.edit(uuid, |event| {
            for list in attribute_lists(event) {
                list.retain(|found| !is(found, attribute));
            }
            count(event);
        });
    }

    /// Removes an event without a trace.
    pub fn delete(&mut self, uuid: &str) {
        self.events.retain(|event| !is(event, uuid));
    }

    pub(super) fn event_mut(&mut self, uuid: &str) -> Option<&mut Value> {
        self.events.iter_mut().find(|event| is(event, uuid))
    }
}

/// All attributes of an event, those of its objects too.
pub(super) fn attributes(event: &Value) -> impl Iterator<Item = &Value> {
    let own = list(event, "Attribute").iter();
    let of_objects = list(event, "Object")
        .iter()
        .flat_map(|object| list(object, "Attribute"));
    own.chain(of_objects)
}

/// MISP's `attribute_count`: live attributes, those of objects too.
pub(super) fn count(event: &mut Value) {
    let live = attributes(event)
        .filter(|attribute| attribute.get("deleted").and_then(Value::as_bool) != Some(true))
        .count();
    set(event, "attribute_count", live.to_string());
}

/// Ids of attributes count up from a hundred thousand times the event's.
pub(super) fn next_attribute_id(event: &Value) -> u64 {
    let id = |value: &Value| text(value, "id").parse().unwrap_or(0);
    let last = attributes(event).map(id).max();
    last.unwrap_or(id(event) * 100_000).max(id(event) * 100_000) + 1
}

fn attributes_mut(event: &mut Value) -> impl Iterator<Item = &mut Value> {
    attribute_lists(event).flatten()
}

/// The event's own list of attributes, and one for each object.
fn attribute_lists(event: &mut Value) -> impl Iterator<Item = &mut Vec<Value>> {
    let (mut own, mut of_objects) = (None, None);
    if let Value::Object(map) = event {
        for (key, value) in map {
            match (key.as_str(), value) {
                ("Attribute", Value::Array(list)) => own = Some(list),
                ("Object", Value::Array(list)) => of_objects = Some(list),
                _ => {}
            }
        }
    }
    let of_objects = of_objects
        .into_iter()
        .flatten()
        .filter_map(|object| object.get_mut("Attribute"))
        .filter_map(Value::as_array_mut);
    own.into_iter().chain(of_objects)
}

/// The list under a key; empty if there is none.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The text under a key, numbers as their digits; empty if there is none.
pub(super) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

pub(super) fn map_mut(value: &mut Value) -> Option<&mut Map<String, Value>> {
    value.as_object_mut()
}

pub(super) fn set(value: &mut Value, key: &str, new: impl Into<Value>) {
    if let Some(map) = map_mut(value) {
        map.insert(key.to_owned(), new.into());
    }
}

pub(super) fn is(value: &Value, uuid: &str) -> bool {
    value.get("uuid").and_then(Value::as_str) == Some(uuid)
}
