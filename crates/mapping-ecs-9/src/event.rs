//! What all documents of one event share, made once an event.

use std::borrow::Cow;
use std::cell::OnceCell;

use ecs_model::{FieldId, Leaves, Prefilled, json};
use mapping::fingerprint::{Counting, Fingerprint};
use mapping::members::copy;
use mapping::problems::Problems;
use mapping::time;
use misp_model::{Json, Object};

use crate::context::Context;
use crate::fields::CATALOGUE;
use crate::galaxies::{self, Cluster};
use crate::settings::Clock;
use crate::{Ecs9, members};

pub(crate) const TIMESTAMP: FieldId = CATALOGUE.id("@timestamp");
const CREATED: FieldId = CATALOGUE.id("event.created");
const CATEGORY: FieldId = CATALOGUE.id("event.category");
const EMAIL: FieldId = CATALOGUE.id("user.email");
const EVENT_TYPE: FieldId = CATALOGUE.id("event.type");
const FEED: FieldId = CATALOGUE.id("threat.feed.name");
const ORGANIZATION: FieldId = CATALOGUE.id("organization.id");
const ORGC_NAME: FieldId = CATALOGUE.id("misp.orgc.name");
const ORG_NAME: FieldId = CATALOGUE.id("misp.org.name");
const PROVIDER: FieldId = CATALOGUE.id("threat.indicator.provider");
const ROLES: FieldId = CATALOGUE.id("user.roles");
const SCANNER_STATS: FieldId = CATALOGUE.id("threat.indicator.scanner_stats");
const SEVERITY: FieldId = CATALOGUE.id("event.severity");
const VERSION: FieldId = CATALOGUE.id("ecs.version");

/// How much of a value and of a title `message` repeats, in characters.
pub(crate) const SHOWN: usize = 200;

/// The event's own clocks and counters, and what moves by itself: left out of the
/// fingerprint. A decay score falls from hour to hour; whether it is decayed counts.
const MOVING: [FieldId; 9] = [
    TIMESTAMP,
    CREATED,
    CATALOGUE.id("event.original"),
    CATALOGUE.id("misp.attribute.decay_score.score"),
    CATALOGUE.id("misp.event.attribute_count"),
    CATALOGUE.id("misp.event.publish_timestamp"),
    CATALOGUE.id("misp.event.published"),
    CATALOGUE.id("misp.event.sighting_timestamp"),
    CATALOGUE.id("misp.event.timestamp"),
];

/// The part of a document that does not change from attribute to attribute.
pub(crate) struct Shared {
    /// Its values.
    pub(crate) prefilled: Prefilled<'static>,
    /// Their fingerprint.
    pub(crate) fingerprint: Fingerprint,
}

impl Shared {
    fn new(mapper: &Ecs9, known: Leaves<'static>) -> Self {
        let mut fingerprint = Fingerprint::default();
        fingerprint.statics(&mapper.statics);
        mapper.moving.add_others_to(&mut fingerprint, &known, false);
        Self {
            prefilled: Prefilled::new(known),
            fingerprint,
        }
    }
}

/// An event, prepared for its attributes.
pub(crate) struct Head {
    /// For attributes without tags of their own.
    pub(crate) shared: Shared,
    /// The event's values without what its tags say, for the other attributes.
    plain: Leaves<'static>,
    bare: OnceCell<Shared>,
    /// What its tags and galaxies say.
    pub(crate) context: Context,
    /// Its galaxies, which tags of attributes may name too.
    pub(crate) clusters: Vec<Cluster>,
    /// What did not fit.
    pub(crate) problems: Problems,
    /// Its uuid.
    pub(crate) uuid: String,
    /// Its title as JSON text, if it has one.
    pub(crate) info: Option<Vec<u8>>,
    /// Who says so, and in which event: the end of the line that a person reads, within a JSON
    /// string.
    pub(crate) origin: Vec<u8>,
    /// Its page on its instance, as JSON text.
    pub(crate) page: Option<Vec<u8>>,
    /// `timestamp`, UNIX milliseconds.
    pub(crate) timestamp_ms: Option<i64>,
    /// `publish_timestamp`, UNIX milliseconds; `None` if it never was.
    pub(crate) published_ms: Option<i64>,
    /// `date`, UNIX milliseconds.
    pub(crate) day_ms: Option<i64>,
}

impl Head {
    /// Prepares an event; `tags` are the names of its tags.
    pub(crate) fn new(mapper: &Ecs9, event: &Object<'_>, tags: &[String], now_ms: i64) -> Self {
        let text = |key| event.some(key).and_then(Json::text);
        let time = |key| event.some(key).and_then(time::unix_ms);
        let mut problems = Problems::default();
        let mut plain = Leaves::new(CATALOGUE);
        plain.string(VERSION, "9.4.0");
        plain.set(CATEGORY, |out| json::strings(out, ["threat"]));
        plain.set(EVENT_TYPE, |out| json::strings(out, ["indicator"]));
        plain.string(FEED, &mapper.feed);
        copy(members::EVENT, event, &mut plain, &mut problems);
        let provider = organisations(event, &mut plain, &mut problems);
        plain.string(PROVIDER, &provider);
        if let Some(id) = text("org_id") {
            plain.string(ORGANIZATION, &id);
        }
        if let Some(level @ 1..=3) = event.some("threat_level_id").and_then(Json::integer) {
            plain.integer(SEVERITY, 5 - level);
        }
        options(mapper, event, &mut plain, &mut problems, now_ms);

        let clusters = galaxies::clusters(event, mapper.options.local_tags);
        let context = Context::new(tags, &clusters).with(&clusters);
        let plain = plain.to_owned(CATALOGUE);
        let mut known = plain.clone();
        context.write(mapper.more_tags(), &mut known);
        let page = mapper.url.as_ref().zip(text("id"));
        let info: String = text("info").unwrap_or_default().into();
        Self {
            shared: Shared::new(mapper, known),
            plain,
            bare: OnceCell::new(),
            context,
            clusters,
            problems,
            uuid: text("uuid").unwrap_or_default().into(),
            origin: origin(&provider, &info),
            info: (!info.is_empty()).then(|| string(&info)),
            page: page.map(|(url, id)| string(&format!("{url}/events/view/{id}"))),
            timestamp_ms: time("timestamp"),
            published_ms: time("publish_timestamp").filter(|ms| *ms > 0),
            day_ms: time("date"),
        }
    }

    /// For attributes with tags of their own.
    pub(crate) fn bare(&self, mapper: &Ecs9) -> &Shared {
        self.bare
            .get_or_init(|| Shared::new(mapper, self.plain.clone()))
    }
}

fn string(text: &str) -> Vec<u8> {
    let mut json = Vec::new();
    json::string(&mut json, text);
    json
}

fn origin(provider: &str, info: &str) -> Vec<u8> {
    let provider = one_line(provider);
    let text = if info.is_empty() {
        format!(" ({provider})")
    } else {
        format!(" ({provider}: {})", one_line(info))
    };
    let mut escaped = Vec::new();
    json::escaped(&mut escaped, text.as_bytes());
    escaped
}

/// At most [`SHOWN`] characters, without line ends.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    let is_end = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.len() <= SHOWN && !text.contains(is_end) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().take(SHOWN);
    let mut line: String = shown.map(|c| if is_end(c) { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    Cow::Owned(line)
}

/// The fields that are left out of the fingerprint.
#[derive(Debug, Clone)]
pub(crate) struct Moving {
    all: Counting,
    all_but_timestamp: Counting,
}

impl Moving {
    pub(crate) fn new() -> Self {
        let [_timestamp, others @ ..] = MOVING;
        Self {
            all: Counting::new(CATALOGUE, &MOVING),
            all_but_timestamp: Counting::new(CATALOGUE, &others),
        }
    }

    /// Adds the values of all other fields to a fingerprint; `@timestamp` only if it counts.
    pub(crate) fn add_others_to(
        &self,
        fingerprint: &mut Fingerprint,
        leaves: &Leaves<'_>,
        timestamp: bool,
    ) {
        let moving = if timestamp {
            &self.all_but_timestamp
        } else {
            &self.all
        };
        moving.add_to(fingerprint, leaves);
    }
}

/// Copies both organisations; returns the name of the one that made the event.
fn organisations<'a>(
    event: &Object<'a>,
    known: &mut Leaves<'a>,
    problems: &mut Problems,
) -> String {
    for (key, members, name) in [
        ("Orgc", members::ORGC, ORGC_NAME),
        ("Org", members::ORG, ORG_NAME),
    ] {
        match event.some(key) {
            Some(Json::Object(org)) => copy(members, org, known, problems),
            Some(other) if !other.is_empty() => problems.misfit(name, other, "an organisation"),
            _ => {}
        }
    }
    let maker = event.some("Orgc").and_then(Json::as_object);
    let name = maker.and_then(|maker| maker.some("name")?.text());
    let name = name.filter(|name| !name.is_empty());
    name.map_or_else(|| "misp".to_owned(), Into::into)
}

/// What the settings ask for.
fn options(
    mapper: &Ecs9,
    event: &Object<'_>,
    known: &mut Leaves<'_>,
    problems: &mut Problems,
    now_ms: i64,
) {
    let options = &mapper.options;
    if options.clock == Clock::Observed {
        known.string(TIMESTAMP, &time::iso(now_ms));
    }
    if options.created {
        known.string(CREATED, &time::iso(now_ms));
    }
    let email = event.some("event_creator_email").and_then(Json::text);
    if let Some(email) = email.filter(|_| options.creator_email) {
        known.string(EMAIL, &email);
        known.set(ROLES, |out| json::strings(out, ["reporting_user"]));
    }
    if let Some(analysis) = event.some("analysis").filter(|_| options.scanner_stats) {
        match analysis.integer() {
            Some(number) => known.integer(SCANNER_STATS, number),
            None => problems.misfit(SCANNER_STATS, analysis, "an integer"),
        }
    }
}

impl Ecs9 {
    /// The tags of the operator.
    pub(crate) fn more_tags(&self) -> impl Iterator<Item = &String> + Clone {
        self.options.tags.iter().chain(self.statics.tags())
    }
}
