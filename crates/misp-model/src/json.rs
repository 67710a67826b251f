//! A JSON tree that borrows from the bytes it was read from.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

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
    String(Cow<'a, str>),
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

/// A JSON object, its members sorted by key (members of one key in input order).
///
/// Sorted because every output of this project is: lookups and sorted copies then
/// cost nothing more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object<'a>(Vec<Member<'a>>);

/// A member, with what most comparisons of its key need.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member<'a> {
    /// See [`prefix`].
    prefix: u64,
    key: Cow<'a, str>,
    value: Json<'a>,
}

impl<'a> Member<'a> {
    pub(crate) fn new(key: Cow<'a, str>, value: Json<'a>) -> Self {
        Self {
            prefix: prefix(&key),
            key,
            value,
        }
    }

    fn is(&self, prefix: u64, key: &str) -> bool {
        let same_length = self.key.len() == key.len();
        self.prefix == prefix && same_length && (key.len() <= 8 || same(&self.key, key))
    }

    /// As the keys in byte order.
    fn order(&self, prefix: u64, key: &str) -> Ordering {
        let by_prefix = self.prefix.cmp(&prefix);
        by_prefix.then_with(|| self.key.as_ref().cmp(key))
    }
}

/// The first eight bytes of a text, the first the highest, zeros after a shorter one: where they
/// differ, the order of texts is that of their prefixes.
#[inline]
pub const fn prefix(text: &str) -> u64 {
    let mut bytes = text.as_bytes();
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut prefix = 0;
    let mut shift = u64::BITS;
    while let [byte, rest @ ..] = bytes {
        shift -= u8::BITS;
        prefix |= (*byte as u64) << shift;
        bytes = rest;
    }
    prefix
}

/// Are two texts of one length above eight the same? Without a call for it, which takes a step
/// a byte in wasm.
fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks().0);
    let mut words =
        words.map(|(one, other)| (u64::from_le_bytes(*one), u64::from_le_bytes(*other)));
    words.all(|(one, other)| one == other) && one.last_chunk::<8>() == other.last_chunk()
}

impl<'a> Object<'a> {
    /// The value of a key. Of several members with that key the last counts.
    // Inlined, since the prefix of a literal is one too.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.find(prefix(key), key)
    }

    fn find(&self, prefix: u64, key: &str) -> Option<&Json<'a>> {
        let start = self.0.partition_point(|member| member.prefix < prefix);
        first_of(self.0.get(start..)?, prefix, key)
    }

    /// Finds one key after the other.
    pub fn finder(&self) -> Finder<'_, 'a> {
        Finder {
            all: &self.0,
            rest: &self.0,
            last: 0,
        }
    }

    /// The value of a key, unless it is absent or `null`.
    #[inline]
    pub fn some(&self, key: &str) -> Option<&Json<'a>> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Every value of a key, in input order.
    pub fn all<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'s Json<'a>> + 's {
        let prefix = prefix(key);
        let before = |member: &Member<'_>| member.order(prefix, key) == Ordering::Less;
        let start = self.0.partition_point(before);
        self.0
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(move |member| member.key == key)
            .map(|member| &member.value)
    }

    /// Is the key there?
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The members in key order, each key once: of several the last counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        let next_keys = self.0.iter().skip(1).map(|next| Some(next.key.as_ref()));
        self.0
            .iter()
            .zip(next_keys.chain(std::iter::once(None)))
            .filter(|(member, next)| *next != Some(member.key.as_ref()))
            .map(|(member, _)| (member.key.as_ref(), &member.value))
    }

    fn sorted(mut members: Vec<Member<'a>>) -> Self {
        // Stable: members of one key keep their order, and the last of them counts.
        members.sort_by(|a, b| a.order(b.prefix, &b.key));
        Self(members)
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has it no member?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The value of a key in members that begin with the first of its prefix.
fn first_of<'m, 'a>(members: &'m [Member<'a>], prefix: u64, key: &str) -> Option<&'m Json<'a>> {
    match members {
        [member, rest @ ..] if rest.first().is_none_or(|next| next.prefix > prefix) => {
            member.is(prefix, key).then_some(&member.value)
        }
        several => {
            let upto = |member: &Member<'_>| member.order(prefix, key) != Ordering::Greater;
            let last = several.partition_point(upto).checked_sub(1)?;
            let found = several.get(last)?;
            found.is(prefix, key).then_some(&found.value)
        }
    }
}

/// Finds keys in the members of an object. Quick where each key is above the one before, and
/// not far from it.
#[derive(Debug)]
pub struct Finder<'m, 'a> {
    all: &'m [Member<'a>],
    /// Those from the last key on.
    rest: &'m [Member<'a>],
    last: u64,
}

impl<'m, 'a> Finder<'m, 'a> {
    /// The value of a key, as [`Object::get`]; `prefix` is its [`prefix`].
    pub fn get(&mut self, prefix: u64, key: &str) -> Option<&'m Json<'a>> {
        /// Farther away it is searched for.
        const NEAR: usize = 8;
        if prefix < self.last {
            self.rest = self.all;
        }
        self.last = prefix;
        let is_before = |member: &Member<'_>| member.prefix < prefix;
        let near = self.rest.iter().take(NEAR);
        let mut before = near.take_while(|member| is_before(member)).count();
        if before == NEAR {
            before = self.rest.partition_point(is_before);
        }
        self.rest = self.rest.get(before..)?;
        first_of(self.rest, prefix, key)
    }
}

impl<'a> FromIterator<Member<'a>> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = Member<'a>>>(members: I) -> Self {
        Self::sorted(members.into_iter().collect())
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Json<'a>)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Json<'a>)>>(members: I) -> Self {
        let members = members.into_iter();
        Self::sorted(
            members
                .map(|(key, value)| Member::new(key, value))
                .collect(),
        )
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Few objects of MISP have fewer members.
        let mut members = Vec::with_capacity(8);
        while let Some((Key(key), value)) = map.next_entry()? {
            members.push(Member::new(key, value));
        }
        Ok(Json::Object(Object::sorted(members)))
    }
}

/// A key, borrowed where it can be: serde's own `Cow<str>` is always owned.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
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
    fn keys_are_in_byte_order_whatever_their_length() {
        let mut keys = [
            "",
            "\0",
            "a",
            "a\0",
            "event_id",
            "event_idx",
            "event_uuid",
            "\u{ff}",
            "zzzzzzzzz",
        ];
        let members = keys.iter().rev().map(|key| ((*key).into(), Json::Null));
        let object: Object<'_> = members.collect();
        keys.sort_unstable();
        let sorted: Vec<&str> = object.iter().map(|(key, _)| key).collect();
        assert_eq!(sorted, keys);
        for key in keys {
            assert!(object.has(key), "{key:?}");
        }
        let (mut up, mut down) = (object.finder(), object.finder());
        for (key, other) in keys.iter().zip(keys.iter().rev()) {
            assert!(up.get(prefix(key), key).is_some(), "{key:?}");
            assert!(up.get(prefix("event_i"), "event_i").is_none(), "{key:?}");
            assert!(down.get(prefix(other), other).is_some(), "{other:?}");
        }
        assert!(!object.has("event_i") && !object.has("a\0\0") && !object.has("event_idy"));
    }

    #[test]
    fn strings_borrow_unless_they_hold_an_escape() {
        let json = Json::parse(br#"["plain","a\nb"]"#).unwrap();
        assert!(matches!(
            json.as_array().unwrap(),
            [
                Json::String(Cow::Borrowed("plain")),
                Json::String(Cow::Owned(_))
            ]
        ));
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
        for bad in [
            &b""[..],
            b"{",
            b"{} {}",
            b"\xff",
            b"\"\\ud800\"",
            b"{\"a\":NaN}",
        ] {
            assert!(Json::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Json::parse(b"\xef\xbb\xbf{}\r\n").is_ok());
    }
}
