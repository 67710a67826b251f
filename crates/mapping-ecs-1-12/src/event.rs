//! What all documents of one event share, made once an event.

use ecs_model::{FieldId, Leaves, Prefilled, json};
use mapping::fingerprint::{Counting, Fingerprint};
use mapping::members::copy;
use mapping::problems::Problems;
use mapping::{tags, time};
use misp_model::{Json, Object};

use crate::Ecs112;
use crate::fields::CATALOGUE;
use crate::members;

pub(crate) const TIMESTAMP: FieldId = CATALOGUE.id("@timestamp");
const CREATED: FieldId = CATALOGUE.id("event.created");
const INGESTED: FieldId = CATALOGUE.id("event.ingested");
const TAGS: FieldId = CATALOGUE.id("tags");
const TLP: FieldId = CATALOGUE.id("threat.indicator.marking.tlp");
const SCANNER_STATS: FieldId = CATALOGUE.id("threat.indicator.scanner_stats");
const EMAIL: FieldId = CATALOGUE.id("user.email");
const ROLES: FieldId = CATALOGUE.id("user.roles");
const ORGC_NAME: FieldId = CATALOGUE.id("misp.orgc.name");
const ORG_NAME: FieldId = CATALOGUE.id("misp.org.name");

const CONSTANTS: [(FieldId, &str); 6] = [
    (CATALOGUE.id("ecs.version"), "1.12"),
    (CATALOGUE.id("event.category"), "threat"),
    (CATALOGUE.id("event.kind"), "enrichment"),
    (CATALOGUE.id("event.type"), "indicator"),
    (CATALOGUE.id("threat.feed.name"), "MISP"),
    (CATALOGUE.id("threat.indicator.provider"), "misp"),
];

/// The event's own clocks and counters, and what moves by itself: left out of the
/// fingerprint.
const MOVING: [FieldId; 8] = [
    TIMESTAMP,
    CREATED,
    INGESTED,
    CATALOGUE.id("event.original"),
    CATALOGUE.id("misp.attribute_count"),
    CATALOGUE.id("misp.publish_timestamp"),
    CATALOGUE.id("misp.published"),
    CATALOGUE.id("misp.timestamp"),
];

/// An event, prepared for its attributes.
pub(crate) struct EventParts {
    /// The event's values.
    pub(crate) prefilled: Prefilled<'static>,
    /// The fingerprint of the event's values.
    pub(crate) fingerprint: Fingerprint,
    /// What did not fit.
    pub(crate) problems: Problems,
    /// The event's uuid.
    pub(crate) uuid: Option<String>,
    /// `timestamp`, UNIX milliseconds.
    pub(crate) timestamp_ms: Option<i64>,
    /// `publish_timestamp`, UNIX milliseconds.
    pub(crate) published_ms: Option<i64>,
    /// `date`, UNIX milliseconds.
    pub(crate) day_ms: Option<i64>,
}

impl EventParts {
    /// Prepares an event; `names` are those of its tags.
    pub(crate) fn new(mapper: &Ecs112, event: &Object<'_>, names: &[String], now_ms: i64) -> Self {
        let time = |key| event.some(key).and_then(time::unix_ms);
        let mut known = Leaves::new(CATALOGUE);
        let mut problems = Problems::default();
        for (field, text) in CONSTANTS {
            known.string(field, text);
        }
        let timestamp_ms = time("timestamp");
        match (timestamp_ms, event.some("timestamp")) {
            (Some(ms), _) => known.string(TIMESTAMP, &time::iso(ms)),
            (None, Some(bad)) => problems.misfit(TIMESTAMP, bad, "a time"),
            (None, None) => {}
        }
        copy(members::EVENT, event, &mut known, &mut problems);
        mapper.options_members(event, &mut known, &mut problems, now_ms);
        if let Some(analysis) = event.some("analysis") {
            match analysis.integer() {
                Some(number) => known.integer(SCANNER_STATS, number),
                None => problems.misfit(SCANNER_STATS, analysis, "an integer"),
            }
        }
        if let Some(email) = event.some("event_creator_email").and_then(Json::text) {
            known.string(EMAIL, &email);
            known.set(ROLES, |out| json::strings(out, ["reporting_user"]));
        }
        if !names.is_empty() {
            known.set(TLP, |out| json::strings(out, tags::tlp(names)));
        }
        let all_tags = || {
            names
                .iter()
                .chain(&mapper.options.tags)
                .chain(mapper.statics.tags())
        };
        if all_tags().next().is_some() {
            known.set(TAGS, |out| json::strings(out, all_tags()));
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.statics(&mapper.statics);
        mapper.counting.add_to(&mut fingerprint, &known);
        Self {
            prefilled: Prefilled::new(known.to_owned(CATALOGUE)),
            fingerprint,
            problems,
            uuid: event.some("uuid").and_then(Json::text).map(Into::into),
            timestamp_ms,
            published_ms: time("publish_timestamp"),
            day_ms: time("date"),
        }
    }
}

impl Ecs112 {
    /// The fields that are not left out of the fingerprint.
    pub(crate) fn counting() -> Counting {
        Counting::new(CATALOGUE, &MOVING)
    }

    /// The organisations, and what the settings ask for.
    fn options_members<'a>(
        &self,
        event: &Object<'a>,
        known: &mut Leaves<'a>,
        problems: &mut Problems,
        now_ms: i64,
    ) {
        let mut organisation = |key, members, name| match event.some(key) {
            Some(Json::Object(org)) => copy(members, org, known, problems),
            Some(other) if !other.is_empty() => problems.misfit(name, other, "an organisation"),
            _ => {}
        };
        organisation("Orgc", members::ORGC, ORGC_NAME);
        if self.options.keep_org {
            organisation("Org", members::ORG, ORG_NAME);
        }
        if self.options.keep_timestamp {
            copy(members::EVENT_TIMESTAMP, event, known, problems);
        }
        for (on, field) in [
            (self.options.created, CREATED),
            (self.options.ingested, INGESTED),
        ] {
            if on {
                known.string(field, &time::iso(now_ms));
            }
        }
    }
}
