//! Eight bytes at a time: what a loop over single bytes takes ten times as long for in wasm.

const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGHEST: u64 = ONES * 0x80;

/// Are all bytes of a text hex digits, of either case?
pub fn is_hex(text: &str) -> bool {
    all(text, |word| {
        within(word, b'0', b'9') | within(word | (ONES * 0x20), b'a', b'f')
    })
}

/// Are all bytes of a text ASCII, and none of them a capital letter?
pub fn is_ascii_lower(text: &str) -> bool {
    all(text, |word| !within(word, b'A', b'Z') & !word)
}

/// Are all bytes of a text printable ASCII that no JSON string escapes?
pub fn is_plain(text: &str) -> bool {
    all(text, |word| {
        within(word, b' ', b'!') | within(word, b'#', b'[') | within(word, b']', b'~')
    })
}

/// Has each word of a text the highest bit of each byte? The last word overlaps the one before.
fn all(text: &str, bits: impl Fn(u64) -> u64) -> bool {
    let text = text.as_bytes();
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
}
