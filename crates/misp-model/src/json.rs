//! A JSON tree that borrows from the bytes it was read from.

use serde_json::Number;

use crate::{Object, Text};

/// One JSON value. Nesting is limited to 128 levels, by `serde_json`, when it is read.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number. Integers beyond 64 bits lose digits.
    Number(Number),
    /// A string, borrowed where it holds no escape.
    String(Text<'a>),
    /// A list.
    Array(Vec<Json<'a>>),
    /// An object.
    Object(Object<'a>),
}

/// The bytes are not one JSON value.
#[derive(Debug, thiserror::Error)]
#[error("not valid JSON: {0}")]
pub struct ParseError(#[from] serde_json::Error);

impl<'a> Json<'a> {
    /// Reads one JSON value; a byte order mark before it is skipped.
    ///
    /// # Errors
    /// When the bytes are not exactly one JSON value in UTF-8, or nest deeper than 128 levels.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        match std::str::from_utf8(bytes).ok().and_then(crate::read::read) {
            Some(json) => Ok(json),
            None => Ok(serde_json::from_slice(bytes)?),
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Is it `null`?
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Does it hold nothing: `null`, an empty string, list or object?
    pub fn is_empty(&self) -> bool {
        match self {
            Json::Null => true,
            Json::Bool(_) | Json::Number(_) => false,
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(object) => object.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_and_the_last_of_a_key_counts() {
        let json = Json::parse(br#"{"b":1,"a":2,"b":3}"#).unwrap();
        let object = json.as_object().unwrap();
        assert_eq!(object.get("b"), Some(&Json::Number(3.into())));
        assert_eq!(object.get("c"), None);
        assert_eq!(object.all("b").count(), 2);
        let keys: Vec<_> = object.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "b"]);
    }

    #[test]
    fn strings_stay_as_they_stand_unless_something_is_to_be_escaped() {
        let json = "[\"plain\",\"\",\"a\\nb\",\"é\",\"1234567\u{7f}\",\"12345678\u{7f}\"]";
        let json = Json::parse(json.as_bytes()).unwrap();
        let quoted = |json: &Json<'_>| match json {
            Json::String(text) => text.quoted().map(str::to_owned),
            _ => None,
        };
        let quoted: Vec<_> = json.as_array().unwrap().iter().map(quoted).collect();
        let as_given = |text: &str| Some(text.to_owned());
        assert_eq!(quoted[..2], [as_given("\"plain\""), as_given("\"\"")]);
        assert_eq!(quoted[2..], [const { None }; 4]);
        let texts = json.as_array().unwrap().iter().filter_map(Json::text);
        let expected = ["plain", "", "a\nb", "é", "1234567\u{7f}", "12345678\u{7f}"];
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn depth_is_limited() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(Json::parse(deep.as_bytes()).is_err());
        let fine = "[".repeat(100) + &"]".repeat(100);
        assert!(Json::parse(fine.as_bytes()).is_ok());
    }

    #[test]
    fn anything_but_one_value_is_an_error() {
        for bad in [&b""[..], b"{", b"{} {}", b"\xff", b"{\"a\":NaN}"] {
            assert!(Json::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Json::parse(b"\xef\xbb\xbf{}\r\n").is_ok());
    }
}
