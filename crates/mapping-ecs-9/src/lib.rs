//! The mapping ecs-9: today's layout, ECS 9.4.
//!
//! One document an attribute: `misp.event.*`, `misp.attribute.*`, `misp.object.*`,
//! lists where ECS has lists, dates as ISO 8601 in UTC. [`Ecs9`] is the way in; its
//! README says how to add an attribute type.

mod context;
mod document;
mod event;
mod fields;
mod galaxies;
mod hash;
mod indicator;
mod members;
mod said;
mod settings;
mod types;
mod unique;
mod values;

use ecs_model::Template;
use mapping::privacy::Private;
use mapping::statics::StaticFields;
use mapping::{Description, Mapping, Origin, Outcome, Rejection, SettingsError};

use crate::event::Moving;
use crate::settings::Options;
use crate::types::TYPES;

/// The mapping `ecs-9`.
#[derive(Debug, Clone)]
pub struct Ecs9 {
    options: Options,
    statics: StaticFields,
    template: Template,
    /// The instance's name.
    feed: String,
    /// The instance's URL, without a slash at its end.
    url: Option<String>,
    /// What no fingerprint knows of.
    moving: Moving,
}

impl Ecs9 {
    /// The types whose values are redacted.
    fn private(&self) -> Private {
        Private {
            keep_personal: self.options.keep_personal,
        }
    }
}

/// Every attribute type that this mapping knows, sorted by name (byte order).
pub fn attribute_types() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|known| known.name)
}

impl Mapping for Ecs9 {
    fn describe() -> Description {
        Description {
            name: "ecs-9".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ecs_version: "9.4.0".to_owned(),
            settings_schema: settings::schema(),
            fields: mapping::fields(fields::CATALOGUE),
            extra: vec![("redact-types".to_owned(), Private::types())],
        }
    }

    fn new(settings: &[u8], origin: Origin) -> Result<Self, SettingsError> {
        let options = Options::read(settings)?;
        let own: Vec<&str> = fields::CATALOGUE
            .fields()
            .iter()
            .map(|field| field.name)
            .filter(|name| options.writes(name))
            .collect();
        let statics = StaticFields::read(&origin.static_fields, &own)?;
        let feed = Some(origin.name).filter(|name| !name.is_empty());
        Ok(Self {
            options,
            template: Template::new(fields::CATALOGUE, statics.leaves()),
            statics,
            feed: feed.unwrap_or_else(|| "MISP".to_owned()),
            url: origin.url.map(|url| url.trim_end_matches('/').to_owned()),
            moving: Moving::new(),
        })
    }

    fn request(&self) -> String {
        self.options.request()
    }

    fn transform(&self, record: &[u8], now_ms: i64) -> Result<Outcome, Rejection> {
        mapping::record::map(&document::Documents(self), record, now_ms)
    }
}
