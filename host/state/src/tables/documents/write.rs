//! What happened to documents, written down.

use std::sync::Arc;

use pipeline::{Act, Changes, Delivery, Fate, LetGo, MappingIdentity, NoDocument};
use redb::ReadableTable;

use super::attributes::{self, REFUSED};
use super::block::Hold;
use super::blocks::Written;
use super::document::Document;
use crate::attribute_key::AttributeKey;
use crate::error::Trouble;
use crate::precedence::Ranks;
use crate::tables::names::{self, Kind};
use crate::tables::wanted;
use crate::transaction::Writing;

/// Writes down what happened at one output.
pub(crate) fn record(transaction: &Writing, changes: &Changes<'_>) -> Result<(), Trouble> {
    let output = names::number(transaction, Kind::Output, &names::of_output(changes.output))?;
    let instance = names::number(transaction, Kind::Instance, changes.instance)?;
    let is_any_refused = transaction.open_table(REFUSED)?.first()?.is_some();
    let mut writer = Writer {
        transaction,
        blocks: Written::open_to_write(transaction, output)?,
        output,
        instance,
        version: changes.version,
        is_any_refused,
        ranks: transaction.ranks()?,
        last_event: None,
        last_mapping: None,
    };
    for (delivery, act) in &changes.documents {
        writer.document(delivery, *act)?;
        writer.blocks.flush_much(transaction)?;
    }
    for without in &changes.without {
        writer.without(without)?;
    }
    for let_go in &changes.let_go {
        writer.let_go(let_go)?;
        writer.blocks.flush_much(transaction)?;
    }
    writer.blocks.flush(transaction)
}

/// Lets documents of an event be sent again whatever their fingerprint, those that `which` picks by
/// id and fate; says how many.
pub(crate) fn send_again(
    transaction: &Writing,
    (output, instance, event): (u32, u32, u32),
    which: &dyn Fn(&str, Fate) -> bool,
) -> Result<u64, Trouble> {
    let mut blocks = Written::open_to_write(transaction, output)?;
    let (mut picked, mut start) = (0, Some(String::new()));
    while let Some(from) = start {
        let (row, next) = blocks.row_from(event, &from)?;
        for entry in row {
            let document = blocks.document(event, &entry.id)?;
            let Some(fate) = document.map(|document| document.fate) else {
                continue;
            };
            let holds: Vec<Hold> = entry.holds_of(instance).cloned().collect();
            if holds.is_empty() || !which(&entry.id, fate) {
                continue;
            }
            picked += 1;
            for hold in holds {
                let fingerprint = None;
                blocks.hold(
                    event,
                    &entry.id,
                    Hold {
                        fingerprint,
                        ..hold
                    },
                )?;
            }
        }
        blocks.flush(transaction)?;
        start = next;
    }
    Ok(picked)
}

struct Writer<'t> {
    transaction: &'t Writing,
    blocks: Written<'t>,
    output: u32,
    instance: u32,
    version: u64,
    is_any_refused: bool,
    ranks: Ranks,
    /// The number that was asked for last, since documents of one event come together.
    last_event: Option<(String, u32)>,
    last_mapping: Option<(Arc<MappingIdentity>, u32)>,
}

impl Writer<'_> {
    fn event(&mut self, uuid: &str) -> Result<u32, Trouble> {
        if let Some((known, number)) = &self.last_event
            && known == uuid
        {
            return Ok(*number);
        }
        let number = names::number(self.transaction, Kind::Event, uuid)?;
        self.last_event = Some((uuid.to_owned(), number));
        Ok(number)
    }

    fn mapping(&mut self, mapping: &Arc<MappingIdentity>) -> Result<u32, Trouble> {
        if let Some((known, number)) = &self.last_mapping
            && Arc::ptr_eq(known, mapping)
        {
            return Ok(*number);
        }
        let text = names::of_mapping(mapping);
        let number = names::number(self.transaction, Kind::Mapping, &text)?;
        self.last_mapping = Some((Arc::clone(mapping), number));
        Ok(number)
    }

    fn document(&mut self, delivery: &Delivery, act: Act) -> Result<(), Trouble> {
        let (act, hash) = match act {
            Act::Stored(hash) => (Act::Sent(Fate::Delivered), Some(hash)),
            act => (act, None),
        };
        let document = &delivery.document;
        let id = document.id.as_str();
        let event = self.event(&delivery.event)?;
        let me = (self.instance, event);
        let mapping = self.mapping(&delivery.mapping)?;
        let home = self.blocks.home(event, id)?;
        let mut now = self.document_at(home, id)?.unwrap_or_else(Document::new);
        // What may not have arrived is sent again whatever its fingerprint.
        let fingerprint = (act != Act::Sent(Fate::Sent)).then_some(document.fingerprint);
        now.unwanted_by(me);
        if let Act::Sent(fate) | Act::Stale(fate) = act
            && fate.may_be_there()
        {
            now.wanted_by.push(me);
        }
        match act {
            Act::Sent(Fate::Sent) if self.version < now.version => {}
            Act::Sent(_) if self.version < now.version => self.ask_others(&mut now)?,
            // It was taken apart above.
            Act::Stored(_) => {}
            Act::Sent(fate) => {
                now.fate = fate;
                now.hash = hash;
                now.copy_of = self.instance;
                let content = fate.may_be_there().then_some(document.fingerprint);
                now.sends(content, self.version);
                match fate {
                    // Where it was before, it may still be.
                    Fate::Sent => now.may_be_under(mapping),
                    Fate::Delivered | Fate::Refused => now.places = vec![mapping],
                    Fate::Deleted | Fate::Expired => now.places.clear(),
                }
                now.expires_ms = document.expires_ms;
                now.version = self.version;
                if !fate.may_be_there() {
                    self.want_all(&mut now)?;
                }
            }
            Act::Stale(_) => self.stale(&mut now)?,
            Act::Unchanged => {
                now.wanted_by.push(me);
                if now.copy_of == self.instance {
                    // Made by another, and this one would make the same.
                    now.may_be_under(mapping);
                    now.expires_ms = document.expires_ms;
                }
            }
            Act::Absent(fate) => {
                let is_wanted = self.ranks.first(&now.wanted_by).is_some();
                if !is_wanted && now.fate.may_be_there() {
                    // Another event of the same batch wanted it until now, so no delete was sent:
                    // the next look for expired documents deletes it.
                    now.wanted_by.push(me);
                    now.copy_of = self.instance;
                    now.expires_ms = Some(0);
                } else if !is_wanted {
                    now.fate = fate;
                    now.expires_ms = document.expires_ms;
                } else if now.copy_of == self.instance || now.copy_of == 0 {
                    self.ask_others(&mut now)?;
                }
            }
        }
        self.blocks.set(home.unwrap_or(event), id, now)?;
        let attribute = AttributeKey::new(document.attribute.as_deref());
        if self.is_any_refused && !attribute.is_none() {
            let mut refused = self.transaction.open_table(REFUSED)?;
            refused.remove((self.output, self.instance, attribute.bytes()))?;
        }
        let hold = Hold {
            instance: self.instance,
            attribute: attribute.into_bytes(),
            timestamp: document.attribute_timestamp,
            seen: self.version,
            fingerprint,
        };
        self.blocks.hold(event, id, hold)
    }

    fn document_at(&mut self, home: Option<u32>, id: &str) -> Result<Option<Document>, Trouble> {
        let Some(home) = home else { return Ok(None) };
        let entry = self.blocks.find(home, id)?;
        Ok(entry.and_then(|entry| entry.document.clone()))
    }

    fn without(&mut self, without: &NoDocument<'_>) -> Result<(), Trouble> {
        let event = self.event(without.event)?;
        let attribute = AttributeKey::new(Some(without.attribute));
        let place = (self.output, self.instance);
        attributes::refuse(self.transaction, place, attribute.bytes(), event)
    }

    fn let_go(&mut self, let_go: &LetGo<'_>) -> Result<(), Trouble> {
        let LetGo { id, event, .. } = *let_go;
        let event = self.event(event)?;
        let attribute = AttributeKey::new(let_go.attribute);
        let me = (self.instance, event);
        let entry = self.blocks.find(event, id)?;
        let is_last =
            !entry.is_some_and(|entry| entry.is_held_beside(self.instance, attribute.bytes()));
        let home = self.blocks.home(event, id)?;
        if let Some(home) = home
            && let Some(mut now) = self.document_at(Some(home), id)?
        {
            match let_go.sent {
                Some(Fate::Sent) if self.version < now.version => {
                    if let_go.still_listed {
                        return Ok(());
                    }
                    now.unwanted_by(me);
                }
                Some(_) if self.version < now.version => {
                    now.unwanted_by(me);
                    self.ask_others(&mut now)?;
                }
                Some(fate) => {
                    now.fate = fate;
                    now.version = self.version;
                    now.sends(None, self.version);
                    if fate == Fate::Sent {
                        return self.blocks.set(home, id, now);
                    }
                    now.unwanted_by(me);
                    self.want_all(&mut now)?;
                    now.places.clear();
                }
                None if is_last || let_go.still_listed => {
                    if is_last {
                        now.unwanted_by(me);
                    }
                    if self.ranks.first(&now.wanted_by).is_none() {
                        // Not without a word to the output.
                        if now.fate.may_be_there() {
                            return Ok(());
                        }
                    } else if now.copy_of == self.instance || now.copy_of == 0 {
                        self.ask_others(&mut now)?;
                    }
                }
                None => {}
            }
            self.blocks.set(home, id, now)?;
        }
        if let_go.still_listed {
            return Ok(());
        }
        if id.is_empty() {
            let mut refused = self.transaction.open_table(REFUSED)?;
            refused.remove((self.output, self.instance, attribute.bytes()))?;
            return Ok(());
        }
        let entry = self.blocks.change(event, id)?;
        entry
            .holds
            .retain(|hold| hold.instance != self.instance || hold.attribute != attribute.bytes());
        Ok(())
    }

    /// Marks the copy that the output has as nobody's. Every configured instance that wants the
    /// document reads it again, and sends its copy if it takes precedence and has not expired.
    fn ask_others(&mut self, document: &mut Document) -> Result<(), Trouble> {
        document.copy_of = 0;
        for &(instance, event) in &document.wanted_by {
            if self.ranks.of(instance).is_some() {
                wanted::add(self.transaction, instance, event)?;
            }
        }
        Ok(())
    }

    /// The output has something newer than what this instance sent.
    fn stale(&mut self, document: &mut Document) -> Result<(), Trouble> {
        if self.version < document.version {
            // It is known here, and stays, unless its instance must not have replaced this one's.
            let mine = self.ranks.of(self.instance);
            if !Ranks::is_before(mine, self.ranks.of(document.copy_of)) {
                return Ok(());
            }
        } else {
            // Nothing here knows of it: it is not from this host, or from before its state.
            document.fate = Fate::Sent;
        }
        self.ask_others(document)
    }

    /// Notes that the document is gone for everybody: whoever wants it is to send it again.
    fn want_all(&mut self, document: &mut Document) -> Result<(), Trouble> {
        for (instance, event) in std::mem::take(&mut document.wanted_by) {
            wanted::add(self.transaction, instance, event)?;
        }
        Ok(())
    }
}
