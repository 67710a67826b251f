//! The four sides of the pipeline. What implements them knows HTTP, wasm, files
//! or a database; the pipeline does not.

use async_trait::async_trait;

use crate::error::{OutputError, SourceError, StateError, TransformError};
use crate::record::{
    Batch, Cursor, DeadLetter, Delivery, ListedAttribute, ListedEvent, Mapped, MappingIdentity, Page,
    Verdict,
};

/// Where records come from. One walk at a time; never called twice at once.
#[async_trait]
pub trait Source: Send {
    /// The next page of the walk, or `None` when the walk has reached its end;
    /// the call after `None` starts the next walk where this one ended.
    ///
    /// # Errors
    /// Whatever kept the page from coming. The next call asks for the same page.
    async fn next_page(&mut self) -> Result<Option<Page>, SourceError>;

    /// These events as they are now, whatever the place of the walk and its lower bound of
    /// time, but under the same filters: pages without a cursor, a call each, until all are
    /// read; `events` loses what was read. An event that is gone, or that no filter matches,
    /// is in no page and not in `events` either.
    ///
    /// # Errors
    /// Whatever kept the page from coming. The next call asks for the same.
    async fn named_page(&mut self, events: &mut Vec<String>) -> Result<Option<Page>, SourceError>;

    /// What is there now, for a sweep or an audit; `None` if this source cannot say.
    fn listing(&self) -> Option<Box<dyn Listing>>;
}

/// Lists what a source holds now, without reading it.
#[async_trait]
pub trait Listing: Send {
    /// The next attributes that the filters match now, each once over all calls; `None` at
    /// the end. Events without attributes are no part of it.
    ///
    /// # Errors
    /// Whatever kept them from coming; the next call asks for the same.
    async fn attributes(&mut self) -> Result<Option<Vec<ListedAttribute>>, SourceError>;

    /// The next events that may be seen at all, published or not; `None` at the end.
    ///
    /// # Errors
    /// Whatever kept them from coming; the next call asks for the same.
    async fn events(&mut self) -> Result<Option<Vec<ListedEvent>>, SourceError>;
}

/// What turns records into documents.
#[async_trait]
pub trait Transform: Send + Sync {
    /// The mapping that runs now.
    fn identity(&self) -> MappingIdentity;

    /// One result a record, in order. A record that faults costs itself only.
    ///
    /// # Errors
    /// When no record could be mapped at all: the mapping does not load or every
    /// record faults. Nothing of the batch may then count as done.
    async fn transform(&self, batch: Batch) -> Result<Vec<Mapped>, TransformError>;
}

/// Where documents go.
#[async_trait]
pub trait Output: Send + Sync {
    /// The name in the configuration, for reports.
    fn name(&self) -> &str;

    /// Takes a batch and returns when each delivery has its verdict: one a
    /// delivery, in order. `Stored` means that it survives this process.
    ///
    /// # Errors
    /// When the batch as a whole was not taken; the same batch may come again.
    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError>;

    /// Can documents be written here now? Writes none.
    ///
    /// # Errors
    /// What is in the way.
    async fn check(&self) -> Result<(), OutputError>;
}

/// Where refused input is kept.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Keeps the letters; returns when they survive this process.
    ///
    /// # Errors
    /// When they could not be written: the page then may not count as done.
    async fn write(&self, letters: &[DeadLetter]) -> Result<(), OutputError>;
}

/// What is committed when every record of a page is acknowledged: one transaction.
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    /// The instance's name.
    pub instance: &'a str,
    /// Where its source continues.
    pub cursor: &'a Cursor,
    /// The page's write version.
    pub version: u64,
}

/// What survives the process.
pub trait State: Send + Sync {
    /// The cursor of an instance; `None` before its first commit.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn cursor(&self, instance: &str) -> Result<Option<Cursor>, StateError>;

    /// The write version for a page fetched at this time: greater than any before.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    fn next_version(&self, fetched_ms: i64) -> Result<u64, StateError>;

    /// Stores the commit, durably.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn commit(&self, commit: &Commit<'_>) -> Result<(), StateError>;
}
