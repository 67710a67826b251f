//! What comes of a record, as JSON.

use mapping::{Document, Operation, Rejection};
use serde::Serialize;
use splitter::SplitError;

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
    /// `malformed`, `unsupported`, `invalid`, `too-large`, `settings` or `other`.
    pub kind: &'static str,
    /// One sentence.
    pub text: String,
    /// MISP's attribute uuid, if it is about one attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
}

impl Refusal {
    /// One that is about no attribute.
    pub fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            attribute: None,
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
            event: Kind {
                kind: "pipeline_error",
            },
            misp_ecs: Refused {
                operation: "refused",
                attribute: self.attribute.as_deref(),
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

impl From<SplitError> for Refusal {
    fn from(error: SplitError) -> Self {
        let kind = match error {
            SplitError::Malformed { .. } => "malformed",
            SplitError::NotARecord { .. } => "unsupported",
            SplitError::Io { .. } => "other",
        };
        Self::new(kind, error.to_string())
    }
}

#[derive(Serialize)]
struct ErrorDocument<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: String,
    ecs: Version,
    error: ErrorFields<'a>,
    event: Kind,
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
struct Kind {
    kind: &'static str,
}

#[derive(Serialize)]
struct Refused<'a> {
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute: Option<&'a str>,
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
