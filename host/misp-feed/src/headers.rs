//! Headers that are sent with every request, which nothing shows.

use std::fmt;
use std::path::{Path, PathBuf};

use pipeline::{Class, Classify};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Headers for the server of a feed, such as `Authorization`. Has no `Display` and is not
/// serialised; `Debug` shows the names only. Default: none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

/// Headers that cannot be sent. No text in here holds a value.
#[derive(Debug, thiserror::Error)]
pub enum HeadersError {
    /// A line that is no header.
    #[error("line {line} of the headers is none: {reason}; a line looks like `Authorization: ...`")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header that the reading of a feed sets itself.
    #[error("the header `{name}` is set by the reading of the feed itself: leave it out")]
    Reserved {
        /// Its name.
        name: String,
    },
    /// The file cannot be read.
    #[error("the headers cannot be read from {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Classify for HeadersError {
    fn class(&self) -> Class {
        Class::Fatal
    }
}

/// What the reading sets itself, or what frames a message.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "range",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl Headers {
    /// One `Name: value` a line; blank lines and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// When a line is no header, or one that the reading of a feed sets itself.
    pub fn parse(text: &str) -> Result<Self, HeadersError> {
        let mut headers = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line_number = at + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refuse = |reason| HeadersError::Line {
                line: line_number,
                reason,
            };
            let (name, value) = line.split_once(':').ok_or(refuse("it has no colon"))?;
            let name = HeaderName::from_bytes(name.trim().as_bytes())
                .map_err(|_| refuse("what is before the colon is no header's name"))?;
            if RESERVED.contains(&name.as_str()) {
                return Err(HeadersError::Reserved {
                    name: name.as_str().to_owned(),
                });
            }
            let mut value = HeaderValue::from_str(value.trim())
                .map_err(|_| refuse("its value holds a character that no header has"))?;
            value.set_sensitive(true);
            headers.push((name, value));
        }
        Ok(Self(headers))
    }

    /// The lines of a file; see [`Self::parse`].
    ///
    /// # Errors
    /// When it cannot be read, and those of [`Self::parse`].
    pub fn from_file(path: &Path) -> Result<Self, HeadersError> {
        let text = std::fs::read_to_string(path).map_err(|source| HeadersError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.0 {
            map.append(name.clone(), value.clone());
        }
        map
    }

    /// A text of the other side with the values taken out, should they be in there.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (_, value) in &self.0 {
            let value = value.to_str().unwrap_or_default();
            // `Bearer x`: the secret alone as well.
            for secret in [Some(value), value.split_once(' ').map(|(_, secret)| secret)] {
                if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
                    text = text.replace(secret, "[redacted]");
                }
            }
        }
        text
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(name, _)| (name.as_str(), "[redacted]")))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_lines_and_shows_names_only() {
        let headers =
            Headers::parse("# for the feed\n\nAuthorization: Bearer canary-1\nX-Key:canary-2\n")
                .unwrap();
        assert_eq!(headers.map().len(), 2);
        let debug = format!("{headers:?} {:?}", headers.map());
        assert!(
            debug.contains("authorization") && !debug.contains("canary"),
            "{debug}"
        );
        let told = headers.redact("see /canary-1/and/Bearer canary-1/canary-2");
        assert!(!told.contains("canary"), "{told}");
    }

    #[test]
    fn says_which_line_is_wrong_without_its_value() {
        for (text, line) in [("canary", 1), ("\na b: canary", 2), ("a: cana\u{7f}ry", 1)] {
            let error = Headers::parse(text).unwrap_err();
            assert!(
                matches!(error, HeadersError::Line { line: at, .. } if at == line),
                "{error}"
            );
            assert!(!error.to_string().contains("canary"));
        }
        let error = Headers::parse("If-None-Match: x").unwrap_err();
        assert!(matches!(error, HeadersError::Reserved { .. }), "{error}");
        assert!(Headers::from_file(Path::new("/nowhere/at/all")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,60}") {
            if let Ok(headers) = Headers::parse(&text) {
                let _ = headers.map();
            }
        }
    }
}
