//! What moves through the pipeline: pages of records in, deliveries out.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use splitter::{Record, Records};

/// Where a source continues. Opaque to the pipeline: the source that made it reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(pub String);

/// One answer of a source, not yet read: its records come one by one.
#[derive(Debug)]
pub struct Page {
    /// The records in the order of the answer.
    pub records: Records,
    /// Where to continue once every record of this page is acknowledged; `None` for a page
    /// that was asked for by name, which moves no walk.
    pub cursor: Option<Cursor>,
    /// Which events are whole once every record of this page is acknowledged.
    pub whole: Whole,
    /// When the answer arrived, UNIX milliseconds by the host's clock.
    pub fetched_ms: i64,
    /// What the source knows of the page.
    pub facts: PageFacts,
    /// Events that belong to the page and that the source could not give, although it answers
    /// otherwise. They go into the refetch queue.
    pub unread: Vec<UnreadEvent>,
}

/// An event that the source could not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadEvent {
    /// Its uuid.
    pub uuid: String,
    /// Why.
    pub error: String,
}

/// An event in the refetch queue that the source could not give so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingEvent {
    /// Its uuid.
    pub uuid: String,
    /// The last error.
    pub error: String,
    /// How often it was asked for in vain.
    pub attempts: u32,
    /// When it is asked for again, UNIX milliseconds.
    pub again_ms: i64,
}

/// When an event is whole: what it held before and does not hold now may then be withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    /// Each event with its last slice: the page holds whole events.
    Slices,
    /// These, and no other: the source has verified that it read all of them.
    Events(Vec<EventSeen>),
}

/// An event as it was when all of it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSeen {
    /// Its uuid.
    pub uuid: String,
    /// Its `publish_timestamp`, UNIX seconds; 0 if it was never published.
    pub publish_timestamp: i64,
}

/// An attribute that a source says is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAttribute {
    /// The attribute's uuid.
    pub uuid: String,
    /// The event's id, a number of this MISP's own.
    pub event_id: String,
    /// The attribute's `timestamp`, UNIX seconds.
    pub timestamp: i64,
}

/// Events that have been published since a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSince {
    /// UNIX seconds.
    pub seconds: i64,
    /// Their uuids.
    pub events: Vec<String>,
}

/// An event that a source says is there now, whether or not the filters match it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEvent {
    /// The event's id, a number of this MISP's own.
    pub id: String,
    /// The event's uuid.
    pub uuid: String,
    /// The event's `timestamp`, UNIX seconds.
    pub timestamp: i64,
    /// Is it published?
    pub published: bool,
}

/// Counts of one page, for the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageFacts {
    /// How many the source says match, over all pages (MISP: `X-Result-Count`).
    pub matched: Option<u64>,
    /// Events (or loose attributes) in this answer.
    pub items: u64,
    /// Items that were seen before at the same position and are left out.
    pub seen_before: u64,
    /// Bytes of the answer after decompression.
    pub bytes: u64,
}

/// Records that go through the mapping in one call.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The records, in order.
    pub records: Vec<Record>,
    /// `now` for the mapping, UNIX milliseconds.
    pub now_ms: i64,
}

/// What the receiver does with a document (`operation` in wit/mapping.wit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Store it, in place of what has the same id.
    Put,
    /// Remove what has this id.
    Delete,
}

/// The kind of a [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteKind {
    /// The attribute's type has no indicator type in this mapping.
    UnmappedType,
    /// A value did not fit its field; the field is left out and named in `error.message`.
    BadValue,
    /// A value was replaced because it is personal or secret.
    Redacted,
    /// Something was cut to a limit.
    Truncated,
    /// Anything else.
    Other,
}

/// Something to know of a document that was mapped all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What kind of thing.
    pub kind: NoteKind,
    /// The field it is about.
    pub field: String,
    /// One sentence.
    pub text: String,
}

/// The Traffic Light Protocol; the greater is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Tlp {
    /// No limit on sharing; TLP 1 calls it white.
    #[serde(rename = "clear")]
    Clear,
    /// Within the community.
    #[serde(rename = "green")]
    Green,
    /// Within the organisation and its clients.
    #[serde(rename = "amber")]
    Amber,
    /// Within the organisation.
    #[serde(rename = "amber+strict")]
    AmberStrict,
    /// For the named recipients only.
    #[serde(rename = "red")]
    Red,
}

/// What filters select by (`facts` in wit/mapping.wit).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// MISP's attribute type; `None` for the document of an event without attributes.
    pub attribute_type: Option<String>,
    /// MISP's category; `None` for the document of an event without attributes.
    pub category: Option<String>,
    /// `to_ids`
    pub to_ids: Option<bool>,
    /// The names of the attribute's tags and of its event's tags.
    pub tags: Vec<String>,
    /// The marking that applies.
    pub tlp: Option<Tlp>,
    /// The name of the organisation that created the event.
    pub organisation: Option<String>,
    /// Its uuid.
    pub organisation_uuid: Option<String>,
    /// 0 to 100, if known.
    pub confidence: Option<u8>,
}

/// One document of a mapping, with what the host needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The same attribute has the same id for ever.
    pub id: String,
    /// MISP's attribute uuid; `None` for the document of an event without attributes.
    pub attribute: Option<String>,
    /// MISP's attribute `timestamp`, UNIX seconds.
    pub attribute_timestamp: Option<i64>,
    /// Put or delete.
    pub operation: Operation,
    /// The dataset, if the mapping sets one.
    pub dataset: Option<String>,
    /// `@timestamp`, UNIX milliseconds.
    pub timestamp_ms: i64,
    /// The last change MISP knows of, UNIX milliseconds.
    pub modified_ms: i64,
    /// When the indicator stops being valid, UNIX milliseconds.
    pub expires_ms: Option<i64>,
    /// What filters select by; shared by the documents of a record that have the same.
    pub facts: Arc<Facts>,
    /// Equal for two bodies that differ only in what moves by itself.
    pub fingerprint: u64,
    /// One JSON object, UTF-8, no newline.
    pub body: Bytes,
    /// What to know of it.
    pub notes: Vec<Note>,
}

impl Document {
    /// What stands for a document that is to be deleted.
    #[must_use]
    pub fn tombstone(id: String, attribute: Option<String>, now_ms: i64) -> Self {
        Self {
            id,
            attribute,
            attribute_timestamp: None,
            operation: Operation::Delete,
            dataset: None,
            timestamp_ms: now_ms,
            modified_ms: now_ms,
            expires_ms: None,
            facts: Arc::default(),
            fingerprint: 0,
            body: Bytes::from_static(b"{}"),
            notes: Vec::new(),
        }
    }
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The input is not the JSON it should be.
    Malformed,
    /// The input is of a shape the mapping does not take.
    Unsupported,
    /// A value makes a document impossible.
    Invalid,
    /// The mapping's own reason.
    Other,
    /// The mapping trapped, ran out of time, memory or output, or answered wrongly.
    Fault,
    /// An output refused the document.
    Output,
}

/// A kind and one sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What kind of refusal.
    pub kind: RefusalKind,
    /// What happened, for a person.
    pub text: String,
}

/// One attribute that did not become a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The attribute's uuid, where the input has one.
    pub attribute: Option<String>,
    /// Why.
    pub reason: Reason,
}

/// How many attributes of one type became which type of indicator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// MISP's attribute type; empty for an event without attributes.
    pub attribute_type: String,
    /// `threat.indicator.type`; `None` if the document has none.
    pub indicator_type: Option<String>,
    /// How many.
    pub count: u32,
}

/// What became of one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The event's uuid; empty if the record has none.
    pub event: String,
    /// One document an attribute.
    pub documents: Vec<Document>,
    /// The attributes that became none.
    pub refused: Vec<Refused>,
    /// Counts by type.
    pub tallies: Vec<Tally>,
}

/// A record's outcome, or why the whole record was refused.
pub type Mapped = Result<Outcome, Reason>;

/// What identifies the mapping that made a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingIdentity {
    /// `description.name`, such as `ecs-1.12`.
    pub name: String,
    /// `description.version`.
    pub version: String,
    /// SHA-256 of the component's bytes, 64 hex digits.
    pub digest: String,
    /// Identifies the mapping settings and the static fields that the documents are made with;
    /// empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub settings: String,
}

/// A document on its way to an output.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The event's uuid; empty if there is none.
    pub event: Arc<str>,
    /// The host's write version: a higher one is newer. One a page.
    pub version: u64,
    /// The mapping that made the document; of a delete, the one under which the output has it. A
    /// swap may change it between deliveries.
    pub mapping: Arc<MappingIdentity>,
    /// Other mappings under which the output may have this id: what is there is to be deleted too.
    pub before: Vec<Arc<MappingIdentity>>,
    /// Greater with each change of what was sent under this id; that of the first document is its
    /// write version. The same again, after a crash or a refused answer, has the same number.
    pub revision: u64,
    /// The document.
    pub document: Document,
}

/// What an output did with one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored (or a delete is done).
    Stored,
    /// The same was there already.
    Duplicate,
    /// Something newer was there already.
    Stale,
    /// This output leaves such deliveries out by its settings (deletes, by default).
    Skipped,
    /// It was not sent: the output has it as it is, or must not have it and does not.
    Unchanged,
    /// The output will never take it.
    Rejected {
        /// What the receiver said.
        text: String,
    },
}

/// One thing that was refused, as it is written to the dead letters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When, UNIX milliseconds.
    pub time_ms: i64,
    /// The instance's name.
    pub instance: String,
    /// The event's uuid, where known.
    pub event: Option<String>,
    /// The attribute's uuid, where known.
    pub attribute: Option<String>,
    /// Why.
    pub reason: Reason,
    /// The mapping that was at work.
    pub mapping: MappingIdentity,
    /// The output that refused it, if it was one.
    pub output: Option<String>,
    /// What was refused, as text: the record as MISP sent it, or the document.
    pub input: String,
}
