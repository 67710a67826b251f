//! What the other side said, fit for a log and a dead letter.

/// No more of it is kept.
const LONGEST: usize = 512;

/// The words of a receiver: on one line, secrets taken out, cut to 512 characters.
pub(crate) fn words<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if !secret.is_empty() {
            text = text.replace(secret, "[redacted]");
        }
    }
    let line = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let mut short: String = line.chars().take(LONGEST).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_short_line_without_secrets() {
        assert_eq!(
            words(" a\r\n\u{0}b\tcanary ", ["canary", ""]),
            "a b [redacted]"
        );
        let long = "é".repeat(600);
        assert_eq!(words(&long, []).chars().count(), LONGEST + 1);
        assert_eq!(words("", []), "");
    }
}
