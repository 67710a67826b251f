//! The four sides of the pipeline. What implements them knows HTTP, wasm, files
//! or a database; the pipeline does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::clock::ServerClock;
use crate::error::{OutputError, SourceError, StateError, TransformError};
use crate::memory::{
    Changes, Difference, DifferenceCounts, DueCounts, Held, OutputKey, Remembered, Standing,
    TargetChange, TargetIdentity,
};
use crate::record::{
    Batch, Cursor, DeadLetter, Delivery, EventSeen, ListedAttribute, ListedEvent, Mapped,
    MappingIdentity, Page, PublishedSince, UnreadEvent, Verdict, WaitingEvent,
};

/// Begins a walk: it goes on at the cursor, or begins at the beginning.
pub type BeginWalk =
    Box<dyn Fn(Option<&Cursor>) -> Result<Box<dyn Source>, SourceError> + Send + Sync>;

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

    /// Begins the next walk where the very first one began.
    fn restart(&mut self);

    /// Asks with these search flags from the next page on, under the user's own filters. A
    /// source that is no search has no use for them.
    fn set_search_flags(&mut self, _flags: &Map<String, Value>) {}

    /// The events that have been published since the last walk began, whether or not the filters
    /// match them, and since which second. `None` if the source cannot say, or if everything was
    /// read. The next call tells of later ones only.
    ///
    /// # Errors
    /// Whatever kept them from coming; the next call asks for the same and what came since.
    async fn published(&mut self) -> Result<Option<PublishedSince>, SourceError> {
        Ok(None)
    }

    /// The clock of the server, as its answers show it; `None` for a source that has no server.
    fn server_clock(&self) -> Option<ServerClock> {
        None
    }

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
    /// What it is.
    fn identity(&self) -> Arc<MappingIdentity>;

    /// The search flags of MISP that its input needs (`request` in wit/mapping.wit).
    fn search_flags(&self) -> &Map<String, Value>;

    /// MISP attribute types whose values may not be written to dead letters.
    fn private_types(&self) -> Arc<BTreeSet<String>>;

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

    /// Where the documents end up, such as a file's path, without secrets. What went out
    /// is remembered for it: another target has got nothing yet.
    fn target(&self) -> String;

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

    /// Makes the target ready for documents of this mapping and returns what it is now; `None`
    /// where a target cannot be replaced behind the host's back, or cannot be asked.
    ///
    /// # Errors
    /// What is in the way, such as missing templates.
    async fn prepare(&self, _mapping: &str) -> Result<Option<TargetIdentity>, OutputError> {
        Ok(None)
    }

    /// The hash of the bytes that this output stores of a put; `None` if its inventory lists no
    /// hashes.
    fn stored_hash(&self, _delivery: &Delivery) -> Option<u64> {
        None
    }

    /// What is there, for an audit; `None` if this output cannot say.
    fn inventory(&self) -> Option<Box<dyn Inventory + '_>> {
        None
    }

    /// What a person should know of what is there, a sentence each. Most know nothing.
    ///
    /// # Errors
    /// When it could not be asked.
    async fn advice(&self) -> Result<Vec<String>, OutputError> {
        Ok(Vec::new())
    }
}

/// A document that an output has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// Its id.
    pub id: String,
    /// The write version it was written with.
    pub version: u64,
    /// The name of the mapping under which it is there; `None` if the place tells none.
    pub mapping: Option<String>,
    /// The hash of its bytes, as [`Output::stored_hash`] gives it for what was delivered.
    pub hash: Option<u64>,
}

/// Lists what an output has, without reading it.
#[async_trait]
pub trait Inventory: Send {
    /// The next documents; `None` when all have come.
    ///
    /// # Errors
    /// When the listing is not whole.
    async fn documents(&mut self) -> Result<Option<Vec<StoredDocument>>, OutputError>;
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
    /// The name its cursor is kept under: the instance's, but for an output that catches up.
    pub walk: &'a str,
    /// Where its source continues; `None` leaves the cursor where it is.
    pub cursor: Option<&'a Cursor>,
    /// The page's write version.
    pub version: u64,
    /// The outputs that have the page.
    pub outputs: &'a [OutputKey],
    /// The events that are whole with it.
    pub whole: &'a [EventSeen],
    /// Events that were wanted and have been read, or are gone.
    pub no_longer_wanted: &'a [String],
    /// Events that the source could not give: they are wanted from now on, and
    /// [`State::wanted`] names each of them again after a wait that doubles with each attempt.
    pub unread: &'a [UnreadEvent],
}

/// What survives the process. Every call may wait for the disk.
pub trait State: Send + Sync {
    /// The cursor kept under this name; `None` before its first commit.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn cursor(&self, walk: &str) -> Result<Option<Cursor>, StateError>;

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

    /// How far an output is with what an instance has delivered.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn standing(&self, instance: &str, output: &OutputKey) -> Result<Standing, StateError>;

    /// Stores, durably, that an output lacks what comes now. Its own walk
    /// ([`crate::catch_up_walk`]) begins where the instance's cursor is, if it has not begun yet;
    /// with `everything` it begins again at the very beginning.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn leave_behind(
        &self,
        instance: &str,
        output: &OutputKey,
        everything: bool,
    ) -> Result<(), StateError>;

    /// Stores, durably, that every output of the instance except these is behind and needs
    /// everything: it is not configured now, so it misses what comes until it is again.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn leave_others_behind(
        &self,
        instance: &str,
        configured: &[OutputKey],
    ) -> Result<(), StateError>;

    /// Stores, durably, that an output has everything that the cursor is past; its own walk ends.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn caught_up(&self, instance: &str, output: &OutputKey) -> Result<(), StateError>;

    /// Compares the target of an output with the one that is remembered for documents of this
    /// mapping, and remembers it. If it is another one, nothing that was delivered there counts any
    /// more, and each instance has to send everything again: all of it in one transaction.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    fn see_target(
        &self,
        output: &OutputKey,
        mapping: &str,
        target: &TargetIdentity,
    ) -> Result<Option<TargetChange>, StateError>;

    /// What is remembered of these documents (their events and ids), in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn remembered(
        &self,
        instance: &str,
        output: &OutputKey,
        documents: &[Delivery],
    ) -> Result<Vec<Option<Remembered>>, StateError>;

    /// Remembers what happened, durably, in one transaction. (Were it lost while the process
    /// lives, what was just seen would look old, and [`Self::older`] would withdraw it.)
    ///
    /// # Errors
    /// When the store cannot be written.
    fn record(&self, changes: &[Changes<'_>]) -> Result<(), StateError>;

    /// Documents of an event that were not seen since a write version, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn older(
        &self,
        instance: &str,
        output: &OutputKey,
        event: &str,
        version: u64,
        limit: usize,
    ) -> Result<Vec<Held>, StateError>;

    /// Documents that this instance sent and that have stopped being valid, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn due(
        &self,
        instance: &str,
        output: &OutputKey,
        now_ms: i64,
        limit: usize,
    ) -> Result<Vec<Held>, StateError>;

    /// Counts what [`Self::due`] gives without a limit; [`DueCounts::there`] only if more than
    /// `few` are due.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn count_due(
        &self,
        instance: &str,
        output: &OutputKey,
        now_ms: i64,
        few: u64,
    ) -> Result<DueCounts, StateError>;

    /// Wants the events of documents that count as expired and have not expired yet; says how many
    /// events. A wrong clock leaves such documents behind.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    fn want_expired_too_early(&self, instance: &str, now_ms: i64) -> Result<u64, StateError>;

    /// Documents that an instance holds at an output, those of the event `from` and of the events
    /// after it, at most `limit`; from the first event if there is no `from`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn held(
        &self,
        instance: &str,
        output: &OutputKey,
        from: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Held>, StateError>;

    /// Remembers, durably, that events must be read whatever their clocks say.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn want(&self, instance: &str, events: &[String]) -> Result<(), StateError>;

    /// As [`Self::want`]; and if the source does not give one of them when it is asked for it by
    /// name, everything that is held of it is deleted.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn want_or_delete(&self, instance: &str, events: &[String]) -> Result<(), StateError>;

    /// Those of these events that are to be deleted if the source does not give them.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn to_delete(&self, instance: &str, events: &[String]) -> Result<Vec<String>, StateError>;

    /// Those of these events that were read whole when they had a `publish_timestamp` before
    /// this, UNIX seconds, and not since.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read_before(
        &self,
        instance: &str,
        events: &[String],
        seconds: i64,
    ) -> Result<Vec<String>, StateError>;

    /// The events that must be read now, at most `limit`, after the event `after`: without those
    /// that could not be read and whose next attempt is later than `now_ms`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn wanted(
        &self,
        instance: &str,
        now_ms: i64,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateError>;

    /// The wanted events that could not be read so far, with the last error, at most `limit`, in
    /// the order of their uuids; and how many there are.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn unread(&self, instance: &str, limit: usize) -> Result<(u64, Vec<WaitingEvent>), StateError>;

    /// When something of this name was last done to the end, UNIX milliseconds.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn last_done(&self, instance: &str, what: &str) -> Result<Option<i64>, StateError>;

    /// Remembers, durably, when something was done.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn set_done(&self, instance: &str, what: &str, at_ms: i64) -> Result<(), StateError>;

    /// Notes, durably, the hash of what selects an instance's events. If another one is known, the
    /// instance and its outputs that catch up poll from the beginning, and nothing counts as done
    /// but the change itself, as `job`. Says whether another one was known.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    fn select(&self, instance: &str, selection: &str, job: &str) -> Result<bool, StateError>;

    /// A place for a listing, to be compared with what is held.
    ///
    /// # Errors
    /// When no place can be made.
    fn comparison(self: Arc<Self>, instance: &str) -> Result<Box<dyn Comparison>, StateError>;
}

/// A listing of what a source holds, beside what the outputs have.
pub trait Comparison: Send {
    /// Adds attributes that are listed.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn add_attributes(&mut self, attributes: &[ListedAttribute]) -> Result<(), StateError>;

    /// Adds events that are listed.
    ///
    /// # Errors
    /// When they cannot be kept.
    fn add_events(&mut self, events: &[ListedEvent]) -> Result<(), StateError>;

    /// Goes through all differences with what an output has, in no special order; `see`
    /// says whether to go on. What is written meanwhile it does not see.
    ///
    /// # Errors
    /// When the store or the listing cannot be read.
    fn compare(
        &mut self,
        output: &OutputKey,
        see: &mut dyn FnMut(Difference) -> bool,
    ) -> Result<DifferenceCounts, StateError>;
}
