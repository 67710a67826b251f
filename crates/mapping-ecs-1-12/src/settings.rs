//! The settings of this mapping.

use mapping::SettingsError;
use mapping::settings::{Kind, Setting, Settings};

const PRESERVE: Setting = Setting {
    name: "preserve_original_event",
    kind: Kind::Flag(true),
    about: "Keep the event with only this attribute, as JSON text, in event.original.",
};
const ONLY_TO_IDS: Setting = Setting {
    name: "only_to_ids",
    kind: Kind::Flag(false),
    about: "Withdraw attributes that are not meant for detection (to_ids false).",
};
const EXPIRATION: Setting = Setting {
    name: "ioc_expiration_duration",
    kind: Kind::Duration,
    about: "How long an indicator is valid after it was last changed or last seen, such as 90d.",
};
const KEEP_PERSONAL: Setting = Setting {
    name: "keep_personal",
    kind: Kind::Flag(false),
    about: "Write the values of personal types (names, passports, bank accounts, cookies) instead of [redacted]. Private keys are redacted always.",
};
const KEEP_ORG: Setting = Setting {
    name: "keep_org",
    kind: Kind::Flag(false),
    about: "Write the organisation that owns the event on this instance to misp.org.",
};
const KEEP_TIMESTAMP: Setting = Setting {
    name: "keep_timestamp",
    kind: Kind::Flag(false),
    about: "Write the event's timestamp to misp.timestamp too.",
};
const CREATED: Setting = Setting {
    name: "event_created",
    kind: Kind::Flag(false),
    about: "Write the time of mapping to event.created.",
};
const INGESTED: Setting = Setting {
    name: "event_ingested",
    kind: Kind::Flag(false),
    about: "Write the time of mapping to event.ingested.",
};
const TAGS: Setting = Setting {
    name: "tags",
    kind: Kind::Texts,
    about: "Tags to add to every document after the event's own.",
};

const KNOWN: [Setting; 9] = [
    PRESERVE,
    ONLY_TO_IDS,
    EXPIRATION,
    KEEP_PERSONAL,
    KEEP_ORG,
    KEEP_TIMESTAMP,
    CREATED,
    INGESTED,
    TAGS,
];

/// The settings, read.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) preserve_original: bool,
    pub(crate) only_to_ids: bool,
    pub(crate) expiration_ms: Option<i64>,
    pub(crate) keep_personal: bool,
    pub(crate) keep_org: bool,
    pub(crate) keep_timestamp: bool,
    pub(crate) created: bool,
    pub(crate) ingested: bool,
    pub(crate) tags: Vec<String>,
}

impl Options {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, SettingsError> {
        let settings = Settings::read(bytes, &KNOWN)?;
        Ok(Self {
            preserve_original: settings.flag(&PRESERVE),
            only_to_ids: settings.flag(&ONLY_TO_IDS),
            expiration_ms: settings.duration_ms(&EXPIRATION),
            keep_personal: settings.flag(&KEEP_PERSONAL),
            keep_org: settings.flag(&KEEP_ORG),
            keep_timestamp: settings.flag(&KEEP_TIMESTAMP),
            created: settings.flag(&CREATED),
            ingested: settings.flag(&INGESTED),
            tags: settings.texts(&TAGS),
        })
    }

    /// Can a document with these settings hold the field?
    pub(crate) fn writes(&self, field: &str) -> bool {
        match field {
            "event.original" => self.preserve_original,
            "event.created" => self.created,
            "event.ingested" => self.ingested,
            "misp.timestamp" => self.keep_timestamp,
            field if field.starts_with("misp.org.") => self.keep_org,
            _ => true,
        }
    }
}

/// A JSON Schema of the settings.
pub(crate) fn schema() -> String {
    mapping::settings::schema(&KNOWN)
}
