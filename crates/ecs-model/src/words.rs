//! Eight bytes at a time: what a loop over single bytes takes ten times as long for in wasm.

const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGHEST: u64 = ONES * 0x80;

/// Are all bytes of a text hex digits, of either case?
pub fn is_hex(text: &str) -> bool {
    all(text.as_bytes(), |word| {
        within(word, b'0', b'9') | within(word | (ONES * 0x20), b'a', b'f')
    })
}

/// Are all bytes of a text ASCII, and none of them a capital letter?
pub fn is_ascii_lower(text: &str) -> bool {
    all(text.as_bytes(), |word| !within(word, b'A', b'Z') & !word)
}

/// Are all bytes of a text printable ASCII that no JSON string escapes?
pub fn is_plain(text: &str) -> bool {
    all(text.as_bytes(), |word| {
        within(word, b' ', b'!') | within(word, b'#', b'[') | within(word, b']', b'~')
    })
}

/// Is no byte of a text one that a JSON string escapes, or the first of U+0085, U+2028 or U+2029?
pub(crate) fn none_special(text: &[u8]) -> bool {
    all(text, |word| {
        // The highest bit of each byte that is below a limit; of no other, if of none.
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
        let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        // With this bit set 0xc2 is 0xe2, and no other byte is.
        let lower = word | (ONES * 0x20);
        !(below(word, 0x20) | is(word, b'"') | is(word, b'\\') | is(lower, 0xe2))
    })
}

/// Has each word of a text the highest bit of each byte? The last word overlaps the one before.
fn all(text: &[u8], bits: impl Fn(u64) -> u64) -> bool {
    let fits = |word: &[u8; 8]| bits(u64::from_le_bytes(*word)) & HIGHEST == HIGHEST;
    match text.last_chunk() {
        Some(last) => text.as_chunks().0.iter().all(fits) && fits(last),
        None => {
            // Filled up with its first byte.
            let mut word = [text.first().copied().unwrap_or_default(); 8];
            word.iter_mut().zip(text).for_each(|(to, byte)| *to = *byte);
            text.is_empty() || fits(&word)
        }
    }
}

/// The highest bit of each byte of ASCII from `first` to `last`, both included.
fn within(word: u64, first: u8, last: u8) -> u64 {
    let lower = word & !HIGHEST;
    let reaches = |limit: u8| lower.wrapping_add(ONES * u64::from(0x80 - limit));
    reaches(first) & !reaches(last + 1) & !word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_counts_wherever_it_stands() {
        for length in 0..20 {
            for place in 0..length.max(1) {
                for byte in (0..=255_u8).map(char::from) {
                    let mut text = vec!['7'; length];
                    if let Some(at) = text.get_mut(place) {
                        *at = byte;
                    }
                    let text: String = text.into_iter().collect();
                    let all = |is: fn(char) -> bool| text.chars().all(is);
                    assert_eq!(is_hex(&text), all(|c| c.is_ascii_hexdigit()), "{text:?}");
                    let lower = all(|c| c.is_ascii() && !c.is_ascii_uppercase());
                    assert_eq!(is_ascii_lower(&text), lower, "{text:?}");
                    let plain = all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\');
                    assert_eq!(is_plain(&text), plain, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn eight_bytes_are_special_if_one_is() {
        for byte in 0..=255_u8 {
            for place in 0..8 {
                for other in [b'a', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']', 0xc3, 0xe3] {
                    let mut word = [other; 8];
                    word[place] = byte;
                    let special = matches!(byte, 0..0x20 | b'"' | b'\\' | 0xc2 | 0xe2);
                    assert_eq!(none_special(&word), !special, "{byte} {place} {other}");
                }
            }
        }
    }
}
