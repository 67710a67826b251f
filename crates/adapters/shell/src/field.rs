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
