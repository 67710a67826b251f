//! Rows of documents, read as they are needed and written back together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadOnlyTable, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::block::{Entry, Hold, due, pieces, read};
use super::document::Document;
use super::new_ids::NewIds;
use crate::error::Trouble;
use crate::transaction::{Reading, Writing};

/// Output, event, and the id that the row begins with: the ids up to the next row's are in it.
pub(crate) type BlockKey = (u32, u32, &'static str);
pub(crate) type BlockRow = &'static [u8];
type IdKey = (u32, u64, u32);

/// [`BlockKey`] to entries, as [`super::block`] writes them.
pub(crate) const BLOCKS: TableDefinition<'_, BlockKey, BlockRow> = TableDefinition::new("blocks");
/// Output, hash of an id, and an event that has such an id's document. It is asked when an event
/// brings an id for the first time.
pub(crate) const IDS: TableDefinition<'_, IdKey, ()> = TableDefinition::new("ids");
/// Output, instance of a copy, when the first such copy of a row expires (UNIX milliseconds), and
/// the row's event and id.
pub(crate) const DUE: TableDefinition<'_, (u32, u32, i64, u32, &str), ()> =
    TableDefinition::new("due rows");

/// Rows that are kept in memory, at most, before they are written.
const KEPT: usize = 4_096;

/// The rows of one output.
pub(crate) struct Blocks<'t, B, I> {
    blocks: B,
    ids: I,
    /// Ids that are not in the index yet.
    new_ids: Arc<NewIds>,
    /// Those that this transaction adds.
    added: Option<&'t RefCell<NewIds>>,
    output: u32,
    loaded: Vec<Loaded>,
    /// By event and the id that a row begins with, its place in `loaded`.
    places: BTreeMap<(u32, String), usize>,
    /// The place of the row that was found last.
    last: usize,
}

struct Loaded {
    event: u32,
    start: String,
    /// Where the next row of the event begins.
    end: Option<String>,
    entries: Vec<Entry>,
    due: BTreeMap<u32, i64>,
    changed: bool,
}

impl Loaded {
    fn has(&self, event: u32, id: &str) -> bool {
        self.event == event && *self.start <= *id && self.end.as_deref().is_none_or(|end| id < end)
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|entry| entry.id.as_str().cmp(id))
    }
}

/// Rows that are read only.
pub(crate) type Seen = Blocks<'static, ReadOnlyTable<BlockKey, BlockRow>, ReadOnlyTable<IdKey, ()>>;
/// Rows that are written, too.
pub(crate) type Written<'t> = Blocks<'t, Table<'t, BlockKey, BlockRow>, Table<'t, IdKey, ()>>;

impl Seen {
    pub(crate) fn open(reading: &Reading, output: u32) -> Result<Self, Trouble> {
        Ok(Self {
            blocks: reading.open_table(BLOCKS)?,
            ids: reading.open_table(IDS)?,
            new_ids: reading.new_ids(),
            added: None,
            output,
            loaded: Vec::new(),
            places: BTreeMap::new(),
            last: 0,
        })
    }
}

impl<B: ReadableTable<BlockKey, BlockRow>, I: ReadableTable<IdKey, ()>> Blocks<'_, B, I> {
    /// What an event knows of an id.
    pub(crate) fn find(&mut self, event: u32, id: &str) -> Result<Option<&Entry>, Trouble> {
        let block = self.load(event, id)?;
        Ok(block
            .place(id)
            .ok()
            .and_then(|place| block.entries.get(place)))
    }

    /// The event that has the document of an id that `event` knows, or may know.
    pub(crate) fn home(&mut self, event: u32, id: &str) -> Result<Option<u32>, Trouble> {
        if self.has_document(event, id)? {
            return Ok(Some(event));
        }
        let hash = hash(id);
        let mut events: Vec<u32> = self.new_ids.events(self.output, hash).collect();
        if let Some(added) = self.added {
            events.extend(added.borrow().events(self.output, hash));
        }
        for entry in self
            .ids
            .range((self.output, hash, 0)..=(self.output, hash, u32::MAX))?
        {
            events.push(entry?.0.value().2);
        }
        for other in events {
            if other != event && self.has_document(other, id)? {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// The document of an id that `event` knows, or may know.
    pub(crate) fn document(&mut self, event: u32, id: &str) -> Result<Option<&Document>, Trouble> {
        let Some(home) = self.home(event, id)? else {
            return Ok(None);
        };
        Ok(self
            .find(home, id)?
            .and_then(|entry| entry.document.as_ref()))
    }

    fn has_document(&mut self, event: u32, id: &str) -> Result<bool, Trouble> {
        let entry = self.find(event, id)?;
        Ok(entry.is_some_and(|entry| entry.document.is_some()))
    }

    /// The row that has an id, or would have it.
    fn load(&mut self, event: u32, id: &str) -> Result<&mut Loaded, Trouble> {
        if !self.is_in(self.last, event, id) {
            let to = (event, id.to_owned());
            let before = self.places.range(..=to).next_back();
            let place = before.map(|(_, place)| *place);
            self.last = match place.filter(|place| self.is_in(*place, event, id)) {
                Some(place) => place,
                None => self.load_row(event, id)?,
            };
        }
        let block = self.loaded.get_mut(self.last);
        block.ok_or_else(|| Trouble::Damaged("a row has no place in memory".to_owned()))
    }

    fn is_in(&self, place: usize, event: u32, id: &str) -> bool {
        let block = self.loaded.get(place);
        block.is_some_and(|block| block.has(event, id))
    }

    fn load_row(&mut self, event: u32, id: &str) -> Result<usize, Trouble> {
        let output = self.output;
        let mut before = self
            .blocks
            .range((output, event, "")..=(output, event, id))?;
        let (start, entries) = match before.next_back().transpose()? {
            Some((key, row)) => (key.value().2.to_owned(), read(row.value())?),
            // The ids before the first row's are in a row of their own.
            None => (String::new(), Vec::new()),
        };
        let after = self
            .blocks
            .range((output, event, id)..(output, event.saturating_add(1), ""))?;
        let mut end = None;
        for entry in after {
            let (key, _) = entry?;
            let (_, _, next) = key.value();
            if next > id {
                end = Some(next.to_owned());
                break;
            }
        }
        let place = self.loaded.len();
        self.places.insert((event, start.clone()), place);
        self.loaded.push(Loaded {
            event,
            start,
            end,
            due: due(&entries),
            entries,
            changed: false,
        });
        Ok(place)
    }

    /// The first row of all.
    pub(crate) fn first_row(&self) -> Result<Option<(u32, String)>, Trouble> {
        self.row_at_or_after(0)
    }

    /// The first row of the events after this one.
    pub(crate) fn first_row_after(&self, event: u32) -> Result<Option<(u32, String)>, Trouble> {
        event
            .checked_add(1)
            .map_or(Ok(None), |next| self.row_at_or_after(next))
    }

    fn row_at_or_after(&self, event: u32) -> Result<Option<(u32, String)>, Trouble> {
        let from = (self.output, event, "");
        let to = (self.output.saturating_add(1), 0, "");
        let mut rows = self.blocks.range(from..to)?;
        let row = rows.next().transpose()?;
        Ok(row.map(|(key, _)| (key.value().1, key.value().2.to_owned())))
    }

    /// The entries of the row that has this id, as they are now, and where the event's next begins.
    pub(crate) fn row_from(
        &mut self,
        event: u32,
        id: &str,
    ) -> Result<(Vec<Entry>, Option<String>), Trouble> {
        let block = self.load(event, id)?;
        Ok((block.entries.clone(), block.end.clone()))
    }

    /// The output's number.
    pub(crate) fn output(&self) -> u32 {
        self.output
    }
}

impl Seen {
    /// Forgets what was read if that is much.
    pub(crate) fn forget_much(&mut self) {
        if self.loaded.len() > KEPT {
            self.loaded.clear();
            self.places.clear();
        }
    }
}

impl<'t> Written<'t> {
    pub(crate) fn open_to_write(writing: &'t Writing, output: u32) -> Result<Self, Trouble> {
        Self::open_with(writing, writing.new_ids(), writing.added(), output)
    }

    /// Whoever has added ids sees to it that they are indexed.
    pub(crate) fn open_with(
        transaction: &'t WriteTransaction,
        new_ids: Arc<NewIds>,
        added: &'t RefCell<NewIds>,
        output: u32,
    ) -> Result<Self, Trouble> {
        Ok(Self {
            blocks: transaction.open_table(BLOCKS)?,
            ids: transaction.open_table(IDS)?,
            new_ids,
            added: Some(added),
            output,
            loaded: Vec::new(),
            places: BTreeMap::new(),
            last: 0,
        })
    }

    /// What an event knows of an id, made if it knows nothing.
    pub(crate) fn change(&mut self, event: u32, id: &str) -> Result<&mut Entry, Trouble> {
        let block = self.load(event, id)?;
        block.changed = true;
        let place = match block.place(id) {
            Ok(place) => place,
            Err(place) => {
                block.entries.insert(place, Entry::new(id));
                place
            }
        };
        let entry = block.entries.get_mut(place);
        entry.ok_or_else(|| Trouble::Damaged("a document has no place in its row".to_owned()))
    }

    /// Keeps a document with this event.
    pub(crate) fn set(&mut self, home: u32, id: &str, document: Document) -> Result<(), Trouble> {
        let entry = self.change(home, id)?;
        let is_new = entry.document.replace(document).is_none();
        if let Some(added) = self.added.filter(|_| is_new) {
            added.borrow_mut().insert(self.output, hash(id), home);
        }
        Ok(())
    }

    /// Keeps a document no longer.
    pub(crate) fn unset(&mut self, home: u32, id: &str) -> Result<(), Trouble> {
        self.change(home, id)?.document = None;
        if let Some(added) = self.added {
            added.borrow_mut().remove(self.output, hash(id), home);
        }
        self.ids.remove((self.output, hash(id), home))?;
        Ok(())
    }

    /// Notes who has a document in an event.
    pub(crate) fn hold(&mut self, event: u32, id: &str, hold: Hold) -> Result<(), Trouble> {
        self.change(event, id)?.put(hold);
        Ok(())
    }

    /// Writes what was changed if that is much.
    pub(crate) fn flush_much(&mut self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        if self.loaded.len() > KEPT {
            self.flush(transaction)?;
        }
        Ok(())
    }

    /// Writes what was changed.
    pub(crate) fn flush(&mut self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        let mut due = transaction.open_table(DUE)?;
        let output = self.output;
        let places = std::mem::take(&mut self.places);
        let mut loaded = std::mem::take(&mut self.loaded);
        // In the order of their keys, which lie beside each other.
        for ((event, start), place) in places {
            let Some(block) = loaded.get_mut(place).filter(|block| block.changed) else {
                continue;
            };
            for (instance, at) in &block.due {
                due.remove((output, *instance, *at, event, start.as_str()))?;
            }
            let pieces = pieces(&start, std::mem::take(&mut block.entries))?;
            if pieces.is_empty() {
                self.blocks.remove((output, event, start.as_str()))?;
            }
            for piece in pieces {
                let start = piece.start.as_str();
                self.blocks
                    .insert((output, event, start), piece.bytes.as_slice())?;
                for (instance, at) in piece.due {
                    due.insert((output, instance, at, event, start), ())?;
                }
            }
        }
        Ok(())
    }
}

/// FNV-1a: rows hold it, so it stays. Ids of the same hash are told apart by their text.
pub(super) fn hash(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
