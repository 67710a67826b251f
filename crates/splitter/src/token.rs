//! Strings, numbers and literals: where they end and whether they are right.

/// Where a token ends. Places are indices into the bytes looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// After its last byte.
    At(usize),
    /// More bytes are needed; looking can go on from here.
    More(usize),
    /// This byte is wrong.
    Bad(usize, &'static str),
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The lowest set bit marks the first of 8 bytes that is below `limit` (at most 0x80).
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGH
}

/// How many of 8 bytes are plain text: neither quote, backslash, control nor non-ASCII.
#[inline]
fn plain(bytes: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(bytes);
    let special = below(word ^ (ONES * b'"' as u64), 1)
        | below(word ^ (ONES * b'\\' as u64), 1)
        | below(word, 0x20)
        | (word & HIGH);
    (special.trailing_zeros() / 8) as usize
}

/// The end of a string, from after its opening quote or from any place in it that [`End::More`] named.
#[inline]
pub(crate) fn string(bytes: &[u8], mut at: usize) -> End {
    loop {
        while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let plain = plain(*eight);
            at += plain;
            if plain < 8 {
                break;
            }
        }
        match bytes.get(at) {
            Some(b'"') => return End::At(at + 1),
            Some(b'\\') => match escape(bytes, at) {
                End::At(end) => at = end,
                other => return other,
            },
            Some(0..0x20) => return End::Bad(at, "a control character in a string"),
            Some(0x80..) => match not_ascii(bytes, at) {
                End::At(end) => at = end,
                other => return other,
            },
            Some(_) => at += 1,
            None => return End::More(at),
        }
    }
}

fn escape(bytes: &[u8], at: usize) -> End {
    const BAD: &str = "an unknown escape in a string";
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => End::At(at + 2),
        Some(b'u') => {
            let digits = bytes.get(at + 2..).unwrap_or_default();
            let digits = digits.get(..4).unwrap_or(digits);
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                End::Bad(at, BAD)
            } else if digits.len() < 4 {
                End::More(at)
            } else {
                End::At(at + 6)
            }
        }
        Some(_) => End::Bad(at, BAD),
        None => End::More(at),
    }
}

#[cold]
fn not_ascii(bytes: &[u8], at: usize) -> End {
    let rest = bytes.get(at..).unwrap_or_default();
    let run = rest.iter().position(u8::is_ascii);
    let run = rest.get(..run.unwrap_or(rest.len())).unwrap_or_default();
    match std::str::from_utf8(run) {
        Ok(_) => End::At(at + run.len()),
        Err(error) if error.error_len().is_none() && run.len() == rest.len() => {
            End::More(at + error.valid_up_to())
        }
        Err(error) => End::Bad(at + error.valid_up_to(), "not UTF-8"),
    }
}

/// Bytes of a number. A float that is written out has some 800 at most.
const LONGEST_NUMBER: usize = 4096;

/// The end of a number that starts at `at`; `at_end`: nothing follows `bytes`.
pub(crate) fn number(bytes: &[u8], at: usize, at_end: bool) -> End {
    let rest = bytes.get(at..).unwrap_or_default();
    let run = rest
        .iter()
        .position(|b| !matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if run.is_none() && !at_end {
        // More of it would have to be in memory at once.
        return match rest.len() {
            0..=LONGEST_NUMBER => End::More(at),
            _ => End::Bad(at, "a number that is too long"),
        };
    }
    let run = rest.get(..run.unwrap_or(rest.len())).unwrap_or_default();
    if is_number(run) {
        End::At(at + run.len())
    } else {
        End::Bad(at, "not a number")
    }
}

fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
        (count > 0).then(|| text.get(count..)).flatten()
    }
    fn read(text: &[u8]) -> Option<bool> {
        let text = text.strip_prefix(b"-").unwrap_or(text);
        let mut text = match text.strip_prefix(b"0") {
            Some(rest) => rest,
            None => digits(text)?,
        };
        if let Some(fraction) = text.strip_prefix(b".") {
            text = digits(fraction)?;
        }
        if let Some(exponent) = text.strip_prefix(b"e").or(text.strip_prefix(b"E")) {
            let sign = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-"));
            text = digits(sign.unwrap_or(exponent))?;
        }
        Some(text.is_empty())
    }
    read(text) == Some(true)
}

/// The end of `true`, `false` or `null` that starts at `at`.
pub(crate) fn literal(bytes: &[u8], at: usize) -> End {
    let rest = bytes.get(at..).unwrap_or_default();
    let word: &[u8] = match rest.first() {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        Some(b'<') => return End::Bad(at, "HTML or XML, not JSON"),
        _ => return End::Bad(at, "not the start of a value"),
    };
    if rest.starts_with(word) {
        End::At(at + word.len())
    } else if word.starts_with(rest) {
        End::More(at)
    } else {
        End::Bad(at, "an unknown word")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_at_their_quote() {
        for (text, end) in [
            (r#"""#, 1),
            (r#"abc" x"#, 4),
            (r#"12345678""#, 9),
            (r#"1234567\"89" "#, 12),
            (r#"\\" "#, 3),
            (r#"\u0000\ud800é日本語😀""#, 28),
        ] {
            assert_eq!(string(text.as_bytes(), 0), End::At(end), "{text}");
        }
    }

    #[test]
    fn a_string_may_go_on() {
        for (text, from) in [
            (&b""[..], 0),
            (b"abc", 3),
            (b"abc\\", 3),
            (b"abc\\u12", 3),
            (b"abc\xe6\x97", 3),
            (b"a\xe6\x97\xa5\xe6", 4),
        ] {
            assert_eq!(string(text, 0), End::More(from), "{text:?}");
        }
    }

    #[test]
    fn wrong_strings_are_told() {
        for (text, at) in [
            (&b"ab\ncd\""[..], 2),
            (b"123456789\x00\"", 9),
            (b"ab\\x\"", 2),
            (b"ab\\u12g4\"", 2),
            (b"ab\xff\"", 2),
            (b"ab\xe6\x97\"", 2),
            (b"\xed\xa0\x80\"", 0),
        ] {
            assert!(
                matches!(string(text, 0), End::Bad(place, _) if place == at),
                "{text:?}"
            );
        }
    }

    #[test]
    fn numbers_are_json_numbers() {
        for good in ["0", "-0", "1", "10", "-1.5", "1e9", "1E+9", "1.25e-10"] {
            assert_eq!(number(good.as_bytes(), 0, true), End::At(good.len()));
            let with_more = format!("{good},");
            assert_eq!(number(with_more.as_bytes(), 0, false), End::At(good.len()));
            assert_eq!(number(good.as_bytes(), 0, false), End::More(0));
        }
        for bad in [
            "-", "01", "1.", ".5", "1e", "1e+", "+1", "1-1", "--1", "1.5.1",
        ] {
            assert!(
                matches!(number(bad.as_bytes(), 0, true), End::Bad(0, _)),
                "{bad}"
            );
        }
    }

    #[test]
    fn literals_are_three() {
        assert_eq!(literal(b"true,", 0), End::At(4));
        assert_eq!(literal(b" false", 1), End::At(6));
        assert_eq!(literal(b"nul", 0), End::More(0));
        assert!(matches!(literal(b"nil", 0), End::Bad(0, _)));
        assert!(matches!(literal(b"True", 0), End::Bad(0, _)));
        assert!(matches!(literal(b"<html>", 0), End::Bad(0, _)));
    }
}
