//! What the YAML reader says, in the words of the configuration.

/// Replaces the names of Rust's types in an error of serde.
pub(super) fn in_plain_words(text: &str) -> String {
    const WORDS: [(&str, &str); 12] = [
        ("invalid type: null,", "there is no value,"),
        ("invalid type: unit value,", "there is no value,"),
        ("invalid type: ", "wrong kind of value: "),
        ("invalid value: ", "wrong value: "),
        ("expected u8", "expected a whole number from 0 to 255"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        (
            "expected u32",
            "expected a whole number from 0 to 4294967295",
        ),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected a sequence", "expected a list"),
        ("expected a map", "expected keys and values"),
        ("expected a boolean", "expected true or false"),
        ("integer `", "the number `"),
    ];
    let mut text = text.to_owned();
    if let Some((before, after)) = text.split_once("expected struct ") {
        let rest = after.trim_start_matches(|char: char| char.is_alphanumeric());
        text = format!("{before}expected keys and values{rest}");
    }
    for (theirs, ours) in WORDS {
        text = text.replace(theirs, ours);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::in_plain_words;

    #[test]
    fn no_type_of_rust_is_named() {
        for (theirs, ours) in [
            (
                "invalid type: null, expected struct Config",
                "there is no value, expected keys and values",
            ),
            (
                "invalid value: integer `300`, expected u8",
                "wrong value: the number `300`, expected a whole number from 0 to 255",
            ),
            (
                "invalid type: string \"x\", expected a sequence",
                "wrong kind of value: string \"x\", expected a list",
            ),
        ] {
            assert_eq!(in_plain_words(theirs), ours);
        }
    }
}
