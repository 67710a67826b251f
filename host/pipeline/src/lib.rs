//! Moves records from a source through a mapping to outputs and never loses one.
//! Knows neither HTTP nor WebAssembly: those are behind the traits here.

mod error;
mod record;
mod traits;

pub use error::{Class, Classify, OutputError, SourceError, StateError, TransformError};
pub use record::{
    Batch, Cursor, DeadLetter, Delivery, Document, Mapped, MappingIdentity, Note, NoteKind,
    Operation, Outcome, Page, PageFacts, Reason, RefusalKind, Refused, Tally, Verdict,
};
pub use traits::{Commit, DeadLetters, Output, Source, State, Transform};
