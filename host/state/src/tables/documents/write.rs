//! What happened to documents, written down.

use pipeline::{Act, Changes, Delivery, Fate, LetGo, NoDocument};
use redb::{ReadableTable, Table, WriteTransaction};

use super::{
    ATTRIBUTES, AttributeRow, AttributeTableKey, DOCUMENTS, DUE, Document, DocumentKey,
    DocumentRow, HELD, HeldKey, HeldRow, of_event,
};
use crate::attribute_key::AttributeKey;
use crate::error::Trouble;
use crate::tables::names::{self, Kind};
use crate::tables::wanted;

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

/// Lets documents of an event be sent again whatever their fingerprint, those that `which` picks by
/// id and fate; says how many.
pub(crate) fn send_again(
    transaction: &WriteTransaction,
    (output, instance, event): (u32, u32, u32),
    which: &dyn Fn(&str, Fate) -> bool,
) -> Result<u64, Trouble> {
    let documents = transaction.open_table(DOCUMENTS)?;
    let mut held = transaction.open_table(HELD)?;
    let mut picked = Vec::new();
    for entry in held.range(of_event((output, instance), event))? {
        let (key, row) = entry?;
        let (_, _, _, id) = key.value();
        let Some(document) = documents.get((output, id))? else {
            continue;
        };
        if which(id, Document::read(document.value())?.fate) {
            let (seen, _, attribute) = row.value();
            picked.push((id.to_owned(), seen, attribute.to_vec()));
        }
    }
    for (id, seen, attribute) in &picked {
        let key = (output, instance, event, id.as_str());
        held.insert(key, (*seen, None, attribute.as_slice()))?;
    }
    Ok(picked.len() as u64)
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
        let mapping = number_of(
            self.transaction,
            Kind::Mapping,
            &names::of_mapping(&delivery.mapping),
            &mut self.last_mapping,
        )?;
        let before = self.read(id)?;
        let due_before = before.as_ref().and_then(Document::due);
        let mut now = before.unwrap_or(Document {
            fate: Fate::Deleted,
            copy_of: 0,
            places: Vec::new(),
            expires_ms: None,
            version: 0,
            wanted_by: Vec::new(),
            revision: 0,
            content: None,
        });
        // What may not have arrived is sent again whatever its fingerprint.
        let fingerprint = (act != Act::Sent(Fate::Sent)).then_some(document.fingerprint);
        now.wanted_by.retain(|other| *other != me);
        match act {
            Act::Sent(fate) => {
                now.fate = fate;
                now.copy_of = self.instance;
                now.sends(fate.may_be_there().then_some(document.fingerprint));
                match fate {
                    // Where it was before, it may still be.
                    Fate::Sent => now.may_be_under(mapping),
                    Fate::Delivered | Fate::Refused => now.places = vec![mapping],
                    Fate::Deleted | Fate::Expired => now.places.clear(),
                }
                now.expires_ms = document.expires_ms;
                now.version = self.version;
                if fate.may_be_there() {
                    now.wanted_by.push(me);
                }
            }
            Act::Unchanged => {
                now.wanted_by.push(me);
                if now.copy_of == self.instance {
                    // Made by another, and this one would make the same.
                    now.may_be_under(mapping);
                }
            }
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
            if let_go.sent == Some(Fate::Sent) {
                now.fate = Fate::Sent;
                now.version = self.version;
                now.sends(None);
                return self.store(id, &now, due_before);
            }
            now.wanted_by.retain(|other| *other != me);
            match let_go.sent {
                Some(fate) => {
                    now.fate = fate;
                    now.version = self.version;
                    now.sends(None);
                    now.places.clear();
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
