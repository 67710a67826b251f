//! The API key, which nothing shows.

use std::borrow::Cow;
use std::fmt;

/// A MISP API key. It has no `Display` and is not serialised; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// A text that cannot be an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing in it.
    #[error("the API key is empty: put the key that MISP shows under \"Auth keys\" there")]
    Empty,
    /// Something no key holds.
    #[error(
        "the API key holds a character that no key has (a space, a line break or a letter beyond \
         ASCII): copy the 40 letters and digits again"
    )]
    Character,
}

impl ApiKey {
    /// MISP's keys are 40 letters and digits; blanks and line ends around are taken off.
    ///
    /// # Errors
    /// When nothing is left, or what is left cannot be sent as a header.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let key = text.trim();
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if !key.chars().all(|letter| letter.is_ascii_graphic()) {
            return Err(KeyError::Character);
        }
        Ok(Self(key.to_owned()))
    }

    /// Is it of the form MISP makes: 40 letters and digits? Others are tried all the same.
    pub fn looks_usual(&self) -> bool {
        self.0.len() == 40 && self.0.chars().all(|letter| letter.is_ascii_alphanumeric())
    }

    /// The key itself, for the header only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The first and last four characters, as MISP lists its keys; `None` for a short one.
    pub(crate) fn ends(&self) -> Option<(&str, &str)> {
        if self.0.len() < 16 {
            return None;
        }
        Some((self.0.get(..4)?, self.0.get(self.0.len() - 4..)?))
    }

    /// A text of the other side with the key taken out, should it be in there.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.contains(&self.0) {
            Cow::Owned(text.replace(&self.0, "[redacted]"))
        } else {
            Cow::Borrowed(text)
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_off_blanks_and_shows_nothing() {
        let key = ApiKey::new(" abcdefghijklmnopqrstuvwxyz0123456789ABCD\r\n").unwrap();
        assert_eq!(key.expose().len(), 40);
        assert!(key.looks_usual());
        assert_eq!(key.ends(), Some(("abcd", "ABCD")));
        assert_eq!(format!("{key:?}"), "ApiKey([redacted])");
        assert_eq!(
            key.redact("x abcdefghijklmnopqrstuvwxyz0123456789ABCD y"),
            "x [redacted] y"
        );
    }

    #[test]
    fn refuses_what_cannot_be_a_key() {
        assert_eq!(ApiKey::new(" \n"), Err(KeyError::Empty));
        assert_eq!(ApiKey::new("two words"), Err(KeyError::Character));
        assert_eq!(ApiKey::new("kéy"), Err(KeyError::Character));
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_that_a_header_takes_or_refused(text in ".{0,60}") {
            if let Ok(key) = ApiKey::new(&text) {
                prop_assert!(reqwest::header::HeaderValue::from_str(key.expose()).is_ok());
                let debug = format!("{key:?}");
                prop_assert!(debug == "ApiKey([redacted])");
            }
        }
    }
}
