//! Takes members out of a JSON object without touching the others' text.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::envelope::{self, BodyError};

/// The members of an object, in order, each value as it was written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;

        impl<'de> Visitor<'de> for Take {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Take)
    }
}

/// A body without `data_stream` and `data_stream.*`; the same bytes where it has none.
///
/// # Errors
/// When the body is not one JSON object on one line.
pub(super) fn without_data_stream(body: &Bytes) -> Result<Bytes, BodyError> {
    const NAME: &str = "data_stream";
    let text = envelope::checked(body)?;
    if memchr::memmem::find(text, NAME.as_bytes()).is_none() {
        return Ok(body.slice_ref(text));
    }
    let Members(members) = serde_json::from_slice(text).map_err(|_| BodyError::NotAnObject)?;
    let mut stripped = Vec::with_capacity(text.len());
    stripped.push(b'{');
    for (key, value) in members {
        let rest = key.strip_prefix(NAME);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            continue;
        }
        if stripped.len() > 1 {
            stripped.push(b',');
        }
        // A string into memory cannot fail.
        let _infallible = serde_json::to_writer(&mut stripped, &key);
        stripped.push(b':');
        stripped.extend_from_slice(value.get().as_bytes());
    }
    stripped.push(b'}');
    Ok(stripped.into())
}

/// A body with one more member at its end.
pub(super) fn with_member(body: &[u8], name: &str, value: &str) -> Bytes {
    let open = body.strip_suffix(b"}").unwrap_or(body).trim_ascii_end();
    let mut text = Vec::with_capacity(body.len() + name.len() + value.len() + 4);
    text.extend_from_slice(open);
    if open != b"{" {
        text.push(b',');
    }
    text.push(b'"');
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
    text.extend_from_slice(value.as_bytes());
    text.push(b'}');
    text.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strip(body: &str) -> Result<String, BodyError> {
        let stripped = without_data_stream(&Bytes::from(body.to_owned()))?;
        Ok(String::from_utf8(stripped.to_vec()).unwrap())
    }

    #[test]
    fn only_the_data_streams_members_are_taken_out() {
        for (body, expected) in [
            ("{}", "{}"),
            (r#"{"data_stream":{"type":"logs"}}"#, "{}"),
            (
                r#"{"b":1.50, "data_stream":{"a":{}},"a":"data_stream"}"#,
                r#"{"b":1.50,"a":"data_stream"}"#,
            ),
            (
                r#"{"data_stream.type":"logs","data_streams":[1e3]}"#,
                r#"{"data_streams":[1e3]}"#,
            ),
            (
                r#"{"x":{"data_stream":1},"k\"":123456789012345678901}"#,
                r#"{"x":{"data_stream":1},"k\"":123456789012345678901}"#,
            ),
        ] {
            assert_eq!(strip(body), Ok(expected.to_owned()), "{body}");
        }
        assert_eq!(strip("data_stream"), Err(BodyError::NotAnObject));
        assert_eq!(strip("{data_stream}"), Err(BodyError::NotAnObject));
    }

    #[test]
    fn a_member_is_added_to_whatever_there_is() {
        assert_eq!(with_member(b"{ }", "a", "1"), "{\"a\":1}");
        assert_eq!(with_member(b"{\"b\":2}", "a", "1"), "{\"b\":2,\"a\":1}");
    }

    proptest! {
        #[test]
        fn any_object_keeps_its_other_members(
            fields in prop::collection::btree_map("[a-z]{1,3}|data_stream", ".*", 0..5)
        ) {
            let mut fields = fields;
            let body = serde_json::to_vec(&fields).unwrap();
            let stripped = without_data_stream(&body.into()).unwrap();
            fields.remove("data_stream");
            let value: serde_json::Value = serde_json::from_slice(&stripped).unwrap();
            prop_assert_eq!(value, serde_json::to_value(&fields).unwrap());
        }
    }
}
