//! ECS documents: the catalogue of the fields a mapping can write ([`Catalogue`]),
//! a writer that can write no other field ([`Leaves`], [`Template`]), and a check of
//! finished documents ([`check`]).

mod catalogue;
pub mod check;
pub mod date;
mod field_set;
pub mod json;
mod leaves;
mod template;
pub mod words;

pub use catalogue::{Catalogue, DataType, FieldId, FieldSpec, Origin};
pub use field_set::FieldSet;
pub use leaves::Leaves;
pub use template::{Prefilled, StaticLeaf, Template};
