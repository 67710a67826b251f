//! The mapping ecs-1.12: `misp.*` at the root, ECS 1.12.
//!
//! One document an attribute, in the layout of the first release of Elastic's MISP
//! integration, without what that one lost. [`Ecs112`] is the way in.

mod document;
mod event;
mod fields;
mod indicator;
mod members;
mod settings;
mod types;

use ecs_model::Template;
use mapping::fingerprint::Counting;
use mapping::privacy::Private;
use mapping::statics::StaticFields;
use mapping::{Description, Mapping, Origin, Outcome, Rejection, SettingsError};

use crate::settings::Options;

/// Fields of type `date` that hold seconds since the epoch; an index template has to
/// give them the format `epoch_second`.
const EPOCH_SECOND_FIELDS: &str = "misp.attribute.timestamp,misp.context.attribute.timestamp,\
     misp.publish_timestamp,misp.timestamp";

/// The search flags it needs: galaxies, reports and proposals have no field here.
const REQUEST: &str = r#"{"excludeGalaxy":1,"noEventReports":1,"noShadowAttributes":1}"#;

/// The mapping `ecs-1.12`.
#[derive(Debug, Clone)]
pub struct Ecs112 {
    options: Options,
    statics: StaticFields,
    template: Template,
    counting: Counting,
}

impl Ecs112 {
    /// The types whose values are redacted.
    fn private(&self) -> Private {
        Private {
            keep_personal: self.options.keep_personal,
        }
    }
}

impl Mapping for Ecs112 {
    fn describe() -> Description {
        let extra = [
            ("redact-types", Private::types()),
            ("epoch-second-fields", EPOCH_SECOND_FIELDS.to_owned()),
        ];
        Description {
            name: "ecs-1.12".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ecs_version: "1.12".to_owned(),
            settings_schema: settings::schema(),
            fields: mapping::fields(fields::CATALOGUE),
            extra: extra.map(|(key, value)| (key.to_owned(), value)).into(),
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
        Ok(Self {
            options,
            template: Template::new(fields::CATALOGUE, statics.leaves()),
            statics,
            counting: Self::counting(),
        })
    }

    fn request(&self) -> String {
        REQUEST.to_owned()
    }

    fn transform(&self, record: &[u8], now_ms: i64) -> Result<Outcome, Rejection> {
        mapping::record::map(&document::Documents(self), record, now_ms)
    }
}
