//! Moves records from a source through a mapping to outputs and never loses one.
//! Knows neither HTTP nor WebAssembly: those are behind the traits here.

mod batch;
mod error;
mod ledger;
mod letters;
mod record;
mod retry;
mod run;
mod stages;
mod traits;

pub use batch::BatchLimits;
pub use error::{Class, Classify, OutputError, SourceError, StateError, TransformError};
pub use ledger::{Counts, Health, Ledger, Verdicts, is_mapped};
pub use record::{
    Batch, Cursor, DeadLetter, Delivery, Document, Mapped, MappingIdentity, Note, NoteKind,
    Operation, Outcome, Page, PageFacts, Reason, RefusalKind, Refused, Tally, Verdict,
};
pub use retry::Backoff;
pub use run::{Options, Pipeline, RunError};
pub use stages::now_ms;
pub use traits::{Commit, DeadLetters, Output, Source, State, Transform};

#[cfg(test)]
mod tests;
