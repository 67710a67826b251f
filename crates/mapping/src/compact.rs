//! JSON text within a JSON string: compact, keys sorted.

use ecs_model::json;
use misp_model::{Json, Object, PerShape, Shape};

/// Left out of an event or attribute where they hold anything: they can be a
/// thousand times the attribute's size, and each attribute would repeat them.
const LEFT_OUT: [&str; 4] = ["EventReport", "Galaxy", "RelatedEvent", "ShadowAttribute"];

/// Appends a value as JSON text within a JSON string: compact, keys sorted.
pub fn compact(out: &mut Vec<u8>, value: &Json<'_>) {
    match value {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(flag) => json::boolean(out, *flag),
        Json::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Json::String(text) => match text.plain() {
            Some(plain) => json::nested_plain(out, plain),
            None => json::nested_string(out, text),
        },
        Json::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                compact(out, item);
            }
            out.push(b']');
        }
        Json::Object(object) => compact_object(out, object, |_, _| true),
    }
}

fn compact_object(out: &mut Vec<u8>, object: &Object<'_>, keep: impl Fn(&str, &Json<'_>) -> bool) {
    out.push(b'{');
    members(out, object, keep);
    out.push(b'}');
}

pub(crate) fn members(
    out: &mut Vec<u8>,
    object: &Object<'_>,
    keep: impl Fn(&str, &Json<'_>) -> bool,
) {
    for (key, value) in object.iter().filter(|(key, value)| keep(key, value)) {
        member(out, key);
        compact(out, value);
    }
}

/// Appends a key, after a comma unless it is the object's first.
pub(crate) fn member(out: &mut Vec<u8>, key: &str) {
    if !matches!(out.last(), Some(b'{')) {
        out.push(b',');
    }
    json::nested_string(out, key);
    out.push(b':');
}

/// What is in an attribute but not in its text: of a loose one also its event and object.
fn keep_in_attribute(key: &str, value: &Json<'_>) -> bool {
    keep(key, value) && !matches!(key, "Event" | "Object")
}

/// An attribute without what is left out.
pub(crate) fn compact_attribute(out: &mut Vec<u8>, attribute: &Object<'_>) {
    compact_object(out, attribute, keep_in_attribute);
}

/// Writes attributes as [`compact_attribute`] does. Those of one shape share the text of their keys.
#[derive(Debug, Default)]
pub struct Attributes<'a>(PerShape<'a, Vec<MemberText>>);

/// A member of an attribute.
#[derive(Debug)]
struct MemberText {
    /// The place of its value.
    place: usize,
    /// What is between the text of a string and that of the next: [`QUOTE`], a comma, the key, a
    /// colon, [`QUOTE`].
    text: Vec<u8>,
    /// Is it left out where it holds anything?
    only_empty: bool,
}

/// A quote within a JSON string.
const QUOTE: &[u8] = b"\\\"";

impl<'a> Attributes<'a> {
    /// Appends an attribute.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, attribute: &Object<'a>) {
        let texts = |shape: &Shape<'_>| shape.places().filter_map(MemberText::new).collect();
        let Some(members) = self.0.of(attribute, texts) else {
            return compact_attribute(out, attribute);
        };
        out.push(b'{');
        let start = out.len();
        let mut after_string = false;
        for member in members {
            let Some(value) = attribute.at(member.place) else {
                continue;
            };
            if member.only_empty && !value.is_empty() {
                continue;
            }
            // Without its first quote after what is no string, and the comma before the first.
            let from = if after_string {
                0
            } else {
                QUOTE.len() + usize::from(out.len() == start)
            };
            let plain = match value {
                Json::String(text) => text.plain(),
                _ => None,
            };
            after_string = plain.is_some();
            match plain {
                Some(plain) => {
                    json::append(out, member.text.get(from..).unwrap_or_default());
                    json::append(out, plain.as_bytes());
                }
                None => {
                    let end = member.text.len() - QUOTE.len();
                    json::append(out, member.text.get(from..end).unwrap_or_default());
                    compact(out, value);
                }
            }
        }
        if after_string {
            out.extend_from_slice(QUOTE);
        }
        out.push(b'}');
    }
}

impl MemberText {
    /// `None` for a member that is never there.
    fn new((key, place): (&str, usize)) -> Option<Self> {
        if !keep_in_attribute(key, &Json::Null) {
            return None;
        }
        let mut text = QUOTE.to_vec();
        text.push(b',');
        json::nested_string(&mut text, key);
        text.push(b':');
        text.extend_from_slice(QUOTE);
        Some(Self {
            place,
            text,
            only_empty: LEFT_OUT.contains(&key),
        })
    }
}

pub(crate) fn keep(key: &str, value: &Json<'_>) -> bool {
    value.is_empty() || !LEFT_OUT.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One after the other, of the same shape and of others: as each is written by itself.
    #[test]
    fn attributes_that_share_their_keys_are_written_like_others() {
        let list = r#"[
            {"value":"v","id":"1","Galaxy":[],"Tag":[{"name":"a \"b\""}],"Event":{"id":"1"}},
            {"value":"w\n","id":2,"Galaxy":[1],"Tag":[],"Event":{"id":"1"}},
            {"value":null,"id":"3","Galaxy":null,"Tag":"","Event":{}},
            {"value":"x","id":"é","Galaxy":[],"Tag":{},"Event":null},
            {"Galaxy":[2],"value":"y"},
            {"Galaxy":[],"value":"z"},
            {"type":"pgp-private-key","value":"s"},
            {"type":"md5","value":"t"},
            {"Event":{},"Galaxy":[1]},
            {}
        ]"#;
        let list = Json::parse(list.as_bytes()).unwrap();
        let mut attributes = Attributes::default();
        for attribute in list.as_array().unwrap().iter().filter_map(Json::as_object) {
            let (mut shared, mut alone) = (Vec::new(), Vec::new());
            attributes.write(&mut shared, attribute);
            compact_attribute(&mut alone, attribute);
            let text = |bytes| String::from_utf8(bytes).unwrap();
            assert_eq!(text(shared), text(alone));
        }
    }
}
