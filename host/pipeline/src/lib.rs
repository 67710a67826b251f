//! Moves records from a source through a mapping to outputs and never loses one.
//! Knows neither HTTP nor WebAssembly: those are behind the traits here.

mod attempts;
mod batch;
mod clock;
mod error;
mod ledger;
mod letters;
mod options;
mod record;
mod retry;
mod run;
mod stages;
mod traits;

pub use batch::BatchLimits;
pub use clock::now_ms;
pub use error::{Class, Classify, OutputError, RunError, SourceError, StateError, TransformError};
pub use ledger::{Counts, Health, Ledger, Verdicts, is_mapped};
pub use options::Options;
pub use record::{
    Batch, Cursor, DeadLetter, Delivery, Document, EventSeen, ListedAttribute, ListedEvent, Mapped,
    MappingIdentity, Note, NoteKind, Operation, Outcome, Page, PageFacts, Reason, RefusalKind,
    Refused, Tally, Verdict, Whole,
};
pub use retry::Backoff;
pub use run::Pipeline;
pub use traits::{Commit, DeadLetters, Listing, Output, Source, State, Transform};

#[cfg(test)]
mod tests;
