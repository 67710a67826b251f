//! What comes of a record, as JSON.

use mapping::privacy::Private;
use mapping::{Document, Operation, Rejection, id};
use misp_model::redaction::{self, is_uuid};
use serde::Serialize;
use splitter::SplitError;

use crate::Limits;
use crate::mapper::Mapper;

/// One thing that came of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A document: one JSON object, UTF-8, one line without its end.
    Document {
        /// The object.
        json: &'a [u8],
        /// Its `@timestamp`, UNIX milliseconds.
        timestamp_ms: i64,
    },
    /// Something that became none.
    Refused {
        /// What and why.
        refusal: &'a Refusal,
        /// As a document, where the settings ask for one.
        json: Option<&'a [u8]>,
        /// When it was refused, UNIX milliseconds.
        timestamp_ms: i64,
    },
}

impl<'a> Answer<'a> {
    /// What of it goes out as JSON, and its time in UNIX milliseconds; `None` for a refusal
    /// that is no document.
    pub fn json(self) -> Option<(&'a [u8], i64)> {
        match self {
            Self::Document { json, timestamp_ms } => Some((json, timestamp_ms)),
            Self::Refused {
                json, timestamp_ms, ..
            } => json.map(|json| (json, timestamp_ms)),
        }
    }
}

/// A record, an attribute or a part of a record that did not become a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// `malformed`, `unsupported`, `invalid`, `too-large`, `settings`, `lost` or `other`.
    pub kind: &'static str,
    /// One sentence.
    pub text: String,
    /// MISP's event uuid, if the event is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// MISP's attribute uuid, if it is about one attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The first bytes of what was refused, without private values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The record that it is a part of.
    #[serde(flatten)]
    pub record: Option<Part>,
    /// The attributes that are missing because of it.
    #[serde(skip_serializing_if = "Missing::is_none")]
    pub missing: Missing,
}

/// A part of a record: the same record gives the same parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The SHA-1 of the record's bytes, hexadecimal.
    pub hash: String,
    /// Which of the record's refusals it is, from 0.
    #[serde(skip)]
    pub number: u64,
}

/// Attributes without a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// How many.
    pub count: u64,
    /// Their uuids, of those that have one.
    pub attributes: Vec<String>,
}

impl Missing {
    fn is_none(&self) -> bool {
        self.count == 0
    }
}

/// Characters of a refused record that are shown.
const SHOWN: usize = 200;

/// The first bytes of a record or of a part of it, without private values. What nests deeper than
/// `depth` is not parsed: the stack may be small.
pub(crate) fn start(bytes: &[u8], depth: u32) -> String {
    let is_private = |kind: &str| Private::ALL.covers(kind);
    let text = match crate::field::depth(bytes, depth) > depth {
        true => redaction::shown_unread(bytes, &is_private),
        false => redaction::shown(bytes, &is_private),
    };
    text.chars().take(SHOWN).collect()
}

impl Refusal {
    /// One that is about no attribute.
    pub fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            event: None,
            attribute: None,
            start: None,
            record: None,
            missing: Missing::default(),
        }
    }

    /// The same as the only refusal of this record.
    #[must_use]
    pub fn of(mut self, record: &[u8]) -> Self {
        self.start = Some(start(record, Limits::FILTER.depth));
        self.of_bytes(record)
    }

    /// The same of a record that is not looked into: only its hash is shown.
    #[must_use]
    pub fn of_bytes(mut self, record: &[u8]) -> Self {
        self.record = Some(Part {
            hash: id::sha1_hex(record),
            number: 0,
        });
        self
    }

    /// An id of its own: the same for the same part of the same record.
    fn id(&self, now_ms: i64) -> String {
        match &self.record {
            Some(part) => id::sha1_base64url(&[&part.hash, &part.number.to_string()]),
            None => id::sha1_base64url(&[self.kind, &self.text, &now_ms.to_string()]),
        }
    }

    /// The document that stands for it: `event.kind: pipeline_error`, ECS's value for this.
    pub fn document(&self, now_ms: i64) -> Vec<u8> {
        let document = ErrorDocument {
            timestamp: mapping::time::iso(now_ms),
            ecs: Version { version: "9.4.0" },
            error: ErrorFields {
                message: &self.text,
                kind: self.kind,
            },
            event: EventFields {
                kind: "pipeline_error",
                hash: self.record.as_ref().map(|part| part.hash.as_str()),
                original: self.start.as_deref(),
            },
            misp_ecs: Refused {
                id: &self.id(now_ms),
                operation: "refused",
                event: self.event.as_deref(),
                attribute: self.attribute.as_deref(),
                missing: &self.missing,
            },
        };
        // Strings into memory: there is nothing that can fail.
        serde_json::to_vec(&document).unwrap_or_else(|_| b"{}".to_vec())
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let (kind, text) = match rejection {
            Rejection::Malformed(text) => ("malformed", text),
            Rejection::Unsupported(text) => ("unsupported", text),
            Rejection::Invalid(text) => ("invalid", text),
            Rejection::Other(text) => ("other", text),
        };
        Self::new(kind, text)
    }
}

impl From<&SplitError> for Refusal {
    fn from(error: &SplitError) -> Self {
        let kind = match error {
            SplitError::Malformed { .. } | SplitError::Part { .. } => "malformed",
            SplitError::TooMany { .. } => "too-large",
            SplitError::NotARecord { .. } => "unsupported",
            SplitError::Io { .. } => "other",
        };
        let mut refusal = Self::new(kind, error.to_string());
        refusal.event = error
            .event()
            .filter(|uuid| is_uuid(uuid))
            .map(str::to_owned);
        refusal
    }
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: String,
    ecs: Version,
    error: ErrorFields<'a>,
    event: EventFields<'a>,
    misp_ecs: Refused<'a>,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
struct EventFields<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<&'a str>,
}

#[derive(Serialize)]
struct Refused<'a> {
    id: &'a str,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute: Option<&'a str>,
    #[serde(skip_serializing_if = "Missing::is_none")]
    missing: &'a Missing,
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    operation: &'static str,
    mapping: &'a str,
}

#[derive(Serialize)]
struct Tombstone<'a> {
    id: &'a str,
    operation: &'static str,
}

/// A document as it goes out, in `line`; false: it does not go out.
pub(crate) fn write(line: &mut Vec<u8>, document: &Document, mapper: &Mapper) -> bool {
    line.clear();
    let id = document.id.as_str();
    match document.operation {
        Operation::Delete if !mapper.deletes => return false,
        Operation::Delete => {
            line.push(b'{');
            let operation = "delete";
            append(line, &Tombstone { id, operation });
        }
        Operation::Put if !mapper.envelope => {
            line.extend_from_slice(&document.body);
            return true;
        }
        Operation::Put => {
            let body = document.body.as_slice();
            line.extend_from_slice(body.strip_suffix(b"}").unwrap_or(body));
            if line.len() > 1 {
                line.push(b',');
            }
            let (operation, mapping) = ("put", mapper.identity.as_str());
            append(
                line,
                &Envelope {
                    id,
                    operation,
                    mapping,
                },
            );
        }
    }
    line.push(b'}');
    true
}

fn append(line: &mut Vec<u8>, envelope: &impl Serialize) {
    line.extend_from_slice(br#""misp_ecs":"#);
    // Strings into memory: there is nothing that can fail.
    let _infallible = serde_json::to_writer(line, envelope);
}
