//! What a record is, told by its shape.

use crate::{Event, Json, Object};

/// One thing to map.
#[derive(Debug, Clone, Copy)]
pub enum Item<'j, 'a> {
    /// An event, or a slice of one.
    Event(Event<'j, 'a>),
    /// A loose attribute, as `attributes/restSearch` gives it.
    Attribute {
        /// The attribute, its `Event` and `Object` perhaps inside.
        attribute: &'j Object<'a>,
        /// Its event, where the record says anything of it.
        event: Option<&'j Object<'a>>,
        /// Its object (without attributes), where the record says anything of it.
        object: Option<&'j Object<'a>>,
    },
    /// A part of a page that is none of these.
    Other,
}

/// The JSON is neither a page, an event nor an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a page of MISP's search, an event nor an attribute")]
pub struct UnknownShape;

/// Keys that an attribute has and an event never has.
const ATTRIBUTE_KEYS: [&str; 3] = ["value", "to_ids", "category"];

/// Keys that an event has and an attribute never has.
const EVENT_KEYS: [&str; 6] = [
    "info",
    "Attribute",
    "Orgc",
    "threat_level_id",
    "analysis",
    "orgc_id",
];

/// The events and loose attributes of a record, in order. An empty page has none.
///
/// # Errors
/// When the record as a whole is of no known shape.
pub fn items<'j, 'a>(record: &'j Json<'a>) -> Result<Vec<Item<'j, 'a>>, UnknownShape> {
    let mut found = Vec::new();
    match record {
        Json::Array(list) => page(list, &mut found),
        Json::Object(object) => match object.get("response") {
            Some(Json::Array(list)) => page(list, &mut found),
            Some(Json::Object(response)) => one(response, &mut found).ok_or(UnknownShape)?,
            Some(_) => return Err(UnknownShape),
            None => one(object, &mut found).ok_or(UnknownShape)?,
        },
        _ => return Err(UnknownShape),
    }
    Ok(found)
}

fn page<'j, 'a>(list: &'j [Json<'a>], found: &mut Vec<Item<'j, 'a>>) {
    for item in list {
        if item
            .as_object()
            .and_then(|object| one(object, found))
            .is_none()
        {
            found.push(Item::Other);
        }
    }
}

fn one<'j, 'a>(object: &'j Object<'a>, found: &mut Vec<Item<'j, 'a>>) -> Option<()> {
    if ATTRIBUTE_KEYS.iter().any(|key| object.has(key)) {
        found.push(loose(object, None));
        return Some(());
    }
    let wrapped = object.get("Event").and_then(Json::as_object);
    if let Some(event) = wrapped.filter(|event| {
        event.has("Attribute") || object.get("Attribute").is_none_or(Json::is_empty)
    }) {
        found.push(Item::Event(Event(event)));
        return Some(());
    }
    let other_event_keys = EVENT_KEYS.iter().filter(|key| **key != "Attribute");
    if object.has("Attribute")
        && !other_event_keys.into_iter().any(|key| object.has(key))
        && !object.has("uuid")
    {
        // `{"Attribute": ..}`, one or a list, perhaps with the event beside it.
        for entry in Event(object).attributes() {
            found.push(entry.map_or(Item::Other, |attribute| loose(attribute, wrapped)));
        }
        return Some(());
    }
    let is_event = EVENT_KEYS.iter().any(|key| object.has(key))
        || (object.has("uuid") && (object.has("date") || object.has("Object")));
    is_event.then(|| found.push(Item::Event(Event(object))))
}

fn loose<'j, 'a>(attribute: &'j Object<'a>, beside: Option<&'j Object<'a>>) -> Item<'j, 'a> {
    Item::Attribute {
        attribute,
        event: attribute.get("Event").and_then(Json::as_object).or(beside),
        object: attribute.get("Object").and_then(Json::as_object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter an item: E, A (with its event: a), O.
    fn shape(json: &str) -> Result<String, UnknownShape> {
        let json = Json::parse(json.as_bytes()).unwrap();
        Ok(items(&json)?
            .iter()
            .map(|item| match item {
                Item::Event(_) => 'E',
                Item::Attribute { event: None, .. } => 'A',
                Item::Attribute { .. } => 'a',
                Item::Other => 'O',
            })
            .collect())
    }

    #[test]
    fn every_shape_is_known() {
        let cases = [
            (r#"{"Event":{"info":"x"}}"#, "E"),
            (
                r#"{"Event":{"uuid":"x","Attribute":[]},"@timestamp":"x"}"#,
                "E",
            ),
            (r#"{"Event":{"info":"x"},"Attribute":[]}"#, "E"),
            (r#"{"info":"x","Attribute":[]}"#, "E"),
            (
                r#"{"uuid":"x","Attribute":[{"value":"x"}],"Object":[]}"#,
                "E",
            ),
            (r#"{"uuid":"x","date":"2024-01-01"}"#, "E"),
            (r#"{"type":"md5","value":"x","Event":{"id":"1"}}"#, "a"),
            (r#"{"type":"md5","value":null}"#, "A"),
            (r#"{"Attribute":{"type":"md5","value":"x"}}"#, "A"),
            (
                r#"{"Attribute":{"type":"md5","value":"x"},"Event":{"id":"1"}}"#,
                "a",
            ),
            (
                r#"{"Attribute":[{"value":"x","Event":{"id":"1"}},7]}"#,
                "aO",
            ),
            (
                r#"{"response":[{"Event":{"id":"1"}},{"Event":{"id":"2"}}]}"#,
                "EE",
            ),
            (
                r#"{"response":{"Attribute":[{"value":"x"},{"value":"y"}]}}"#,
                "AA",
            ),
            (r#"{"response":{"Event":{"id":"1"}}}"#, "E"),
            (
                r#"[{"Event":{"id":"1"}},{"info":"bare"},3,{"x":1}]"#,
                "EEOO",
            ),
            (r#"{"response":[]}"#, ""),
            (r#"{"response":{"Attribute":[]}}"#, ""),
            ("[]", ""),
        ];
        for (json, expected) in cases {
            assert_eq!(shape(json).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for json in [
            "{}",
            "7",
            "null",
            "\"x\"",
            r#"{"name":"x","message":"x","url":"/"}"#,
            r#"{"Event":3}"#,
        ] {
            assert_eq!(shape(json), Err(UnknownShape), "{json}");
        }
    }
}
