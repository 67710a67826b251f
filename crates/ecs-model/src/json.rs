//! JSON text, written straight into a byte buffer.

use std::io::Write as _;

use crate::words;

/// Appends a string with its quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text.as_bytes());
    out.push(b'"');
}

/// Appends a string with its quotes as it stands within another string; nothing in it has to be
/// escaped.
pub fn nested_plain(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"\\\"");
    append(out, text.as_bytes());
    out.extend_from_slice(b"\\\"");
}

/// Appends a string with its quotes as it stands within another string.
pub fn nested_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"\\\"");
    if first_special(text.as_bytes()).is_none() {
        append(out, text.as_bytes());
    } else {
        let mut once = Vec::new();
        escaped(&mut once, text.as_bytes());
        escaped(out, &once);
    }
    out.extend_from_slice(b"\\\"");
}

/// Appends bytes as they are.
///
/// In wasm a copy of unknown length is a call out of the component, and each turn of a loop asks
/// for the time: so short ones are made of two pieces of fixed length, which may overlap.
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        _ if cfg!(not(target_arch = "wasm32")) => out.extend_from_slice(bytes),
        0..4 => bytes.iter().for_each(|byte| out.push(*byte)),
        4..8 => append_ends::<4>(out, bytes),
        8..16 => append_ends::<8>(out, bytes),
        16..32 => append_ends::<16>(out, bytes),
        32..64 => append_ends::<32>(out, bytes),
        64..128 => append_ends::<64>(out, bytes),
        _ => out.extend_from_slice(bytes),
    }
}

/// Appends `N` to `2 * N` bytes.
fn append_ends<const N: usize>(out: &mut Vec<u8>, bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        out.reserve(2 * N);
        out.extend_from_slice(first);
        out.truncate(out.len() + bytes.len() - 2 * N);
        out.extend_from_slice(last);
    }
}

/// Fills a buffer from its start.
///
/// In wasm as [`append`] does.
pub(crate) struct Writer<'o>(&'o mut [u8]);

impl<'o> Writer<'o> {
    pub(crate) fn new(buffer: &'o mut [u8]) -> Self {
        Self(buffer)
    }

    /// Writes bytes; what does not fit into the buffer is left out.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let buffer = std::mem::take(&mut self.0);
        let Some((to, rest)) = buffer.split_at_mut_checked(bytes.len()) else {
            return;
        };
        match bytes.len() {
            _ if cfg!(not(target_arch = "wasm32")) => to.copy_from_slice(bytes),
            0..4 => to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte),
            4..8 => copy_ends::<4>(to, bytes),
            8..16 => copy_ends::<8>(to, bytes),
            16..32 => copy_ends::<16>(to, bytes),
            32..64 => copy_ends::<32>(to, bytes),
            64..128 => copy_ends::<64>(to, bytes),
            _ => to.copy_from_slice(bytes),
        }
        self.0 = rest;
    }
}

/// Copies `N` to `2 * N` bytes.
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(first)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *first;
    }
    if let (Some(to), Some(last)) = (to.last_chunk_mut::<N>(), from.last_chunk()) {
        *to = *last;
    }
}

/// Appends an integer.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value}");
}

/// Appends `true` or `false`.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a list of strings.
pub fn strings<T: AsRef<str>>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, item.as_ref());
    }
    out.push(b']');
}

/// Appends UTF-8 text escaped for a JSON string, without quotes.
///
/// Besides what JSON demands, the three line ends of Unicode (U+0085, U+2028,
/// U+2029) are escaped: no reader of NDJSON, however it cuts lines, cuts a document.
pub fn escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = first_special(rest) {
        let (plain, special) = rest.split_at(at);
        append(out, plain);
        let (replacement, length): (&[u8], usize) = match special {
            [b'"', ..] => (b"\\\"", 1),
            [b'\\', ..] => (b"\\\\", 1),
            [b'\n', ..] => (b"\\n", 1),
            [b'\r', ..] => (b"\\r", 1),
            [b'\t', ..] => (b"\\t", 1),
            [0xc2, 0x85, ..] => (b"\\u0085", 2),
            [0xe2, 0x80, 0xa8, ..] => (b"\\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => (b"\\u2029", 3),
            [control @ 0..0x20, ..] => {
                let _ = write!(out, "\\u{control:04x}");
                (b"", 1)
            }
            [other, ..] => {
                out.push(*other);
                (b"", 1)
            }
            [] => (b"", 0),
        };
        out.extend_from_slice(replacement);
        rest = special.get(length..).unwrap_or_default();
    }
    append(out, rest);
}

/// Where the first byte stands that may not go out as it is.
fn first_special(text: &[u8]) -> Option<usize> {
    // Most texts have none.
    if words::none_special(text) {
        return None;
    }
    let (words, _) = text.as_chunks();
    let is_plain = |word: &&[u8; 8]| words::none_special(*word);
    let plain = words.iter().take_while(is_plain).count() * 8;
    let is_special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\' | 0xc2 | 0xe2);
    let at = text.get(plain..)?.iter().position(is_special)?;
    Some(plain + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_ends_and_controls_are_escaped() {
        let mut out = Vec::new();
        string(&mut out, "a\"\\\n\r\t\0\u{7f}\u{85}\u{2028}\u{2029}é…");
        let expected = "\"a\\\"\\\\\\n\\r\\t\\u0000\u{7f}\\u0085\\u2028\\u2029é…\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn two_pieces_are_the_whole() {
        fn check<const N: usize>() {
            let text: Vec<u8> = (0..2 * N).map(|byte| byte as u8).collect();
            for length in N..=2 * N {
                let mut out = b"before".to_vec();
                append_ends::<N>(&mut out, &text[..length]);
                assert_eq!(out, [b"before", &text[..length]].concat());
                let mut to = vec![0xff; length];
                copy_ends::<N>(&mut to, &text[..length]);
                assert_eq!(to, text[..length]);
            }
        }
        check::<4>();
        check::<16>();
        check::<64>();
    }

    #[test]
    fn a_buffer_is_filled_from_its_start() {
        let mut buffer = [0; 8];
        let mut writer = Writer::new(&mut buffer);
        for part in [&b"abc"[..], b"", b"de", b"fghij", b"k"] {
            writer.put(part);
        }
        assert_eq!(&buffer, b"abcde\0\0\0");
    }

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.as_str());
            let mut nested = b"\"".to_vec();
            nested_string(&mut nested, &text);
            nested.push(b'"');
            prop_assert_eq!(serde_json::from_slice::<String>(&nested).unwrap().into_bytes(), out);
        }
    }
}
