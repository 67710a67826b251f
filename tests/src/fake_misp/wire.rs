//! Writes JSON with the keys in the order MISP writes them: a reader of the stream
//! meets the attributes before the tags.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

#[rustfmt::skip]
const EVENT: &[&str] = &[
    "id", "orgc_id", "org_id", "date", "threat_level_id", "info", "published", "uuid",
    "attribute_count", "analysis", "timestamp", "distribution", "proposal_email_lock", "locked",
    "publish_timestamp", "sharing_group_id", "disable_correlation", "extends_uuid", "protected",
    "Org", "Orgc", "Attribute", "ShadowAttribute", "RelatedEvent", "Galaxy", "Object",
    "EventReport", "CryptographicKey", "Tag",
];
#[rustfmt::skip]
const ATTRIBUTE: &[&str] = &[
    "id", "type", "category", "to_ids", "uuid", "event_id", "distribution", "timestamp", "comment",
    "sharing_group_id", "deleted", "disable_correlation", "object_id", "object_relation",
    "first_seen", "last_seen", "value", "Event", "Galaxy", "ShadowAttribute", "Tag",
];
#[rustfmt::skip]
const OBJECT: &[&str] = &[
    "id", "name", "meta-category", "description", "template_uuid", "template_version", "event_id",
    "uuid", "timestamp", "distribution", "sharing_group_id", "comment", "deleted", "first_seen",
    "last_seen", "ObjectReference", "Attribute",
];

/// Fields that an installation without stringified fetches sends as numbers.
#[rustfmt::skip]
const NUMBERS: &[&str] = &[
    "id", "orgc_id", "org_id", "threat_level_id", "attribute_count", "analysis", "timestamp",
    "distribution", "publish_timestamp", "sharing_group_id", "event_id", "object_id", "user_id",
    "template_version", "referenced_id", "referenced_type",
];

/// A value as MISP would write it.
pub(super) struct Wire<'a> {
    pub(super) value: &'a Value,
    /// Ids, counts and times as numbers.
    pub(super) numbers: bool,
}

impl Wire<'_> {
    pub(super) fn text(&self) -> String {
        // Writing a tree of JSON values into memory cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn of<'a>(&self, value: &'a Value) -> Wire<'a> {
        Wire {
            value,
            numbers: self.numbers,
        }
    }
}

impl Serialize for Wire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Array(list) => serializer.collect_seq(list.iter().map(|one| self.of(one))),
            Value::Object(map) => {
                let order = if map.contains_key("threat_level_id") || map.contains_key("orgc_id") {
                    EVENT
                } else if map.contains_key("ObjectReference") {
                    OBJECT
                } else {
                    ATTRIBUTE
                };
                let mut written = serializer.serialize_map(Some(map.len()))?;
                let known = order.iter().filter_map(|key| map.get_key_value(*key));
                let others = map.iter().filter(|(key, _)| !order.contains(&key.as_str()));
                for (key, value) in known.chain(others) {
                    match value.as_str().and_then(|text| text.parse::<i64>().ok()) {
                        Some(number) if self.numbers && NUMBERS.contains(&key.as_str()) => {
                            written.serialize_entry(key, &number)?;
                        }
                        _ => written.serialize_entry(key, &self.of(value))?,
                    }
                }
                written.end()
            }
            other => other.serialize(serializer),
        }
    }
}
