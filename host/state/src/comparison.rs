//! A listing of what a source holds, in a file of its own beside the state, and the walk along
//! both in the order of their attributes: memory does not grow with either.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipeline::{
    Comparison, Difference, DifferenceCounts, Fate, Held, ListedAttribute, ListedEvent, OutputKey,
    StateError, now_ms,
};
use redb::backends::FileBackend;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};

use crate::attribute_key::AttributeKey;
use crate::error::{IoContext as _, StoreError, Trouble};
use crate::sorted::{self, Sorted, Sorter};
use crate::store::Store;
use crate::tables::documents::{self, KnownAttribute, Reader};
use crate::tables::{names, progress};
use crate::transaction::Reading;

/// Event id to uuid.
const EVENT_IDS: TableDefinition<'_, &str, &str> = TableDefinition::new("event_ids");
/// Event uuid to timestamp (UNIX seconds) and whether it is published.
const EVENTS: TableDefinition<'_, &str, (i64, bool)> = TableDefinition::new("events");

/// Memory for pages of the listing.
const CACHE_BYTES: usize = 32 << 20;

pub(crate) struct StoredComparison {
    store: Arc<Store>,
    instance: String,
    listing: Database,
    listed: Sorter<Listed>,
    held: Sorter<KnownAttribute>,
    path: PathBuf,
    /// Removes the file.
    _file: tempfile::TempPath,
}

impl StoredComparison {
    pub(crate) fn new(
        store: Arc<Store>,
        instance: &str,
        folder: &Path,
    ) -> Result<Self, StoreError> {
        let file = tempfile::Builder::new()
            .prefix("listing-")
            .suffix(".redb")
            .tempfile_in(folder)
            .context("could not make a file in", folder)?;
        let path = file.path().to_owned();
        let (handle, guard) = file.into_parts();
        let listing = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(
                FileBackend::new(handle).map_err(|error| Trouble::from(error).at(&path))?,
            )
            .map_err(|error| Trouble::from(error).at(&path))?;
        let comparison = Self {
            store,
            instance: instance.to_owned(),
            listing,
            listed: Sorter::new(0),
            held: Sorter::new(1),
            path,
            _file: guard,
        };
        write(&comparison.listing, |transaction| {
            sorted::create(transaction)?;
            transaction.open_table(EVENT_IDS)?;
            transaction.open_table(EVENTS)?;
            Ok(())
        })
        .map_err(|trouble| trouble.at(&comparison.path))?;
        Ok(comparison)
    }

    /// Writes down, in order, what is listed and what is held.
    fn sort(&mut self, state: &Reading, place: Option<(u32, u32)>) -> Result<(), Trouble> {
        let (listed, held) = (&mut self.listed, &mut self.held);
        write(&self.listing, |transaction| {
            listed.write(transaction)?;
            held.clear(transaction)?;
            if let Some(place) = place {
                documents::each_attribute(state, place, &mut |known| held.add(transaction, known))?;
            }
            held.write(transaction)
        })
    }

    fn differences(
        &mut self,
        state: &Reading,
        output: &OutputKey,
        see: &mut dyn FnMut(Difference) -> bool,
    ) -> Result<DifferenceCounts, Trouble> {
        let place = documents::place(state, &self.instance, output)?;
        self.sort(state, place)?;
        let listing = self.listing.begin_read()?;
        let mut view = View {
            state,
            reader: place.map(|place| Reader::new(state, place)).transpose()?,
            event_ids: listing.open_table(EVENT_IDS)?,
            events: listing.open_table(EVENTS)?,
            place,
            now_ms: now_ms(),
            counts: DifferenceCounts::default(),
            see,
        };
        let mut listed = self.listed.read(&listing)?;
        let mut held = self.held.read(&listing)?;
        let mut left = next_listed(&mut listed)?;
        let mut right = next_held(&mut held)?;
        loop {
            let order = match (&left, right.first()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => left.key.cmp(&right.key),
            };
            // Each side that is at the front is taken, and the next of it looked at.
            let one = match order {
                Ordering::Greater => None,
                _ => std::mem::replace(&mut left, next_listed(&mut listed)?),
            };
            let other = match order {
                Ordering::Less => Vec::new(),
                _ => std::mem::replace(&mut right, next_held(&mut held)?),
            };
            if !view.see(one, &other)? {
                return Ok(view.counts);
            }
        }
        view.events_without_attributes()?;
        Ok(view.counts)
    }
}

/// It need not survive: it is made anew for each sweep.
fn write(
    listing: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut transaction = listing.begin_write()?;
    transaction
        .set_durability(Durability::None)
        .map_err(|error| Trouble::Damaged(error.to_string()))?;
    work(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Of what was listed twice, the last.
fn next_listed(listed: &mut Sorted<Listed>) -> Result<Option<Listed>, Trouble> {
    let Some(mut last) = listed.next()? else {
        return Ok(None);
    };
    while let Some(again) = listed.next_if(|next| next.key == last.key)? {
        last = again;
    }
    Ok(Some(last))
}

/// Everything that is known of the next attribute.
fn next_held(held: &mut Sorted<KnownAttribute>) -> Result<Vec<KnownAttribute>, Trouble> {
    let mut found: Vec<KnownAttribute> = held.next()?.into_iter().collect();
    let key = found.first().map(|first| first.key.clone());
    while let Some(same) = held.next_if(|next| Some(&next.key) == key.as_ref())? {
        found.push(same);
    }
    Ok(found)
}

impl Comparison for StoredComparison {
    fn add_attributes(&mut self, attributes: &[ListedAttribute]) -> Result<(), StateError> {
        let listed = &mut self.listed;
        let added = write(&self.listing, |transaction| {
            attributes.iter().try_for_each(|one| {
                let item = Listed {
                    key: AttributeKey::new(Some(&one.uuid)).into_bytes(),
                    timestamp: one.timestamp,
                    event_id: one.event_id.clone(),
                };
                listed.add(transaction, item)
            })
        });
        added.map_err(|trouble| StateError::new(trouble.at(&self.path)))
    }

    fn add_events(&mut self, events: &[ListedEvent]) -> Result<(), StateError> {
        let added = write(&self.listing, |transaction| {
            let mut ids = transaction.open_table(EVENT_IDS)?;
            let mut table = transaction.open_table(EVENTS)?;
            for event in events {
                ids.insert(event.id.as_str(), event.uuid.as_str())?;
                table.insert(event.uuid.as_str(), (event.timestamp, event.published))?;
            }
            Ok(())
        });
        added.map_err(|trouble| StateError::new(trouble.at(&self.path)))
    }

    fn compare(
        &mut self,
        output: &OutputKey,
        see: &mut dyn FnMut(Difference) -> bool,
    ) -> Result<DifferenceCounts, StateError> {
        Arc::clone(&self.store)
            .read(|state| self.differences(state, output, see))
            .map_err(StateError::new)
    }
}

/// An attribute of the listing, in the order of attributes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    /// As [`AttributeKey`].
    key: Vec<u8>,
    timestamp: i64,
    event_id: String,
}

impl Ord for Listed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl PartialOrd for Listed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Listed {}

/// What both sides are looked up in.
struct View<'t> {
    state: &'t Reading,
    /// `None`: the state knows nothing of the instance or of the output.
    reader: Option<Reader<'t>>,
    event_ids: ReadOnlyTable<&'static str, &'static str>,
    events: ReadOnlyTable<&'static str, (i64, bool)>,
    place: Option<(u32, u32)>,
    now_ms: i64,
    counts: DifferenceCounts,
    see: &'t mut dyn FnMut(Difference) -> bool,
}

impl View<'_> {
    /// Counts what is listed, held or both; whether to go on. `held`: what is known of one
    /// attribute, the last seen first.
    fn see(&mut self, listed: Option<Listed>, held: &[KnownAttribute]) -> Result<bool, Trouble> {
        let Some(listed) = listed else {
            return self.orphans(held);
        };
        self.counts.listed += 1;
        let difference = match held.first() {
            None => {
                self.counts.missing += 1;
                let event = self.event_ids.get(listed.event_id.as_str())?;
                Some(Difference::Missing {
                    attribute: AttributeKey::text(&listed.key).unwrap_or_default(),
                    event: event.map(|uuid| uuid.value().to_owned()),
                })
            }
            Some(known) => {
                self.count_held(known.fate);
                self.stale(&listed, known)?
            }
        };
        Ok(difference.is_none_or(|difference| (self.see)(difference)))
    }

    /// Whatever is known counts as held.
    fn count_held(&mut self, fate: Fate) {
        self.counts.held += 1;
        self.counts.delivered += u64::from(fate == Fate::Delivered);
    }

    /// Sees everything that is known of an attribute that is not listed: also by the id of
    /// another mapping, since a host that was killed after a swap had no time to withdraw that,
    /// and the event may never be read again.
    fn orphans(&mut self, known: &[KnownAttribute]) -> Result<bool, Trouble> {
        for one in known {
            let Some(reader) = &mut self.reader else {
                return Ok(true);
            };
            let held = reader.held_by_one(one.event, &one.id, &one.key)?;
            self.count_held(held.fate);
            let there = held.fate.may_be_there();
            let published = self.changed_since_read(&held.event, one.event)?;
            let difference = if there && published == Some(true) {
                self.counts.orphaned += 1;
                Difference::Unsure {
                    event: held.event,
                    orphaned: true,
                }
            } else {
                self.orphan(held, published == Some(false))
            };
            if !(self.see)(difference) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn stale(
        &mut self,
        listed: &Listed,
        known: &KnownAttribute,
    ) -> Result<Option<Difference>, Trouble> {
        // Of what was sent and never heard of again, nobody knows what the output has.
        let same = known.timestamp.is_none_or(|seen| seen == listed.timestamp);
        let too_early = documents::is_too_early(known.fate, known.expires_ms, self.now_ms);
        if same && known.fate != Fate::Sent && !too_early {
            return Ok(None);
        }
        self.counts.stale += 1;
        Ok(Some(Difference::Stale {
            attribute: AttributeKey::text(&known.key).unwrap_or_default(),
            event: names::text(self.state, known.event)?,
        }))
    }

    fn orphan(&mut self, held: Held, worked_on: bool) -> Difference {
        // What is gone already only has its row left.
        if held.fate.may_be_there() {
            if worked_on {
                self.counts.worked_on += 1;
            } else {
                self.counts.orphaned += 1;
            }
        }
        Difference::Orphan { held, worked_on }
    }

    /// Sees the documents of events that have no attributes. No listing names such an event as one
    /// that the filters match: one that is there is read again.
    fn events_without_attributes(&mut self) -> Result<(), Trouble> {
        let Some(place) = self.place else {
            return Ok(());
        };
        // Of a listing without any event nobody knows whether it is whole.
        if self.events.first()?.is_none() {
            return Ok(());
        }
        for event in progress::events_since(self.state, place.1, i64::MIN)? {
            let uuid = names::text(self.state, event)?;
            let listed = self.events.get(uuid.as_str())?.map(|row| row.value());
            let is_published = listed.is_some_and(|(_, published)| published);
            let Some(reader) = &mut self.reader else {
                return Ok(());
            };
            let here = reader.without_attribute(event)?;
            let mut is_there = false;
            for held in here {
                self.count_held(held.fate);
                if !held.fate.may_be_there() {
                    continue;
                }
                is_there = true;
                if is_published {
                    continue;
                }
                let worked_on = self.changed_since_read(&held.event, event)? == Some(false);
                let orphan = self.orphan(held, worked_on);
                if !(self.see)(orphan) {
                    return Ok(());
                }
            }
            let is_missing = is_published
                && !is_there
                && documents::is_there_elsewhere(self.state, place, event)?;
            let difference = if is_missing {
                self.counts.stale += 1;
                Difference::Stale {
                    attribute: String::new(),
                    event: uuid,
                }
            } else if is_published && is_there {
                Difference::Unsure {
                    event: uuid,
                    orphaned: false,
                }
            } else {
                continue;
            };
            if !(self.see)(difference) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the event is published, if it is there and has changed since it was read. A published
    /// one has been published while it was listed, or the filters no longer match it.
    fn changed_since_read(&self, uuid: &str, event: u32) -> Result<Option<bool>, Trouble> {
        let Some((_, instance)) = self.place else {
            return Ok(None);
        };
        let Some(row) = self.events.get(uuid)? else {
            return Ok(None);
        };
        let (timestamp, published) = row.value();
        let read = progress::published(self.state, instance, event)?.unwrap_or(0);
        Ok((timestamp > read).then_some(published))
    }
}
