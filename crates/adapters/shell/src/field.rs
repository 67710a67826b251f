//! Settings in the record itself, put there by what stands before the adapter.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The member of a record that holds settings, as an object or as its text. It is taken
/// out before the record is mapped.
pub const SETTINGS_FIELD: &str = "misp_ecs_settings";

/// A record without its settings, and these. `None`: it has none, and is to be mapped as it is.
pub(crate) fn take(record: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    memmem::find(record, SETTINGS_FIELD.as_bytes())?;
    let Members(members) = serde_json::from_slice(record).ok()?;
    let is_field = |key: &str| key == SETTINGS_FIELD;
    let (_, value) = members.iter().rev().find(|(key, _)| is_field(key))?;
    let settings = match serde_json::from_str::<Cow<'_, str>>(value.get()) {
        Ok(text) => text.as_bytes().to_vec(),
        Err(_) if value.get() == "null" => Vec::new(),
        Err(_) => value.get().as_bytes().to_vec(),
    };
    let mut rest = Vec::with_capacity(record.len());
    rest.push(b'{');
    for (key, value) in members.iter().filter(|(key, _)| !is_field(key)) {
        if rest.len() > 1 {
            rest.push(b',');
        }
        // A string into memory: there is nothing that can fail.
        let _infallible = serde_json::to_writer(&mut rest, key);
        rest.push(b':');
        rest.extend_from_slice(value.get().as_bytes());
    }
    rest.push(b'}');
    Some((rest, settings))
}

/// How deep JSON nests, valid or not; at most `most` plus one.
pub(crate) fn depth(json: &[u8], most: u32) -> u32 {
    let (mut depth, mut deepest) = (0_u32, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
                if deepest > most {
                    break;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The members of an object as they stand, in order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(key), value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(record: &str) -> Option<(String, String)> {
        let (rest, settings) = take(record.as_bytes())?;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Some((text(rest), text(settings)))
    }

    #[test]
    fn the_field_is_taken_out_and_the_rest_stays_as_it_stands() {
        for (record, rest, settings) in [
            (
                r#"{"b":1.0,"misp_ecs_settings":{"x":[1]},"a":"\u0041"}"#,
                r#"{"b":1.0,"a":"\u0041"}"#,
                r#"{"x":[1]}"#,
            ),
            (r#"{"misp_ecs_settings":"{\"x\":1}"}"#, "{}", r#"{"x":1}"#),
            (
                r#"{"misp_ecs_settings":null,"a\"":{}}"#,
                r#"{"a\"":{}}"#,
                "",
            ),
            (
                r#"{"misp_ecs_settings":1,"misp_ecs_settings":2}"#,
                "{}",
                "2",
            ),
        ] {
            assert_eq!(taken(record), Some((rest.to_owned(), settings.to_owned())));
        }
    }

    #[test]
    fn depth_is_that_of_brackets_outside_strings() {
        for (json, expected) in [("1", 0), ("[]", 1), (r#"{"[{\"[":[1]}"#, 2), ("[[[[", 4)] {
            assert_eq!(depth(json.as_bytes(), 9), expected, "{json}");
        }
        assert_eq!(depth(b"[[[[[[", 3), 4);
    }

    #[test]
    fn without_the_field_there_is_nothing_to_take() {
        for record in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"a":"misp_ecs_settings"}"#,
            r#"{"a":{"misp_ecs_settings":1}}"#,
            r#"["misp_ecs_settings"]"#,
        ] {
            assert_eq!(taken(record), None);
        }
    }
}
