//! Events that come from elsewhere: from a feed, or from another MISP.

use serde_json::Value;

use super::filters::{second, uuid};
use super::store::{Store, count, is, list, map_mut, next_attribute_id, set};

impl Store {
    /// Takes in an event as a feed's copy says it is, with the clocks of its source, however long
    /// ago they are. One that is there changes only if the copy is newer: its attributes and
    /// objects that are newer take the place of those of the same uuid, new ones are added, what
    /// the copy lacks stays. No clock of this server is in it.
    pub fn sync(&mut self, copy: Value) {
        let Some(event) = self.event_mut(&uuid(&copy)) else {
            self.add(copy);
            return;
        };
        if second(&copy, "timestamp") <= second(event, "timestamp") {
            return;
        }
        for key in ["timestamp", "publish_timestamp", "published", "info"] {
            if let Some(new) = copy.get(key) {
                set(event, key, new.clone());
            }
        }
        for key in ["Attribute", "Object"] {
            for one in list(&copy, key) {
                take(event, key, one);
            }
        }
        count(event);
    }
}

/// Puts an attribute or an object of a copy in its place.
fn take(event: &mut Value, key: &str, copy: &Value) {
    let id = next_attribute_id(event);
    let event_id = event.get("id").cloned().unwrap_or_default();
    let Some(there) = event.get_mut(key).and_then(Value::as_array_mut) else {
        return;
    };
    let mut copy = copy.clone();
    set(&mut copy, "event_id", event_id.clone());
    let inside = map_mut(&mut copy).and_then(|object| object.get_mut("Attribute"));
    for (place, attribute) in inside
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .enumerate()
    {
        set(attribute, "id", (id + place as u64).to_string());
        set(attribute, "event_id", event_id.clone());
    }
    match there.iter_mut().find(|one| is(one, &uuid(&copy))) {
        Some(known) if second(&copy, "timestamp") <= second(known, "timestamp") => {}
        Some(known) => {
            set(
                &mut copy,
                "id",
                known.get("id").cloned().unwrap_or_default(),
            );
            *known = copy;
        }
        None => {
            if key == "Attribute" {
                set(&mut copy, "id", id.to_string());
            }
            there.push(copy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{self, BASE_TIME, attr, event, object};

    fn copy(edited: i64, value: &str) -> Value {
        event(1, "from a feed")
            .edited_at(edited)
            .published_at(BASE_TIME - 500)
            .attribute(attr("domain", value))
            .object(object("file", "file").attribute("filename", attr("filename", value)))
            .build()
    }

    fn values(store: &Store) -> Vec<String> {
        let found = super::super::store::attributes(&store.events()[0]);
        found
            .map(|one| one["value"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_copy_keeps_its_clocks_and_only_a_newer_one_counts() {
        let mut store = Store::new();
        store.sync(copy(BASE_TIME - 900, "old.example.org"));
        assert_eq!(second(&store.events()[0], "timestamp"), BASE_TIME - 900);
        let ids = |store: &Store| {
            let event = &store.events()[0];
            let all = super::super::store::attributes(event);
            all.map(|one| one["id"].clone()).collect::<Vec<_>>()
        };
        let before = ids(&store);
        store.sync(copy(BASE_TIME - 900, "same-time.example.org"));
        assert_eq!(values(&store), ["old.example.org", "old.example.org"]);
        store.sync(copy(BASE_TIME - 800, "new.example.org"));
        assert_eq!(values(&store), ["new.example.org", "new.example.org"]);
        let event = &store.events()[0];
        assert_eq!(second(event, "timestamp"), BASE_TIME - 800);
        assert_eq!(second(event, "publish_timestamp"), BASE_TIME - 500);
        assert_eq!(ids(&store).first(), before.first());
        assert_eq!(store.events().len(), 1);
    }

    #[test]
    fn what_a_copy_lacks_stays_and_what_it_adds_comes() {
        let mut store = Store::new();
        store.sync(copy(BASE_TIME - 900, "a.example.org"));
        let own = event(2, "x").attribute(attr("domain", "own.example.org"));
        let mut own = own.build()["Attribute"][0].clone();
        own["uuid"] = events::uuid(2, 9).into();
        store.add_attribute(&events::uuid(1, 0), own);
        assert_eq!(store.events()[0]["attribute_count"], "3");
        store.sync(copy(store.now() + 1, "b.example.org"));
        let now = ["b.example.org", "own.example.org", "b.example.org"];
        assert_eq!(values(&store), now);
        let of_the_object = uuid(&store.events()[0]["Object"][0]["Attribute"][0]);
        store.hard_delete(&events::uuid(1, 0), &of_the_object);
        assert_eq!(values(&store), now[..2]);
        assert_eq!(store.events()[0]["attribute_count"], "2");
        store.soft_delete(&events::uuid(1, 0), &events::uuid(2, 9));
        assert_eq!(store.events()[0]["attribute_count"], "1");
    }
}
