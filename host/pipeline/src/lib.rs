//! Moves records from a source through a mapping to outputs and never loses one.
//! Knows neither HTTP nor WebAssembly: those are behind the traits here.

mod attempts;
mod batch;
mod catch_up;
mod clock;
mod context;
mod crash;
mod error;
mod expiry;
mod health;
mod ledger;
mod letters;
mod memory;
mod options;
mod plan;
mod record;
mod remove;
mod retry;
mod run;
mod selection;
mod send;
mod sink;
mod slot;
mod stages;
mod sweep;
mod targets;
mod times;
mod traits;
mod wake;
mod withdraw;

pub use batch::BatchLimits;
pub use catch_up::catch_up_walk;
pub use clock::{ServerClock, now_ms};
pub use error::{Class, Classify, OutputError, RunError, SourceError, StateError, TransformError};
pub use health::{Failure, Health};
pub use ledger::{Counts, Ledger, Verdicts, is_mapped};
pub use memory::{
    Act, Changes, Difference, DifferenceCounts, DueCounts, Fate, Held, LetGo, NoDocument,
    OutputKey, Remembered, Standing, TargetChange, TargetIdentity,
};
pub use options::Options;
pub use plan::Resend;
pub use record::{
    Batch, Cursor, DeadLetter, Delivery, Document, EventSeen, Facts, ListedAttribute, ListedEvent,
    Mapped, MappingIdentity, Note, NoteKind, Operation, Outcome, Page, PageFacts, PublishedSince,
    Reason, RefusalKind, Refused, Tally, Tlp, UnreadEvent, Verdict, WaitingEvent, Whole,
};
pub use remove::Removal;
pub use retry::Backoff;
pub use run::Pipeline;
pub use selection::{Criteria, Selection, UnknownTlp};
pub use sink::Sink;
pub use slot::Slot;
pub use sweep::is_too_much;
pub use traits::{
    BeginWalk, Commit, Comparison, DeadLetters, Inventory, Listing, Output, Source, State,
    StoredDocument, Transform,
};
pub use wake::{Swept, Wake};

#[cfg(test)]
mod tests;
