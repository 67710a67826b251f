//! The JSON that MISP writes, read fast.
//!
//! An attribute takes 8,100 instructions here and 13,000 through `serde_json`, which hands over each
//! value by visitors and checks each string again for UTF-8. What is not plain goes there all the
//! same: odd numbers, escapes, deep nesting, and all that is wrong, so that it says why.

use std::borrow::Cow;

use serde_json::Number;

use crate::shapes::{Key, Like, Shapes};
use crate::{Json, Object, Text};

/// Deeper nesting is left to `serde_json`, which has its own limit.
const DEPTH: usize = 120;
/// So many digits fit into 64 bits.
const DIGITS: usize = 18;

/// Reads one JSON value; `None` says nothing but that `serde_json` has to look at it.
pub(crate) fn read(text: &str) -> Option<Json<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        values: Vec::new(),
        keys: Vec::new(),
        shapes: Shapes::default(),
    };
    let value = reader.value(0)?;
    reader.next().is_none().then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The values of all objects and lists that are open: one buffer, so that each is allocated
    /// once, in its size.
    values: Vec<Json<'a>>,
    /// The keys of the open objects that are like none before.
    keys: Vec<Key<'a>>,
    shapes: Shapes<'a>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no white space; it is still to be read.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        match *self.text.as_bytes().get(self.at)? {
            b' ' | b'\n' | b'\r' | b'\t' => self.after_space(),
            byte => Some(byte),
        }
    }

    #[cold]
    fn after_space(&mut self) -> Option<u8> {
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.at += self.rest().iter().take_while(is_space).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        match self.next()? {
            b'"' => self.string().map(Json::String),
            b'{' if depth < DEPTH => self.object(depth + 1),
            b'[' if depth < DEPTH => self.list(depth + 1),
            b'0'..=b'9' | b'-' => self.number(),
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Option<Json<'a>> {
        let found = self.rest().starts_with(word.as_bytes());
        self.at += word.len();
        found.then_some(value)
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        self.at += 1;
        if self.next()? == b'}' {
            self.at += 1;
            return Some(Json::Object(Object::default()));
        }
        let (first_value, first_key) = (self.values.len(), self.keys.len());
        let mut like = self.shapes.last(depth);
        loop {
            self.next().filter(|byte| *byte == b'"')?;
            let count = self.values.len() - first_value;
            let expected = like.as_ref().and_then(|like| like.keys.get(count));
            match expected.filter(|key| key.starts(self.rest())) {
                Some(key) => self.at += key.len(),
                None => self.other_key(&mut like, count)?,
            }
            // Most are strings.
            let value = match self.next()? {
                b'"' => Json::String(self.string()?),
                _ => self.value(depth)?,
            };
            self.values.push(value);
            match self.next()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        let values = self.values.split_off(first_value);
        let shape = match like {
            Some(like) => self.shapes.of(depth, &like, values.len()),
            None => self.shapes.with_keys(depth, self.keys.split_off(first_key)),
        };
        Some(Json::Object(Object::new(shape, values)))
    }

    /// A key number `count` that the object before did not have there.
    #[cold]
    fn other_key(&mut self, like: &mut Option<Like<'a>>, count: usize) -> Option<()> {
        if let Some(before) = like.take() {
            if let Some(other) = self.shapes.other(&before, count, self.rest()) {
                self.at += other.keys.get(count)?.len();
                *like = Some(other);
                return Some(());
            }
            self.keys.extend(before.first_keys(count));
        }
        let key = self.key()?;
        self.keys.push(key);
        Some(())
    }

    /// A key whose opening quote is next, and the colon after it.
    fn key(&mut self) -> Option<Key<'a>> {
        let opening = self.at;
        let text = self.string()?;
        let end = self.at + 1;
        self.skip(b':')?;
        let is_written = text.quoted().is_some() && self.at == end;
        let written = self.text.get(opening..end).filter(|_| is_written);
        Some(Key {
            text: text.into_cow(),
            written,
        })
    }

    fn list(&mut self, depth: usize) -> Option<Json<'a>> {
        self.at += 1;
        if self.next()? == b']' {
            self.at += 1;
            return Some(Json::Array(Vec::new()));
        }
        let first = self.values.len();
        loop {
            let value = self.value(depth)?;
            self.values.push(value);
            match self.next()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(Json::Array(self.values.split_off(first)))
    }

    /// A string whose opening quote is next.
    fn string(&mut self) -> Option<Text<'a>> {
        let opening = self.at;
        let (length, is_ascii) = plain(self.rest().get(1..)?)?;
        self.at += 1 + length;
        if self.rest().first() == Some(&b'"') {
            self.at += 1;
            let quoted = self.text.get(opening..self.at)?;
            return Some(if is_ascii {
                Text::quoted_ascii(quoted)
            } else {
                Text::from(Cow::Borrowed(quoted.get(1..=length)?))
            });
        }
        while *self.rest().first()? == b'\\' {
            // Neither a backslash nor what follows it ends the string.
            self.at += 2;
            self.at += plain(self.rest())?.0;
        }
        self.skip(b'"')?;
        let text = self.text.get(opening..self.at)?;
        let text: Option<String> = serde_json::from_slice(text.as_bytes()).ok();
        let text = text.or_else(|| {
            let paired = without_lone_surrogates(self.text.get(opening..self.at)?);
            serde_json::from_slice(paired.as_bytes()).ok()
        });
        Some(Text::from(Cow::Owned(text?)))
    }

    fn number(&mut self) -> Option<Json<'a>> {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.rest().iter().take_while(|byte| is_part(byte)).count();
        let text = self.text.get(self.at..self.at + length)?;
        self.at += length;
        let plain = length <= DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain && (length == 1 || !text.starts_with('0')) {
            let digits = text.bytes().map(|byte| u64::from(byte & 0xf));
            let number = digits.fold(0, |number, digit| number * 10 + digit);
            return Some(Json::Number(Number::from(number)));
        }
        // As all else that is left to it: of another kind of input it would be compiled again.
        let number = serde_json::from_slice(text.as_bytes()).ok();
        let is_too_large = || text.parse().is_ok_and(f64::is_infinite);
        number.or_else(|| is_too_large().then(|| Json::String(Text::from(Cow::Borrowed(text)))))
    }
}

/// A string with `\ufffd` for each surrogate that is not in a pair, as Python writes for bytes that
/// are not UTF-8: one such text must not cost the record.
fn without_lone_surrogates(text: &str) -> String {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.find('\\').map(|at| rest.split_at(at)) {
        out.push_str(before);
        let next = || unit(after.get(6..)?);
        let length = match unit(after) {
            Some(0xd800..=0xdbff) if matches!(next(), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                out.push_str("\\ufffd");
                rest = after.get(6..).unwrap_or_default();
                continue;
            }
            // Neither a backslash nor what follows it begins another escape.
            _ => after.chars().take(2).map(char::len_utf8).sum(),
        };
        out.push_str(after.get(..length).unwrap_or_default());
        rest = after.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// How many bytes stand before the first quote, backslash or control character, and whether they
/// are printable ASCII.
fn plain(bytes: &[u8]) -> Option<(usize, bool)> {
    let (words, rest) = bytes.as_chunks();
    let mut all = 0;
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = specials(word);
        if special != 0 {
            let before = (special & special.wrapping_neg()) - 1;
            all |= beyond_printable(word & before);
            return Some((
                place * 8 + special.trailing_zeros() as usize / 8,
                all & HIGHEST == 0,
            ));
        }
        all |= beyond_printable(word);
    }
    let at = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    let is_printable = |byte: &u8| *byte < 0x7f;
    let is_ascii = all & HIGHEST == 0 && rest.get(..at)?.iter().all(is_printable);
    Some((words.len() * 8 + at, is_ascii))
}

const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGHEST: u64 = ONES * 0x80;

/// The highest bit of bytes that are above the printable ones of ASCII; of none, if none is.
fn beyond_printable(word: u64) -> u64 {
    word | word.wrapping_add(ONES)
}

/// The highest bit of each byte that is special; those above the lowest may be wrong.
fn specials(word: u64) -> u64 {
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & HIGHEST
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_serde(text: &str) -> Option<Json<'_>> {
        // As all else that is left to it: of another kind of input it would be compiled again.
        serde_json::from_slice(text.as_bytes()).ok()
    }

    #[test]
    fn plain_and_odd_values() {
        for text in [
            r#"{"b":[1,"x",{}],"a":null,"b":true,"long key":"é\n\"\\ \u00e9"}"#,
            " [ false , [ ] , { } , \"\" ]\r\n\t",
            "0",
            "123456789012345678",
            "\"seven..\"",
            "\"exactly8\"",
        ] {
            assert!(read(text).is_some(), "{text}");
            assert_eq!(read(text), by_serde(text), "{text}");
        }
        for text in ["-0", "1e3", "1.5", "12345678901234567890", "-7"] {
            assert_eq!(read(text), by_serde(text), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_not_read() {
        for text in [
            "",
            " ",
            "nul",
            "tru",
            "01",
            "1-2",
            "+1",
            "1.",
            "{",
            "[",
            "[1",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "\"",
            "\"\\",
            "\"\\\"",
            "\"\\x\"",
            "\"\n\"",
            "\"\u{1f}\"",
            "1 2",
            "{}x",
        ] {
            assert_eq!(read(text), None, "{text}");
            assert_eq!(by_serde(text), None, "{text}");
        }
        assert_eq!(read(&"[".repeat(DEPTH + 1)), None);
    }

    #[test]
    fn what_serde_refuses_for_one_text_or_number_is_read() {
        for (text, expected) in [
            (r#""a\udc80b""#, "a\u{fffd}b"),
            (r#""\ud83d\ude00\ud83d""#, "\u{1f600}\u{fffd}"),
            (r#""\\ud800\n\ud800\u0041""#, "\\ud800\n\u{fffd}A"),
            ("1e999", "1e999"),
            ("-1e999", "-1e999"),
        ] {
            assert_eq!(by_serde(text), None);
            let found = read(text).unwrap();
            assert_eq!(found.text().unwrap(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_reads(text in "[\\[\\]{}\",:\\\\ 0-9eEtrufalsn.+\\-é\n\u{1}]{0,24}") {
            if let (Some(found), Some(expected)) = (read(&text), by_serde(&text)) {
                prop_assert_eq!(found, expected);
            }
        }

        /// Objects one after the other with the same keys, some of them, others, some twice.
        #[test]
        fn objects_of_any_shapes_are_read(
            objects in proptest::collection::vec(
                proptest::collection::vec(
                    (
                        proptest::sample::select(vec![
                            "a", "b", "id", "type", "uuid", "timestamp", "distribution",
                            "sharing_group_id", "sharing_group_ix", "é", "x\\n",
                        ]),
                        proptest::sample::select(vec![
                            "1", "\"v\"", "{}", "[{\"id\":2},{\"id\":3,\"b\":4}]", "{\"type\":\"\"}",
                        ]),
                        proptest::sample::select(vec!["\":", "\": ", "\" :"]),
                    ),
                    0..6,
                ),
                0..8,
            )
        ) {
            let object = |members: &Vec<(&str, &str, &str)>| {
                let members = members.iter();
                let members = members.map(|(key, value, colon)| format!("\"{key}{colon}{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            };
            let json = objects.iter().map(object).collect::<Vec<_>>().join(",");
            let json = format!("[{json}]");
            prop_assert_eq!(read(&json), by_serde(&json));
            prop_assert!(read(&json).is_some());
        }

        #[test]
        fn strings_are_read(text in any::<String>(), key in any::<String>()) {
            let json = serde_json::json!({ key: [text] }).to_string();
            prop_assert_eq!(read(&json), by_serde(&json));
            prop_assert!(read(&json).is_some());
        }
    }
}
