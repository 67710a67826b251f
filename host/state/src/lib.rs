//! The embedded store: cursors, the write version, and what went out.
//!
//! One folder, one host: `state.redb` is the database, `lock` says who has it. Tables
//! are in `tables/`, one a file; a change of their shape is a step in `schema.rs`.

mod attribute_key;
mod comparison;
mod error;
mod folder;
mod instances;
mod lock;
mod memory;
mod precedence;
mod private;
mod schema;
mod sorted;
mod store;
mod tables;
mod transaction;
mod versions;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

pub use error::{FolderError, StoreError};
pub use folder::state_folder;
pub use private::private_folder;
pub use store::Store;
pub use tables::cursors::InstanceState;
pub use tables::documents::KnownDocument;
pub use tables::export::{ExportedDocument, HeldCounts};
pub use tables::mappings::{MappingCount, Reprocess};
