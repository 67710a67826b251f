//! Headers out of a file, which nothing shows.

use std::path::{Path, PathBuf};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Headers that cannot be sent. No text in here holds a value.
#[derive(Debug, thiserror::Error)]
pub enum HeadersError {
    /// A line that is no header.
    #[error("line {line} of {} is no header: {reason}; a line looks like `Authorization: ...`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
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

/// What the output sets itself, or what frames a message.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Headers and the secrets in them.
#[derive(Clone, Default)]
pub(super) struct Headers {
    pub(super) map: HeaderMap,
    /// What no text may show: each value, and each of its words that is long enough to be one.
    secrets: Vec<String>,
}

impl Headers {
    /// One `Name: value` a line; blank lines and lines that begin with `#` are passed over.
    pub(super) fn read(path: &Path) -> Result<Self, HeadersError> {
        let text = std::fs::read_to_string(path).map_err(|source| HeadersError::File {
            path: path.to_owned(),
            source,
        })?;
        let mut headers = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                headers.add(line).map_err(|reason| HeadersError::Line {
                    path: path.to_owned(),
                    line: at + 1,
                    reason,
                })?;
            }
        }
        // The longest first: a part of it must not be taken out of its middle.
        headers
            .secrets
            .sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(headers)
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }

    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        let (name, value) = line.split_once(':').ok_or("it has no colon")?;
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| "what is before the colon is no header's name")?;
        if RESERVED.contains(&name.as_str()) {
            return Err("this one is set by the output itself, leave it out");
        }
        let text = value.trim();
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| "its value holds a character that no header has")?;
        value.set_sensitive(true);
        self.map.append(name, value);
        self.secrets.push(text.to_owned());
        let words = text.split_whitespace().filter(|word| word.len() >= 8);
        self.secrets.extend(words.map(str::to_owned));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Headers, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        std::fs::write(&path, text).unwrap();
        Headers::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_are_headers() {
        let headers = read("# one\n\nAuthorization: Bearer canary-1234\r\nX-A : b:c\n").unwrap();
        assert_eq!(headers.map["authorization"], "Bearer canary-1234");
        assert_eq!(headers.map["x-a"], "b:c");
        assert!(!format!("{:?}", headers.map).contains("canary"));
        assert_eq!(
            headers.secrets().collect::<Vec<_>>(),
            ["Bearer canary-1234", "canary-1234", "b:c"]
        );
    }

    #[test]
    fn what_is_none_is_named_by_its_line_only() {
        for (text, reason) in [
            ("canary", "no colon"),
            ("a b: canary", "no header's name"),
            ("X-A: canary\u{0}", "character"),
            ("Content-Type: canary", "set by the output"),
        ] {
            let error = read(&format!("A: b\n{text}")).err().unwrap();
            assert!(
                error.contains("line 2") && error.contains(reason),
                "{error}"
            );
            assert!(!error.contains("canary"), "{error}");
        }
        let error = Headers::read(Path::new("/nowhere/at/all")).err().unwrap();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
