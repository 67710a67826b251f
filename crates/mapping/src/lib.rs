//! What every MISP-to-ECS mapping shares: the contract ([`Mapping`]), and the steps
//! that no layout changes.

pub mod compact;
pub mod confidence;
mod contract;
mod facts;
pub mod fingerprint;
pub mod id;
pub mod members;
pub mod original;
pub mod privacy;
pub mod problems;
pub mod record;
pub mod settings;
pub mod statics;
pub mod tags;
mod tally;
pub mod time;
pub mod url;
pub mod value;

pub use contract::{
    Description, Document, Facts, Field, FieldOrigin, Mapping, Note, NoteKind, Operation, Origin,
    Outcome, Refused, Rejection, SettingsError, Tally, Tlp,
};
pub use misp_model::prefix;
pub use misp_model::redaction::REDACTED;
pub use tally::Tallies;

/// A catalogue as the contract describes it.
pub fn fields(catalogue: ecs_model::Catalogue) -> Vec<Field> {
    let field = |spec: &ecs_model::FieldSpec| Field {
        name: spec.name.to_owned(),
        data_type: spec.data_type.name().to_owned(),
        origin: match spec.origin {
            ecs_model::Origin::Ecs => FieldOrigin::Ecs,
            ecs_model::Origin::Custom => FieldOrigin::Custom,
        },
        source: spec.source.to_owned(),
    };
    catalogue.fields().iter().map(field).collect()
}
