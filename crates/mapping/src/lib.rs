//! What every MISP-to-ECS mapping shares.

mod contract;

pub use contract::{
    Description, Document, Field, FieldOrigin, Mapping, Note, NoteKind, Operation, Origin, Outcome,
    Refused, Rejection, SettingsError, Tally,
};
