//! The contract of `wit/mapping.wit` as plain Rust: what a mapping implements.
//! The component shells translate between these types and the generated ones.

/// Whether a field is defined by the Elastic Common Schema or by this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldOrigin {
    /// Defined by ECS.
    Ecs,
    /// Ours.
    Custom,
}

/// One field that a mapping can write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The dotted name.
    pub name: String,
    /// The Elasticsearch type.
    pub data_type: String,
    /// Who defines it.
    pub origin: FieldOrigin,
    /// One line: where the value comes from.
    pub source: String,
}

/// What a mapping says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its name, such as `ecs-1.12`.
    pub name: String,
    /// The version of its output.
    pub version: String,
    /// The ECS version it writes.
    pub ecs_version: String,
    /// A JSON Schema of its settings.
    pub settings_schema: String,
    /// Every field it can write.
    pub fields: Vec<Field>,
    /// Key and value pairs for what later versions need to say.
    pub extra: Vec<(String, String)>,
}

/// Why settings were not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsError {
    /// Not a JSON object.
    Malformed(String),
    /// A key that does not exist.
    UnknownKey(String),
    /// A value that cannot be.
    Invalid(String),
}

/// Where the records come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The instance's name.
    pub name: String,
    /// Its base URL, without a trailing slash.
    pub url: Option<String>,
    /// A JSON object to merge into each document once; empty for none.
    pub static_fields: Vec<u8>,
}

/// What the receiver does with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Store it.
    Put,
    /// Remove it.
    Delete,
}

/// The kind of a [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// The attribute's type has no indicator type in this mapping.
    UnmappedType,
    /// A value did not fit its field.
    BadValue,
    /// A value was replaced because it is personal or secret.
    Redacted,
    /// Something was cut to a limit.
    Truncated,
    /// Anything else.
    Other,
}

/// Something to know of a document that was mapped all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What kind.
    pub kind: NoteKind,
    /// The field it is about.
    pub field: String,
    /// One sentence.
    pub text: String,
}

/// The Traffic Light Protocol; the greater is the stricter. TLP 1's white is clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tlp {
    /// `tlp:clear` and `tlp:white`.
    Clear,
    /// `tlp:green`
    Green,
    /// `tlp:amber`
    Amber,
    /// `tlp:amber+strict`
    AmberStrict,
    /// `tlp:red`
    Red,
}

/// What filters select by, as MISP has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// MISP's attribute type; `None` for the document of an event without attributes.
    pub attribute_type: Option<String>,
    /// MISP's category; `None` for the document of an event without attributes.
    pub category: Option<String>,
    /// `to_ids`
    pub to_ids: Option<bool>,
    /// The names of the attribute's tags, then of its event's; local tags too.
    pub tags: Vec<String>,
    /// The attribute's own marking, else the event's; the strictest of several.
    pub tlp: Option<Tlp>,
    /// The name of the organisation that created the event.
    pub organisation: Option<String>,
    /// Its uuid.
    pub organisation_uuid: Option<String>,
    /// 0 to 100; `None` if no tag states it.
    pub confidence: Option<u8>,
}

/// One document and what the host needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The same attribute has the same id for ever.
    pub id: String,
    /// MISP's attribute uuid; `None` for an event without attributes.
    pub attribute: Option<String>,
    /// MISP's attribute `timestamp`, UNIX seconds.
    pub attribute_timestamp: Option<i64>,
    /// Put or delete.
    pub operation: Operation,
    /// The dataset, where the mapping sets one.
    pub dataset: Option<String>,
    /// `@timestamp`, UNIX milliseconds.
    pub timestamp_ms: i64,
    /// The last change MISP knows of, UNIX milliseconds.
    pub modified_ms: i64,
    /// When the indicator stops being valid, UNIX milliseconds.
    pub expires_ms: Option<i64>,
    /// Which entry of [`Outcome::facts`] describes this document.
    pub facts: u32,
    /// Equal for two bodies that differ only in what moves by itself.
    pub fingerprint: u64,
    /// One JSON object, UTF-8, no newline.
    pub body: Vec<u8>,
    /// What to know of it.
    pub notes: Vec<Note>,
}

/// Why a record or an attribute was refused. Always permanent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// Not the JSON it should be.
    Malformed(String),
    /// Of a shape that the mapping does not take.
    Unsupported(String),
    /// A value makes a document impossible.
    Invalid(String),
    /// Anything else.
    Other(String),
}

/// One attribute that did not become a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The attribute's uuid, where it has one.
    pub attribute: Option<String>,
    /// Why.
    pub reason: Rejection,
}

/// How many attributes of one type became which type of indicator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// MISP's attribute type; empty for an event without attributes.
    pub attribute_type: String,
    /// `threat.indicator.type`, where there is one.
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
    /// The facts of the documents; documents with equal facts share an entry.
    pub facts: Vec<Facts>,
}

impl Outcome {
    /// Returns the facts of one of the documents; `None` if its index is wrong.
    pub fn facts_of(&self, document: &Document) -> Option<&Facts> {
        self.facts.get(usize::try_from(document.facts).ok()?)
    }
}

/// A mapping: output is a function of settings, origin, record and time, of nothing else.
pub trait Mapping: Sized {
    /// What it is and which fields it can write.
    fn describe() -> Description;

    /// A mapping with these settings (a JSON object; empty bytes mean `{}`).
    ///
    /// # Errors
    /// When a key is unknown or a value cannot be.
    fn new(settings: &[u8], origin: Origin) -> Result<Self, SettingsError>;

    /// The search flags of MISP that these settings need, a JSON object.
    fn request(&self) -> String;

    /// Maps one record.
    ///
    /// # Errors
    /// When the record as a whole is not something to map; one bad attribute is
    /// in [`Outcome::refused`] instead.
    fn transform(&self, record: &[u8], now_ms: i64) -> Result<Outcome, Rejection>;
}
