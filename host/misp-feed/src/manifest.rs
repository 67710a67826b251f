//! What a feed says it holds.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The most bytes of a manifest, which is kept in memory: some 150,000 events.
pub(crate) const MANIFEST_BYTES: u64 = 64 << 20;

/// Equal for two states of an event that need not be told apart.
pub(crate) type Stamp = u64;

/// One event, as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name of its file, without any folder.
    pub(crate) file: String,
    /// UNIX seconds; 0 if it has none.
    pub(crate) timestamp: i64,
    pub(crate) stamp: Stamp,
    /// What its file's bytes must hash to.
    pub(crate) sha256: Option<[u8; 32]>,
    /// Is the key the event's uuid, or only made of the file's name?
    pub(crate) named: bool,
}

/// All events, and what was no event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) entries: BTreeMap<Uuid, Entry>,
    /// Entries that were passed over because they cannot be an event's.
    pub(crate) ignored: usize,
}

impl Manifest {
    /// Reads `manifest.json`: an object, event uuid to what is to know of it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        // PHP writes an empty object as an empty list.
        if serde_json::from_slice::<[(); 0]>(bytes).is_ok() {
            return Ok(Self::default());
        }
        let listed: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(bytes).map_err(|error| {
                // Its kind and place, not the text it found.
                let what = if error.is_data() {
                    "it is no object of event uuids"
                } else {
                    "it is no whole JSON"
                };
                format!("{what} (line {}, column {})", error.line(), error.column())
            })?;
        let mut manifest = Self::default();
        for (key, described) in &listed {
            match (uuid(key), Described::read(described)) {
                (Some(uuid), Some(described)) => {
                    manifest.entries.insert(uuid, described.entry(key));
                }
                _ => manifest.ignored += 1,
            }
        }
        if manifest.entries.is_empty() && manifest.ignored > 0 {
            return Err(format!(
                "none of its {} keys is the uuid of an event",
                manifest.ignored
            ));
        }
        Ok(manifest)
    }
}

/// A uuid as MISP writes it, 36 characters: a name that holds nothing but hexadecimal digits and
/// hyphens leads to no other folder.
pub(crate) fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok())?
}

/// The name of the file of an event.
pub(crate) fn file(uuid: &str) -> String {
    format!("{uuid}.json")
}

/// What of an entry counts.
#[derive(Debug)]
struct Described {
    timestamp: Option<i64>,
    sha256: Option<[u8; 32]>,
    /// The digest of all of it, for an entry without a timestamp.
    whole: Stamp,
}

impl Described {
    fn read(raw: &RawValue) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_str(raw.get()).ok()?;
        let sha256 = members
            .get("integrity:sha256")
            .and_then(Value::as_str)
            .and_then(hex);
        Some(Self {
            timestamp: members.get("timestamp").and_then(seconds),
            sha256,
            whole: stamp(&[raw.get().as_bytes()]),
        })
    }

    fn entry(self, key: &str) -> Entry {
        let stamp = match (self.timestamp, &self.sha256) {
            (Some(timestamp), None) => stamp(&[&timestamp.to_be_bytes()]),
            (Some(timestamp), Some(sha256)) => stamp(&[&timestamp.to_be_bytes(), sha256]),
            (None, _) => self.whole,
        };
        Entry {
            file: file(key),
            timestamp: self.timestamp.unwrap_or(0),
            stamp,
            sha256: self.sha256,
            named: true,
        }
    }
}

/// The first 8 bytes of the SHA-256 of these parts: that two states of one event share them is
/// left to a chance of 1 in 2^64.
pub(crate) fn stamp(parts: &[&[u8]]) -> Stamp {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest
        .first_chunk()
        .map_or(0, |first| Stamp::from_be_bytes(*first))
}

/// A number, or a text that is one; beyond the range of seconds it saturates.
fn seconds(value: &Value) -> Option<i64> {
    let float = |number: f64| number.is_finite().then_some(number as i64);
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(float)),
        Value::String(text) => {
            let text = text.trim();
            text.parse()
                .ok()
                .or_else(|| text.parse().ok().and_then(float))
        }
        _ => None,
    }
}

/// 64 hexadecimal digits.
fn hex(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "11111111-1111-4111-8111-111111111111";
    const B: &str = "22222222-2222-4222-8222-22222222222b";

    fn parse(text: &str) -> Manifest {
        Manifest::parse(text.as_bytes()).unwrap()
    }

    fn only(described: &str) -> Entry {
        let manifest = parse(&format!(r#"{{"{A}": {described}}}"#));
        manifest.entries.into_values().next().unwrap()
    }

    #[test]
    fn a_number_and_a_text_are_the_same_time() {
        let number = only(r#"{"timestamp": 1777593600, "info": "x"}"#);
        assert_eq!(number.timestamp, 1_777_593_600);
        assert_eq!(number.file, format!("{A}.json"));
        assert_eq!(
            number,
            only(r#"{"timestamp": " 1777593600 ", "info": "y"}"#)
        );
        assert_eq!(number, only(r#"{"timestamp": 1777593600.0}"#));
        assert_ne!(number.stamp, only(r#"{"timestamp": 1777593601}"#).stamp);
    }

    #[test]
    fn without_a_time_the_entry_itself_is_the_clock() {
        let entry = only(r#"{"info": "x"}"#);
        assert_eq!(entry.timestamp, 0);
        assert_ne!(entry.stamp, only(r#"{"info": "y"}"#).stamp);
        assert_eq!(entry.stamp, only(r#"{"info": "x"}"#).stamp);
    }

    #[test]
    fn a_digest_is_part_of_the_clock_and_kept() {
        let digest = "0F".repeat(32);
        let entry = only(&format!(
            r#"{{"timestamp": 1, "integrity:sha256": "{digest}"}}"#
        ));
        assert_eq!(entry.sha256, Some([15; 32]));
        assert_ne!(entry.stamp, only(r#"{"timestamp": 1}"#).stamp);
        for odd in ["", "0f", &"zz".repeat(32), &"é".repeat(32)] {
            let entry = only(&format!(
                r#"{{"timestamp": 1, "integrity:sha256": "{odd}"}}"#
            ));
            assert_eq!(entry.sha256, None, "{odd}");
        }
    }

    #[test]
    fn what_cannot_be_the_uuid_of_an_event_is_passed_over() {
        let hostile = [
            "../../etc/passwd",
            "..%2f..%2f1111-1111-4111-8111-1111111",
            "http://192.0.2.1/aaaaaaaaaaaaaaaaaaa",
            "11111111111141118111111111111111",
            "{11111111-1111-4111-8111-111111111111}",
            "urn:uuid:11111111-1111-4111-8111-111111111111",
            "11111111-1111-4111-8111-11111111111/",
            "",
        ];
        for key in hostile {
            let manifest = parse(&format!(r#"{{"{key}": {{}}, "{B}": {{"timestamp": 1}}}}"#));
            assert_eq!((manifest.entries.len(), manifest.ignored), (1, 1), "{key}");
        }
        let manifest = parse(&format!(r#"{{"{A}": "x", "{B}": {{}}}}"#));
        assert_eq!((manifest.entries.len(), manifest.ignored), (1, 1));
    }

    #[test]
    fn an_empty_feed_is_no_error_and_garbage_is() {
        for empty in ["{}", "[]", " [ ] ", "\u{feff}{}"] {
            assert_eq!(parse(empty), Manifest::default(), "{empty}");
        }
        for garbage in [
            "",
            "null",
            "[1]",
            "<html>",
            "{",
            r#"{"message": "no"}"#,
            "{}{}",
        ] {
            assert!(Manifest::parse(garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_manifest_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Manifest::parse(&bytes);
        }

        #[test]
        fn whatever_the_keys_a_file_is_a_plain_name(
            keys in prop::collection::vec("[0-9a-fA-F./%-]{30,40}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", 0..8),
            timestamp in any::<f64>(),
        ) {
            let entries: Map<String, Value> = keys
                .into_iter()
                .map(|key| (key, serde_json::json!({"timestamp": timestamp})))
                .collect();
            let Ok(manifest) = Manifest::parse(Value::Object(entries).to_string().as_bytes()) else {
                return Ok(());
            };
            for entry in manifest.entries.values() {
                let stem = entry.file.strip_suffix(".json").unwrap();
                prop_assert!(stem.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
            }
        }
    }
}
