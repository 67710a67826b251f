//! What a row holds: some documents of one event, in the order of their ids.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::Document;
use crate::error::Trouble;

/// A row is cut into smaller ones when it has more documents than this: what changes with one
/// document is read and written with it.
const MOST: usize = 16;
/// How many the pieces have.
const PIECE: usize = 12;

/// An id that an event holds, or held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// `None`: with another event, which had it first.
    pub(crate) document: Option<Document>,
    pub(crate) holds: Vec<Hold>,
}

/// Who has the document in this event: an instance, by an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) instance: u32,
    /// As [`crate::attribute_key::AttributeKey`]; empty for the event itself.
    pub(crate) attribute: Vec<u8>,
    /// The attribute's, UNIX seconds.
    pub(crate) timestamp: Option<i64>,
    /// The write version it was last seen with.
    pub(crate) seen: u64,
    /// What it was last seen with; `None`: it is sent whatever its fingerprint.
    pub(crate) fingerprint: Option<u64>,
}

impl Entry {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            document: None,
            holds: Vec::new(),
        }
    }

    /// Is there nothing to remember?
    fn is_empty(&self) -> bool {
        self.document.is_none() && self.holds.is_empty()
    }

    /// This instance's.
    pub(crate) fn holds_of(&self, instance: u32) -> impl Iterator<Item = &Hold> {
        self.holds
            .iter()
            .filter(move |hold| hold.instance == instance)
    }

    /// The instance's by this attribute, or by any if it has none by this.
    pub(crate) fn hold(&self, instance: u32, attribute: &[u8]) -> Option<&Hold> {
        self.holds_of(instance)
            .find(|hold| hold.attribute == attribute)
            .or_else(|| self.holds_of(instance).next())
    }

    /// Does this instance have it by another attribute, too?
    pub(crate) fn is_held_beside(&self, instance: u32, attribute: &[u8]) -> bool {
        self.holds_of(instance)
            .any(|hold| hold.attribute != attribute)
    }

    /// Puts a hold in the place of that of the same instance and attribute.
    pub(crate) fn put(&mut self, hold: Hold) {
        let same = |known: &&mut Hold| {
            (known.instance, &known.attribute) == (hold.instance, &hold.attribute)
        };
        match self.holds.iter_mut().find(same) {
            Some(known) => *known = hold,
            None => self.holds.push(hold),
        }
    }
}

/// The entries of a row.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Entry>, Trouble> {
    let damaged = |error: postcard::Error| Trouble::Damaged(format!("a row of documents: {error}"));
    let (mut entries, hashes): (Vec<Entry>, &[u8]) =
        postcard::take_from_bytes(bytes).map_err(damaged)?;
    // Rows without any have nothing behind their entries.
    if !hashes.is_empty() {
        let hashes: Vec<Option<u64>> = postcard::from_bytes(hashes).map_err(damaged)?;
        for (entry, hash) in entries.iter_mut().zip(hashes) {
            if let Some(document) = &mut entry.document {
                document.hash = hash;
            }
        }
    }
    Ok(entries)
}

/// Entries, and behind them a hash for each, if there are any.
fn written(entries: &[Entry]) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = postcard::to_allocvec(entries)?;
    let hash = |entry: &Entry| entry.document.as_ref().and_then(|document| document.hash);
    let hashes: Vec<Option<u64>> = entries.iter().map(hash).collect();
    if hashes.iter().any(Option::is_some) {
        bytes.extend(postcard::to_allocvec(&hashes)?);
    }
    Ok(bytes)
}

/// Entries as rows, each with the id that it begins with; the first keeps its `start`.
pub(crate) fn pieces(start: &str, entries: Vec<Entry>) -> Result<Vec<Piece>, Trouble> {
    let mut left: Vec<Entry> = entries;
    left.retain(|entry| !entry.is_empty());
    let size = if left.len() > MOST {
        left.len().div_ceil(left.len().div_ceil(PIECE))
    } else {
        MOST
    };
    let chunks = left.chunks(size).enumerate();
    chunks
        .map(|(at, entries)| {
            let first = entries.first().filter(|_| at > 0);
            Ok(Piece {
                start: first.map_or(start, |entry| &entry.id).to_owned(),
                due: due(entries),
                bytes: written(entries)
                    .map_err(|error| Trouble::Damaged(format!("a row to be written: {error}")))?,
            })
        })
        .collect()
}

/// A row to be written.
pub(crate) struct Piece {
    pub(crate) start: String,
    pub(crate) due: BTreeMap<u32, i64>,
    pub(crate) bytes: Vec<u8>,
}

/// By instance of the copy, when the first of these documents stops being valid.
pub(crate) fn due(entries: &[Entry]) -> BTreeMap<u32, i64> {
    let mut first = BTreeMap::new();
    let documents = entries.iter().filter_map(|entry| entry.document.as_ref());
    for (instance, at) in documents.filter_map(Document::due) {
        let known = first.entry(instance).or_insert(at);
        *known = at.min(*known);
    }
    first
}
