//! Numbers for texts that stand in many rows: outputs, instances, mappings, events.

use pipeline::{MappingIdentity, OutputKey};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::error::Trouble;

/// Kind and text to number. Numbers begin at 1 and are never used again.
const NUMBERS: TableDefinition<'_, (u8, &str), u32> = TableDefinition::new("names");
/// Number to text.
const TEXTS: TableDefinition<'_, u32, &str> = TableDefinition::new("name_texts");

/// What a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An instance of MISP.
    Instance = 1,
    /// An output: its name, a unit separator, its target.
    Output = 2,
    /// A mapping: its digest, name, version and settings, with unit separators between them. Before
    /// schema 3 the digest alone, before settings were known without them.
    Mapping = 3,
    /// An event's uuid. The same event on two instances is the same number.
    Event = 4,
}

pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(NUMBERS)?;
    transaction.open_table(TEXTS)?;
    Ok(())
}

/// The number of a text, given out now if it has none.
pub(crate) fn number(
    transaction: &WriteTransaction,
    kind: Kind,
    text: &str,
) -> Result<u32, Trouble> {
    let mut numbers = transaction.open_table(NUMBERS)?;
    if let Some(known) = numbers.get((kind as u8, text))? {
        return Ok(known.value());
    }
    let mut texts = transaction.open_table(TEXTS)?;
    let last = texts.last()?.map_or(0, |(number, _)| number.value());
    let next = last
        .checked_add(1)
        .ok_or_else(|| Trouble::Damaged("no number is left for a name".to_owned()))?;
    numbers.insert((kind as u8, text), next)?;
    texts.insert(next, text)?;
    Ok(next)
}

/// The number of a text, if it has one.
pub(crate) fn find(
    transaction: &ReadTransaction,
    kind: Kind,
    text: &str,
) -> Result<Option<u32>, Trouble> {
    let numbers = transaction.open_table(NUMBERS)?;
    Ok(numbers.get((kind as u8, text))?.map(|known| known.value()))
}

/// As [`find`], in a transaction that writes.
pub(crate) fn find_while_writing(
    transaction: &WriteTransaction,
    kind: Kind,
    text: &str,
) -> Result<Option<u32>, Trouble> {
    let numbers = transaction.open_table(NUMBERS)?;
    Ok(numbers.get((kind as u8, text))?.map(|known| known.value()))
}

/// Every text of a kind.
pub(crate) fn all(transaction: &ReadTransaction, kind: Kind) -> Result<Vec<String>, Trouble> {
    let mut found = Vec::new();
    let numbers = transaction.open_table(NUMBERS)?;
    for entry in numbers.range((kind as u8, "")..(kind as u8 + 1, ""))? {
        found.push(entry?.0.value().1.to_owned());
    }
    Ok(found)
}

/// Gives the number of a text to another text, which has none.
pub(crate) fn rename(
    transaction: &WriteTransaction,
    kind: Kind,
    old: &str,
    new: &str,
) -> Result<(), Trouble> {
    if let Some(number) = remove(transaction, kind, old)? {
        transaction
            .open_table(NUMBERS)?
            .insert((kind as u8, new), number)?;
        transaction.open_table(TEXTS)?.insert(number, new)?;
    }
    Ok(())
}

/// Forgets the number of a text; returns it. It is not used again.
pub(crate) fn remove(
    transaction: &WriteTransaction,
    kind: Kind,
    text: &str,
) -> Result<Option<u32>, Trouble> {
    let mut numbers = transaction.open_table(NUMBERS)?;
    let removed = numbers.remove((kind as u8, text))?;
    Ok(removed.map(|number| number.value()))
}

/// The text of a number.
pub(crate) fn text(transaction: &ReadTransaction, number: u32) -> Result<String, Trouble> {
    let texts = transaction.open_table(TEXTS)?;
    let text = texts.get(number)?;
    text.map(|text| text.value().to_owned())
        .ok_or_else(|| Trouble::Damaged(format!("the name {number} is missing")))
}

/// The numbers of every output.
pub(crate) fn outputs(transaction: &ReadTransaction) -> Result<Vec<u32>, Trouble> {
    outputs_in(&transaction.open_table(NUMBERS)?)
}

/// As [`outputs`], in a transaction that writes.
pub(crate) fn outputs_while_writing(transaction: &WriteTransaction) -> Result<Vec<u32>, Trouble> {
    outputs_in(&transaction.open_table(NUMBERS)?)
}

/// The names of every instance, in a transaction that writes.
pub(crate) fn instances_while_writing(
    transaction: &WriteTransaction,
) -> Result<Vec<String>, Trouble> {
    let kind = Kind::Instance as u8;
    let mut found = Vec::new();
    let numbers = transaction.open_table(NUMBERS)?;
    for entry in numbers.range((kind, "")..(kind + 1, ""))? {
        found.push(entry?.0.value().1.to_owned());
    }
    Ok(found)
}

fn outputs_in(numbers: &impl ReadableTable<(u8, &'static str), u32>) -> Result<Vec<u32>, Trouble> {
    let kind = Kind::Output as u8;
    let mut found = Vec::new();
    for entry in numbers.range((kind, "")..(kind + 1, ""))? {
        found.push(entry?.1.value());
    }
    Ok(found)
}

/// How an output is named here.
pub(crate) fn of_output(output: &OutputKey) -> String {
    // No name in a configuration file holds a control character.
    format!("{}\u{1f}{}", output.name, output.target)
}

/// The output of a number.
pub(crate) fn output(transaction: &ReadTransaction, number: u32) -> Result<OutputKey, Trouble> {
    let text = text(transaction, number)?;
    let (name, target) = text.split_once('\u{1f}').unwrap_or((&text, ""));
    Ok(OutputKey {
        name: name.to_owned(),
        target: target.to_owned(),
    })
}

/// How a mapping is named here.
pub(crate) fn of_mapping(mapping: &MappingIdentity) -> String {
    let MappingIdentity {
        name,
        version,
        digest,
        settings,
    } = mapping;
    format!("{digest}\u{1f}{name}\u{1f}{version}\u{1f}{settings}")
}

/// The mapping of a number; nothing is known of 0 but that it is one.
pub(crate) fn mapping(
    transaction: &ReadTransaction,
    number: u32,
) -> Result<MappingIdentity, Trouble> {
    let text = match number {
        0 => String::new(),
        number => text(transaction, number)?,
    };
    Ok(mapping_of(&text))
}

/// The mapping that is named so.
pub(crate) fn mapping_of(text: &str) -> MappingIdentity {
    let mut parts = text.split('\u{1f}');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let digest = part();
    MappingIdentity {
        name: part(),
        version: part(),
        digest,
        settings: part(),
    }
}

/// As [`text`], in a transaction that writes.
pub(crate) fn text_while_writing(
    transaction: &WriteTransaction,
    number: u32,
) -> Result<String, Trouble> {
    let texts = transaction.open_table(TEXTS)?;
    let text = texts.get(number)?.map(|text| text.value().to_owned());
    text.ok_or_else(|| Trouble::Damaged(format!("the name {number} is missing")))
}
