//! JSON text, written straight into a byte buffer.

use std::io::Write as _;

/// Appends a string with its quotes.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text.as_bytes());
    out.push(b'"');
}

/// Appends several texts as one string.
pub fn joined(out: &mut Vec<u8>, parts: &[&str]) {
    out.push(b'"');
    for part in parts {
        escaped(out, part.as_bytes());
    }
    out.push(b'"');
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
        out.extend_from_slice(plain);
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
    out.extend_from_slice(rest);
}

/// Where the first byte stands that may not go out as it is.
fn first_special(text: &[u8]) -> Option<usize> {
    // Most texts have none: sixteen bytes at a time, without a branch for each.
    let mut plain = 0;
    for piece in text.chunks(16) {
        if piece
            .iter()
            .fold(false, |any, byte| any | is_special(*byte))
        {
            break;
        }
        plain += piece.len();
    }
    let rest = text.get(plain..)?;
    let at = rest.iter().position(|byte| is_special(*byte))?;
    Some(plain + at)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\' | 0xc2 | 0xe2)
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

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>()) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
