//! What went out: one row a document and output, one a document, output and event that holds
//! it, one an attribute, one an expiry.

use pipeline::{Act, Changes, Delivery, Fate, Held, LetGo, NoDocument, Remembered};
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::attribute_key::AttributeKey;
use crate::error::Trouble;
use crate::tables::names::{self, Kind};
use crate::tables::wanted;

pub(crate) type DocumentKey = (u32, &'static str);
pub(crate) type DocumentRow = (u8, u32, u32, Option<i64>, u64, Vec<(u32, u32)>);
type HeldKey = (u32, u32, u32, &'static str);
type HeldRow = (u64, Option<u64>, &'static [u8]);
type AttributeTableKey = (u32, u32, &'static [u8]);
type AttributeRow = (u32, Option<i64>, &'static str);

/// Output and id to: fate, the instance whose copy the output has (0: nobody's), mapping,
/// expiry in UNIX milliseconds, write version of what was sent last, and who wants it to be
/// there (instance, event).
const DOCUMENTS: TableDefinition<'_, DocumentKey, DocumentRow> = TableDefinition::new("documents");
/// Output, instance, event and id to: the write version it was last seen with, the
/// fingerprint, the attribute.
const HELD: TableDefinition<'_, HeldKey, HeldRow> = TableDefinition::new("held");
/// Output, instance and attribute to: event, the attribute's timestamp in UNIX seconds, id (empty
/// if the mapping made no document of it).
const ATTRIBUTES: TableDefinition<'_, AttributeTableKey, AttributeRow> =
    TableDefinition::new("attributes");
/// Output, instance of the copy, expiry in UNIX milliseconds, id.
const DUE: TableDefinition<'_, (u32, u32, i64, &str), ()> = TableDefinition::new("due");

pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(DOCUMENTS)?;
    transaction.open_table(HELD)?;
    transaction.open_table(ATTRIBUTES)?;
    transaction.open_table(DUE)?;
    Ok(())
}

fn to_byte(fate: Fate) -> u8 {
    match fate {
        Fate::Delivered => 1,
        Fate::Deleted => 2,
        Fate::Expired => 3,
        Fate::Refused => 4,
    }
}

fn to_fate(byte: u8) -> Result<Fate, Trouble> {
    match byte {
        1 => Ok(Fate::Delivered),
        2 => Ok(Fate::Deleted),
        3 => Ok(Fate::Expired),
        4 => Ok(Fate::Refused),
        other => Err(Trouble::Damaged(format!("a document has the fate {other}"))),
    }
}

/// A document's row, read.
struct Document {
    fate: Fate,
    copy_of: u32,
    mapping: u32,
    expires_ms: Option<i64>,
    version: u64,
    wanted_by: Vec<(u32, u32)>,
}

impl Document {
    fn read(row: DocumentRow) -> Result<Self, Trouble> {
        let (fate, copy_of, mapping, expires_ms, version, wanted_by) = row;
        Ok(Self {
            fate: to_fate(fate)?,
            copy_of,
            mapping,
            expires_ms,
            version,
            wanted_by,
        })
    }

    fn row(&self) -> DocumentRow {
        (
            to_byte(self.fate),
            self.copy_of,
            self.mapping,
            self.expires_ms,
            self.version,
            self.wanted_by.clone(),
        )
    }

    fn wanted_by_others(&self, me: (u32, u32)) -> bool {
        self.wanted_by.iter().any(|other| *other != me)
    }
}

/// The numbers of an output and an instance, if both are known.
pub(crate) fn place(
    transaction: &ReadTransaction,
    instance: &str,
    output: &pipeline::OutputKey,
) -> Result<Option<(u32, u32)>, Trouble> {
    let output = names::find(transaction, Kind::Output, &names::of_output(output))?;
    let instance = names::find(transaction, Kind::Instance, instance)?;
    Ok(output.zip(instance))
}

pub(crate) fn remembered(
    transaction: &ReadTransaction,
    instance: &str,
    output: &pipeline::OutputKey,
    documents: &[Delivery],
) -> Result<Vec<Option<Remembered>>, Trouble> {
    let Some((output, instance)) = place(transaction, instance, output)? else {
        return Ok(vec![None; documents.len()]);
    };
    let table = transaction.open_table(DOCUMENTS)?;
    let held = transaction.open_table(HELD)?;
    let mut last: Option<(&str, u32)> = None;
    let mut found = Vec::with_capacity(documents.len());
    for delivery in documents {
        let id = delivery.document.id.as_str();
        let event = match last {
            Some((uuid, number)) if uuid == &*delivery.event => number,
            _ => {
                let number = names::find(transaction, Kind::Event, &delivery.event)?;
                // 0 is nobody's number: no row has it.
                let number = number.unwrap_or(0);
                last = Some((&delivery.event, number));
                number
            }
        };
        let Some(row) = table.get((output, id))? else {
            found.push(None);
            continue;
        };
        let document = Document::read(row.value())?;
        let seen = held.get((output, instance, event, id))?;
        let fingerprint = seen.and_then(|row| row.value().1);
        found.push(Some(Remembered {
            fate: document.fate,
            // Nobody's copy: whoever comes next sends theirs.
            fingerprint: fingerprint.filter(|_| document.copy_of != 0),
            others: document.wanted_by_others((instance, event)),
        }));
    }
    Ok(found)
}

/// Documents of an event that were not seen since `version`.
pub(crate) fn older(
    transaction: &ReadTransaction,
    (output, instance): (u32, u32),
    event: &str,
    version: u64,
    limit: usize,
) -> Result<Vec<Held>, Trouble> {
    let Some(number) = names::find(transaction, Kind::Event, event)? else {
        return Ok(Vec::new());
    };
    let held = transaction.open_table(HELD)?;
    let documents = transaction.open_table(DOCUMENTS)?;
    let from = (output, instance, number, "");
    let to = (output, instance, number.saturating_add(1), "");
    let mut found = Vec::new();
    for entry in held.range(from..to)? {
        let (key, row) = entry?;
        let (_, _, _, id) = key.value();
        let (seen, _, attribute) = row.value();
        if seen >= version {
            continue;
        }
        found.push(one_held(
            &documents,
            output,
            (instance, number),
            id,
            event,
            AttributeKey::text(attribute),
        )?);
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// An attribute that is known at an output.
pub(crate) struct KnownAttribute {
    /// As [`AttributeKey`].
    pub(crate) key: Vec<u8>,
    /// The event's number.
    pub(crate) event: u32,
    /// Its timestamp, UNIX seconds.
    pub(crate) timestamp: Option<i64>,
    /// Its document's id; empty if there is none.
    pub(crate) id: String,
}

/// Every attribute that is known of an instance at an output, by key.
pub(crate) fn attributes_of(
    transaction: &ReadTransaction,
    place: Option<(u32, u32)>,
) -> Result<impl Iterator<Item = Result<KnownAttribute, Trouble>> + use<>, Trouble> {
    // 0 is nobody's number: no row has it.
    let (output, instance) = place.unwrap_or_default();
    let none: &[u8] = &[];
    let from = (output, instance, none);
    let to = (output, instance.saturating_add(1), none);
    let rows = transaction.open_table(ATTRIBUTES)?.range(from..to)?;
    Ok(rows.map(|entry| {
        let (key, row) = entry?;
        let (event, timestamp, id) = row.value();
        Ok(KnownAttribute {
            key: key.value().2.to_vec(),
            event,
            timestamp,
            id: id.to_owned(),
        })
    }))
}

/// What is known of a document that an event holds.
pub(crate) fn one_held(
    documents: &impl ReadableTable<DocumentKey, DocumentRow>,
    output: u32,
    me: (u32, u32),
    id: &str,
    event: &str,
    attribute: Option<String>,
) -> Result<Held, Trouble> {
    let document = documents.get((output, id))?;
    let document = document
        .map(|row| Document::read(row.value()))
        .transpose()?;
    Ok(Held {
        id: id.to_owned(),
        event: event.to_owned(),
        attribute,
        fate: document.as_ref().map_or(Fate::Deleted, |known| known.fate),
        others: document.is_some_and(|known| known.wanted_by_others(me)),
    })
}

/// The table of documents, for [`one_held`].
pub(crate) fn open_documents(
    transaction: &ReadTransaction,
) -> Result<impl ReadableTable<DocumentKey, DocumentRow> + use<>, Trouble> {
    Ok(transaction.open_table(DOCUMENTS)?)
}

/// Documents of this instance's copy that have stopped being valid.
pub(crate) fn due(
    transaction: &ReadTransaction,
    (output, instance): (u32, u32),
    now_ms: i64,
    limit: usize,
) -> Result<Vec<Held>, Trouble> {
    let table = transaction.open_table(DUE)?;
    let documents = transaction.open_table(DOCUMENTS)?;
    let held = transaction.open_table(HELD)?;
    let mut found = Vec::new();
    let to = (output, instance, now_ms.saturating_add(1), "");
    for entry in table.range((output, instance, i64::MIN, "")..to)? {
        let (key, _) = entry?;
        let (_, _, _, id) = key.value();
        let Some(row) = documents.get((output, id))? else {
            continue;
        };
        let document = Document::read(row.value())?;
        let mine = document.wanted_by.iter().find(|(who, _)| *who == instance);
        let Some(&(_, event)) = mine else { continue };
        let row = held.get((output, instance, event, id))?;
        let attribute = row.and_then(|row| AttributeKey::text(row.value().2));
        found.push(Held {
            id: id.to_owned(),
            event: names::text(transaction, event)?,
            attribute,
            fate: document.fate,
            others: document.wanted_by_others((instance, event)),
        });
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Writes down what happened at one output.
pub(crate) fn record(transaction: &WriteTransaction, changes: &Changes<'_>) -> Result<(), Trouble> {
    let output = names::number(transaction, Kind::Output, &names::of_output(changes.output))?;
    let instance = names::number(transaction, Kind::Instance, changes.instance)?;
    let mut writer = Writer {
        transaction,
        documents: transaction.open_table(DOCUMENTS)?,
        held: transaction.open_table(HELD)?,
        attributes: transaction.open_table(ATTRIBUTES)?,
        due: transaction.open_table(DUE)?,
        output,
        instance,
        version: changes.version,
        last_event: None,
        last_mapping: None,
    };
    for (delivery, act) in &changes.documents {
        writer.document(delivery, *act)?;
    }
    for without in &changes.without {
        writer.without(without)?;
    }
    for let_go in &changes.let_go {
        writer.let_go(let_go)?;
    }
    Ok(())
}

struct Writer<'t> {
    transaction: &'t WriteTransaction,
    documents: Table<'t, DocumentKey, DocumentRow>,
    held: Table<'t, HeldKey, HeldRow>,
    attributes: Table<'t, AttributeTableKey, AttributeRow>,
    due: Table<'t, (u32, u32, i64, &'static str), ()>,
    output: u32,
    instance: u32,
    version: u64,
    /// The number that was asked for last, since rows of one event come together.
    last_event: Option<(String, u32)>,
    last_mapping: Option<(String, u32)>,
}

impl Writer<'_> {
    fn event(&mut self, uuid: &str) -> Result<u32, Trouble> {
        number_of(self.transaction, Kind::Event, uuid, &mut self.last_event)
    }

    fn read(&self, id: &str) -> Result<Option<Document>, Trouble> {
        let row = self.documents.get((self.output, id))?;
        row.map(|row| Document::read(row.value())).transpose()
    }

    fn document(&mut self, delivery: &Delivery, act: Act) -> Result<(), Trouble> {
        let document = &delivery.document;
        let id = document.id.as_str();
        let event = self.event(&delivery.event)?;
        let me = (self.instance, event);
        let digest = &delivery.mapping.digest;
        let mapping = number_of(
            self.transaction,
            Kind::Mapping,
            digest,
            &mut self.last_mapping,
        )?;
        let before = self.read(id)?;
        let due_before = before.as_ref().and_then(Document::due);
        let mut now = before.unwrap_or(Document {
            fate: Fate::Deleted,
            copy_of: 0,
            mapping,
            expires_ms: None,
            version: 0,
            wanted_by: Vec::new(),
        });
        let fingerprint = Some(document.fingerprint);
        now.wanted_by.retain(|other| *other != me);
        match act {
            Act::Sent(fate) => {
                now.fate = fate;
                now.copy_of = self.instance;
                now.mapping = mapping;
                now.expires_ms = document.expires_ms;
                now.version = self.version;
                if matches!(fate, Fate::Delivered | Fate::Refused) {
                    now.wanted_by.push(me);
                }
            }
            Act::Unchanged => now.wanted_by.push(me),
            Act::Absent(fate) => {
                if now.wanted_by.is_empty() {
                    now.fate = fate;
                } else if now.copy_of == self.instance {
                    self.ask_another(&mut now)?;
                }
            }
        }
        self.store(id, &now, due_before)?;
        let attribute = AttributeKey::new(document.attribute.as_deref());
        self.held.insert(
            (self.output, self.instance, event, id),
            (self.version, fingerprint, attribute.bytes()),
        )?;
        if !attribute.is_none() {
            self.attributes.insert(
                (self.output, self.instance, attribute.bytes()),
                (event, document.attribute_timestamp, id),
            )?;
        }
        Ok(())
    }

    fn without(&mut self, without: &NoDocument<'_>) -> Result<(), Trouble> {
        let event = self.event(without.event)?;
        let attribute = AttributeKey::new(Some(without.attribute));
        let key = (self.output, self.instance, attribute.bytes());
        // A document of it that went out before stays known.
        if self.attributes.get(key)?.is_none() {
            self.attributes.insert(key, (event, None, ""))?;
        }
        Ok(())
    }

    fn let_go(&mut self, let_go: &LetGo<'_>) -> Result<(), Trouble> {
        let LetGo { id, event, .. } = *let_go;
        let event = self.event(event)?;
        let me = (self.instance, event);
        if let Some(mut now) = self.read(id)? {
            let due_before = now.due();
            now.wanted_by.retain(|other| *other != me);
            match let_go.sent {
                Some(fate) => {
                    now.fate = fate;
                    now.version = self.version;
                }
                None if now.wanted_by.is_empty() => {}
                None if now.copy_of == self.instance => self.ask_another(&mut now)?,
                None => {}
            }
            self.store(id, &now, due_before)?;
        }
        if let_go.still_listed {
            return Ok(());
        }
        self.held.remove((self.output, self.instance, event, id))?;
        let attribute = AttributeKey::new(let_go.attribute);
        if !attribute.is_none() {
            let key = (self.output, self.instance, attribute.bytes());
            let same = self
                .attributes
                .get(key)?
                .is_some_and(|row| row.value().0 == event && row.value().2 == id);
            if same {
                self.attributes.remove(key)?;
            }
        }
        Ok(())
    }

    /// The copy that is out is nobody's any more: another who wants it is to send theirs.
    fn ask_another(&mut self, document: &mut Document) -> Result<(), Trouble> {
        document.copy_of = 0;
        if let Some(&(instance, event)) = document.wanted_by.first() {
            wanted::add(self.transaction, instance, event)?;
        }
        Ok(())
    }

    fn store(
        &mut self,
        id: &str,
        document: &Document,
        due_before: Option<(u32, i64)>,
    ) -> Result<(), Trouble> {
        let due = document.due();
        if due_before != due {
            if let Some((instance, at)) = due_before {
                self.due.remove((self.output, instance, at, id))?;
            }
            if let Some((instance, at)) = due {
                self.due.insert((self.output, instance, at, id), ())?;
            }
        }
        self.documents.insert((self.output, id), document.row())?;
        Ok(())
    }
}

impl Document {
    /// Whose copy expires when, if it is there.
    fn due(&self) -> Option<(u32, i64)> {
        let there = matches!(self.fate, Fate::Delivered | Fate::Refused) && self.copy_of != 0;
        self.expires_ms
            .filter(|_| there)
            .map(|at| (self.copy_of, at))
    }
}

fn number_of(
    transaction: &WriteTransaction,
    kind: Kind,
    text: &str,
    last: &mut Option<(String, u32)>,
) -> Result<u32, Trouble> {
    if let Some((known, number)) = last
        && known == text
    {
        return Ok(*number);
    }
    let number = names::number(transaction, kind, text)?;
    *last = Some((text.to_owned(), number));
    Ok(number)
}

/// Forgets what an instance holds; says whether it held anything.
pub(crate) fn forget(transaction: &WriteTransaction, instance: u32) -> Result<bool, Trouble> {
    let mut any = false;
    let mut held = transaction.open_table(HELD)?;
    held.retain(|(_, who, _, _), _| {
        any |= who == instance;
        who != instance
    })?;
    let mut attributes = transaction.open_table(ATTRIBUTES)?;
    attributes.retain(|(_, who, _), _| who != instance)?;
    let mut due = transaction.open_table(DUE)?;
    due.retain(|(_, who, _, _), ()| who != instance)?;
    let mut documents = transaction.open_table(DOCUMENTS)?;
    // What others want too stays, as nobody's copy; rows cannot be changed while they are
    // gone through.
    let mut shared = Vec::new();
    documents.retain(|(output, id), row| {
        let (fate, copy_of, mapping, expires_ms, version, mut wanted_by) = row;
        let mine = copy_of == instance || wanted_by.iter().any(|(who, _)| *who == instance);
        if !mine {
            return true;
        }
        wanted_by.retain(|(who, _)| *who != instance);
        if !wanted_by.is_empty() {
            let copy_of = if copy_of == instance { 0 } else { copy_of };
            let row = (fate, copy_of, mapping, expires_ms, version, wanted_by);
            shared.push((output, id.to_owned(), row));
        }
        false
    })?;
    for (output, id, row) in shared {
        documents.insert((output, id.as_str()), row)?;
    }
    Ok(any)
}
