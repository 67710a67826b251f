//! What the adapters to other engines share.
//!
//! [`Adapter`] takes a record and gives one [`Answer`] after another: documents, each
//! complete and one line, and what was refused. It never panics and bounds its memory
//! and its work whatever the record is, because most engines keep an instance for life
//! and none of them watches it.

mod adapter;
mod answer;
mod field;
mod limits;
mod mapper;

pub use adapter::Adapter;
pub use answer::{Answer, Missing, Part, Refusal};
pub use field::SETTINGS_FIELD;
pub use limits::Limits;
pub use mapper::Layout;
