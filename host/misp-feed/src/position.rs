//! What of a feed has been handed out: the cursor.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pipeline::Cursor;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::FeedError;
use crate::manifest::Stamp;

/// What tells two states of a manifest apart, as its server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Validators {
    /// The manifest's address: that of another feed says nothing about this one.
    pub(crate) url: String,
    /// `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// `Last-Modified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
}

/// The events that have been handed out, each with the stamp it had.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) known: BTreeMap<Uuid, Stamp>,
    /// Those of `known` that were older than the lookback of the first read, and were never
    /// handed out.
    pub(crate) left_out: BTreeSet<Uuid>,
    /// Of the manifest all of whose events are in `known`; `None` while there is none such.
    pub(crate) validators: Option<Validators>,
}

/// A [`Position`] as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The version of this form.
    v: u32,
    /// The walk that wrote it.
    walk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<Validators>,
    /// 24 bytes an event in the order of their uuids: the uuid and its stamp, as Base64 32
    /// characters an event.
    events: String,
    /// 16 bytes an event that was left out, as Base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    left_out: String,
}

const VERSION: u32 = 1;
const WALK: &str = "feed";
/// Bytes of an event: 16 of its uuid, 8 of its stamp.
const EVENT: usize = 24;
/// Bytes of a uuid.
const UUID: usize = 16;

impl Position {
    pub(crate) fn read(cursor: &Cursor) -> Result<Self, FeedError> {
        let refuse = |reason: String| FeedError::Cursor { reason };
        let stored: Stored =
            serde_json::from_str(&cursor.0).map_err(|error| refuse(error.to_string()))?;
        if stored.v != VERSION || stored.walk != WALK {
            return Err(refuse(format!(
                "it is of the walk {:?}, version {}; this version continues {WALK:?}, version \
                 {VERSION}, only",
                stored.walk, stored.v
            )));
        }
        let bytes = |text: &str| {
            let bytes = BASE64_STANDARD.decode(text);
            bytes.map_err(|error| refuse(error.to_string()))
        };
        let events = bytes(&stored.events)?;
        let (events, rest) = events.as_chunks::<EVENT>();
        let left_out = bytes(&stored.left_out)?;
        let (left_out, rest_of_left_out) = left_out.as_chunks::<UUID>();
        if !rest.is_empty() || !rest_of_left_out.is_empty() {
            return Err(refuse("its events end in the midst of one".to_owned()));
        }
        let known = events
            .iter()
            .filter_map(|event| {
                let uuid = event.first_chunk::<UUID>()?;
                let stamp = event.last_chunk::<8>()?;
                Some((Uuid::from_bytes(*uuid), Stamp::from_be_bytes(*stamp)))
            })
            .collect();
        Ok(Self {
            known,
            left_out: left_out.iter().copied().map(Uuid::from_bytes).collect(),
            validators: stored.manifest,
        })
    }

    pub(crate) fn write(&self) -> Cursor {
        let mut events = Vec::with_capacity(self.known.len() * EVENT);
        for (uuid, stamp) in &self.known {
            events.extend_from_slice(uuid.as_bytes());
            events.extend_from_slice(&stamp.to_be_bytes());
        }
        let left_out: Vec<u8> = self
            .left_out
            .iter()
            .flat_map(Uuid::as_bytes)
            .copied()
            .collect();
        let stored = Stored {
            v: VERSION,
            walk: WALK.to_owned(),
            manifest: self.validators.clone(),
            events: BASE64_STANDARD.encode(events),
            left_out: BASE64_STANDARD.encode(left_out),
        };
        // Numbers and texts: cannot fail.
        Cursor(serde_json::to_string(&stored).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let position = Position {
            known: BTreeMap::from([(Uuid::from_bytes([1; 16]), 2)]),
            left_out: BTreeSet::new(),
            validators: Some(Validators {
                url: "https://feed.example.org/manifest.json".to_owned(),
                etag: Some("\"x\"".to_owned()),
                last_modified: None,
            }),
        };
        let cursor = position.write();
        assert_eq!(
            cursor.0,
            "{\"v\":1,\"walk\":\"feed\",\"manifest\":{\"url\":\
             \"https://feed.example.org/manifest.json\",\"etag\":\"\\\"x\\\"\"},\"events\":\
             \"AQEBAQEBAQEBAQEBAQEBAQAAAAAAAAAC\"}"
        );
        assert_eq!(Position::read(&cursor).unwrap(), position);
    }

    #[test]
    fn ten_thousand_events_take_320_kilobytes() {
        let known = (0..10_000_u128)
            .map(|at| (Uuid::from_u128(at), 1))
            .collect();
        let position = Position {
            known,
            ..Position::default()
        };
        let len = position.write().0.len();
        assert!((320_000..320_100).contains(&len), "{len}");
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        for text in [
            "",
            "{}",
            r#"{"v":1,"walk":"publish","w":1}"#,
            r#"{"v":2,"walk":"feed","events":""}"#,
            r#"{"v":1,"walk":"publish","events":""}"#,
            r#"{"v":1,"walk":"feed","events":"AQEB"}"#,
            r#"{"v":1,"walk":"feed","events":"?"}"#,
            r#"{"v":1,"walk":"feed","events":"","left_out":"AQEB"}"#,
        ] {
            assert!(Position::read(&Cursor(text.to_owned())).is_err(), "{text}");
        }
        let empty = Cursor(r#"{"v":1,"walk":"feed","events":""}"#.to_owned());
        assert_eq!(Position::read(&empty).unwrap(), Position::default());
    }

    proptest! {
        #[test]
        fn any_position_is_read_as_it_was_written(
            known in prop::collection::btree_map(any::<u128>(), any::<u64>(), 0..20),
            left_out in prop::collection::btree_set(any::<u128>(), 0..20),
            validators in prop::option::of((".*", prop::option::of(".*"), prop::option::of(".*"))),
        ) {
            let position = Position {
                known: known.into_iter().map(|(uuid, stamp)| (Uuid::from_u128(uuid), stamp)).collect(),
                left_out: left_out.into_iter().map(Uuid::from_u128).collect(),
                validators: validators.map(|(url, etag, last_modified)| Validators {
                    url,
                    etag,
                    last_modified,
                }),
            };
            prop_assert_eq!(Position::read(&position.write()).unwrap(), position);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(?s).*", events in "[A-Za-z0-9+/=]{0,70}") {
            let _ = Position::read(&Cursor(text));
            let stored = format!(r#"{{"v":1,"walk":"feed","events":"{events}"}}"#);
            if let Ok(position) = Position::read(&Cursor(stored)) {
                prop_assert!(position.known.len() * 32 <= events.len());
            }
        }
    }
}
