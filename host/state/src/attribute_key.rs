//! An attribute's uuid as the key of a row: 17 bytes instead of 36.

use uuid::Uuid;

/// What the bytes after this one are.
const BINARY: u8 = 0;
const TEXT: u8 = 1;

/// The uuid as bytes; no bytes for no attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AttributeKey(Vec<u8>);

impl AttributeKey {
    /// Whatever text it is, it comes back as it was.
    pub(crate) fn new(uuid: Option<&str>) -> Self {
        let Some(text) = uuid else {
            return Self(Vec::new());
        };
        let plain = Uuid::try_parse(text)
            .ok()
            .filter(|uuid| uuid.hyphenated().to_string() == text);
        let mut bytes = Vec::with_capacity(17);
        match plain {
            Some(uuid) => {
                bytes.push(BINARY);
                bytes.extend_from_slice(uuid.as_bytes());
            }
            None => {
                bytes.push(TEXT);
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The text again; `None` for no attribute.
    pub(crate) fn text(bytes: &[u8]) -> Option<String> {
        match bytes.split_first()? {
            (&BINARY, rest) => Uuid::from_slice(rest)
                .ok()
                .map(|uuid| uuid.hyphenated().to_string()),
            (_, rest) => Some(String::from_utf8_lossy(rest).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in [
            "572b4ab3-1af0-4d91-9cd5-07a1c0a8ab16",
            "572B4AB3-1AF0-4D91-9CD5-07A1C0A8AB16",
            "572b4ab31af04d919cd507a1c0a8ab16",
            "",
            "not a uuid",
        ] {
            let key = AttributeKey::new(Some(text));
            assert_eq!(AttributeKey::text(key.bytes()).as_deref(), Some(text));
        }
        let plain = AttributeKey::new(Some("572b4ab3-1af0-4d91-9cd5-07a1c0a8ab16"));
        assert_eq!(plain.bytes().len(), 17);
        assert_eq!(AttributeKey::text(AttributeKey::new(None).bytes()), None);
    }
}
