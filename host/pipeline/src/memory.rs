//! What the state remembers of what went out, and what is asked of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::{Delivery, MappingIdentity};
use crate::traits::Output;

/// An output as the state knows it. What went out is remembered for a name and a target:
/// another target under the same name has got nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputKey {
    /// The name in the configuration.
    pub name: String,
    /// Where its documents end up, such as a file's path. No secret.
    pub target: String,
}

impl OutputKey {
    /// The key of an output.
    pub fn of(output: &dyn Output) -> Self {
        Self {
            name: output.name().to_owned(),
            target: output.target(),
        }
    }
}

/// What a target is now, beyond its name: an index that was deleted and made again has the same
/// name and another uuid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetIdentity {
    /// The cluster's uuid.
    pub cluster: String,
    /// The uuid of the index that takes documents now.
    pub index: String,
    /// The uuids of earlier indices of the same target, such as those before a rollover.
    pub earlier: Vec<String>,
}

/// How a target differs from the one that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetChange {
    /// Another cluster answers.
    #[error("another cluster answers")]
    Cluster,
    /// The index was deleted, or replaced by another one of the same name.
    #[error("the index was deleted or replaced")]
    Index,
    /// Documents were delivered, and the index was never identified.
    #[error("the index was not identified before")]
    Unidentified,
}

/// What became of a document at an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// The output has it.
    Delivered,
    /// It was withdrawn, or was never to be there.
    Deleted,
    /// Its `expires-ms` has passed: withdrawn, or never sent.
    Expired,
    /// The output refused it; what the output had before may still be there.
    Refused,
    /// It, or a delete of it, was sent, and whether that arrived was never written down: it may
    /// be there.
    Sent,
}

impl Fate {
    /// May the output have something under this id?
    #[must_use]
    pub fn may_be_there(self) -> bool {
        matches!(self, Self::Delivered | Self::Refused | Self::Sent)
    }
}

/// What is remembered of one document at one output, as an instance sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The mappings under which the output may have it; the last is that of what was sent last.
    pub places: Vec<Arc<MappingIdentity>>,
    /// Greater with each change of what was sent; 0: nothing was sent yet.
    pub revision: u64,
    /// The fingerprint of what was sent last; `None`: a delete.
    pub content: Option<u64>,
    /// What became of it.
    pub fate: Fate,
    /// The fingerprint this instance last saw; `None` if it never did, or if it is to be
    /// sent whatever its fingerprint.
    pub fingerprint: Option<u64>,
    /// Does another instance, or another event of this one, want the document to be there?
    pub others: bool,
    /// Does an instance have the document that takes precedence of this one? Then its copy stays.
    pub overruled: bool,
}

impl Remembered {
    /// The revision of what is sent now with this write version: the same again has the same.
    #[must_use]
    pub fn next_revision(&self, content: Option<u64>, version: u64) -> u64 {
        match self.revision {
            0 => version,
            known if self.content == content => known,
            known => known.saturating_add(1),
        }
    }
}

/// What was done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The output answered.
    Sent(Fate),
    /// The output has something newer, which is not this instance's; this was to become of it.
    Stale(Fate),
    /// The output has it, and what it stores has this hash ([`Output::stored_hash`]).
    Stored(u64),
    /// It is there already as it is.
    Unchanged,
    /// It is not to be there for this instance, and nothing had to be sent.
    Absent(Fate),
}

/// An attribute that the mapping refused: known, but no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDocument<'a> {
    /// The event's uuid.
    pub event: &'a str,
    /// MISP's attribute uuid.
    pub attribute: &'a str,
}

/// A document that an instance no longer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetGo<'a> {
    /// The document's id; empty for an attribute that was never one.
    pub id: &'a str,
    /// The event's uuid.
    pub event: &'a str,
    /// MISP's attribute uuid.
    pub attribute: Option<&'a str>,
    /// What the output was told, if anything. [`Fate::Sent`]: it is about to be told, and
    /// nothing is let go yet.
    pub sent: Option<Fate>,
    /// Is it still in MISP (it only expired), so that a listing will name it?
    pub still_listed: bool,
}

/// What happened at one output, after it acknowledged.
#[derive(Debug, Clone)]
pub struct Changes<'a> {
    /// The instance's name.
    pub instance: &'a str,
    /// The output.
    pub output: &'a OutputKey,
    /// The write version of this observation.
    pub version: u64,
    /// Documents, and what was done with each.
    pub documents: Vec<(&'a Delivery, Act)>,
    /// Attributes without a document.
    pub without: Vec<NoDocument<'a>>,
    /// What was withdrawn.
    pub let_go: Vec<LetGo<'a>>,
}

/// A document that an instance holds at an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The document's id; empty for an attribute that was never one.
    pub id: String,
    /// The event's uuid.
    pub event: String,
    /// MISP's attribute uuid; `None` for the document of an event without attributes.
    pub attribute: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// The mappings under which the output may have it; the last is that of what was sent last.
    pub places: Vec<Arc<MappingIdentity>>,
    /// The revision that a delete of it has.
    pub delete_revision: u64,
    /// Does another instance, or another event, want it to be there?
    pub others: bool,
}

/// How far an output is with what an instance has delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The instance has no cursor: everything is still to come.
    New,
    /// It has everything that the cursor is past.
    Current,
    /// Something before the cursor has not reached it: it needs a walk of its own.
    Behind,
}

/// Where what MISP lists and what an output has differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Listed, and nothing is known of it.
    Missing {
        /// MISP's attribute uuid.
        attribute: String,
        /// The event's uuid; `None` if no listed event has its id.
        event: Option<String>,
    },
    /// Listed with another `timestamp` than the one that was read, or [`Fate::Sent`], or
    /// [`Fate::Expired`] before its time.
    Stale {
        /// MISP's attribute uuid.
        attribute: String,
        /// The event's uuid.
        event: String,
    },
    /// Held and not listed.
    Orphan {
        /// What is held.
        held: Held,
        /// Its event is there, unpublished and changed since it was published: somebody
        /// works on it, and it stays.
        worked_on: bool,
    },
    /// Something is held of an event that is there, and no listing can say whether it still holds
    /// for it: the event is read again by name, and if the source does not give it, everything
    /// that is held of it is deleted.
    Unsure {
        /// The event's uuid.
        event: String,
        /// Does it count as held and not listed? The document of an event without attributes does
        /// not: no listing holds any such.
        orphaned: bool,
    },
}

/// How many documents of one instance have expired at one output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DueCounts {
    /// Those that have expired and may still be there.
    pub due: u64,
    /// Those that may be there, expired or not; 0 if so few have expired that nobody counted.
    pub there: u64,
}

/// How much of each there is at one output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DifferenceCounts {
    /// Attributes that MISP lists.
    pub listed: u64,
    /// Attributes that the output has, or had to have.
    pub held: u64,
    /// Those of them that are delivered.
    pub delivered: u64,
    /// Listed and not held.
    pub missing: u64,
    /// Listed with another timestamp.
    pub stale: u64,
    /// Held and not listed, to be withdrawn.
    pub orphaned: u64,
    /// Held and not listed, in an event that somebody works on.
    pub worked_on: u64,
}
