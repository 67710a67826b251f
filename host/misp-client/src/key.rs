//! The API key, which nothing shows.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// A MISP API key. It has no `Display` and is not serialised; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
    file: Option<PathBuf>,
}

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
        Ok(Self {
            text: key.to_owned(),
            file: None,
        })
    }

    /// Says which file it was read from: when MISP refuses it, the file may hold another by then.
    #[must_use]
    pub fn kept_in(self, file: PathBuf) -> Self {
        Self {
            file: Some(file),
            ..self
        }
    }

    /// The key that its file holds now, if it is another and a key at all.
    pub(crate) fn read_again(&self) -> Option<Self> {
        let file = self.file.clone()?;
        let text = std::fs::read_to_string(&file).ok()?;
        let key = Self::new(&text).ok()?.kept_in(file);
        (!key.is_same(self)).then_some(key)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// Is it of the form MISP makes: 40 letters and digits? Others are tried all the same.
    pub fn looks_usual(&self) -> bool {
        self.text.len() == 40
            && self
                .text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric())
    }

    /// The key itself, for the header only.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// The first and last four characters, as MISP lists its keys; `None` for a short one.
    pub(crate) fn ends(&self) -> Option<(&str, &str)> {
        if self.text.len() < 16 {
            return None;
        }
        Some((self.text.get(..4)?, self.text.get(self.text.len() - 4..)?))
    }

    /// A text of the other side with the key taken out, should it be in there.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.contains(&self.text) {
            Cow::Owned(text.replace(&self.text, "[redacted]"))
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
        assert_eq!(key.read_again(), None);
        assert_eq!(
            key.redact("x abcdefghijklmnopqrstuvwxyz0123456789ABCD y"),
            "x [redacted] y"
        );
    }

    #[test]
    fn only_another_key_is_one_to_try() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = ApiKey::new("first").unwrap().kept_in(path.clone());
        assert_eq!(key.read_again(), None, "there is no file");
        for text in ["first\n", " \n", "half a key"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(key.read_again(), None, "{text}");
        }
        std::fs::write(&path, "second\n").unwrap();
        let second = key.read_again().unwrap();
        assert_eq!(second.expose(), "second");
        std::fs::write(&path, "third").unwrap();
        assert!(second.read_again().is_some());
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
