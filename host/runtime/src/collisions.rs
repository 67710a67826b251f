//! Ids that two documents of a batch share. One would replace the other at every output:
//! an attribute would be lost without a word.

use std::collections::HashMap;

use pipeline::{Document, Mapped, Outcome};

/// Whose document it is. The same attribute may come twice in a batch, and has the same id then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner<'a> {
    Attribute(&'a str),
    /// Of an event without attributes, or of an attribute that does not say which.
    Event(&'a str),
}

impl<'a> Owner<'a> {
    fn of(outcome: &'a Outcome, document: &'a Document) -> Self {
        match &document.attribute {
            Some(uuid) => Self::Attribute(uuid),
            None => Self::Event(&outcome.event),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Attribute(uuid) => format!("the attribute {uuid}"),
            Self::Event(uuid) => format!("the event {uuid}"),
        }
    }
}

/// Does any id of a batch belong to two?
pub(crate) fn any(mapped: &[Mapped]) -> bool {
    let outcomes = mapped.iter().flatten();
    let documents = outcomes.map(|outcome| outcome.documents.len()).sum();
    let mut owners = HashMap::with_capacity(documents);
    mapped.iter().flatten().any(|outcome| {
        outcome.documents.iter().any(|document| {
            let owner = Owner::of(outcome, document);
            let before = owners.insert(document.id.as_str(), owner);
            before.is_some_and(|before| before != owner)
        })
    })
}

/// The ids that are given away, and the names of their owners.
#[derive(Debug, Default)]
pub(crate) struct Taken(HashMap<String, String>);

impl Taken {
    /// Takes the ids of an outcome, or none of them.
    ///
    /// # Errors
    /// What collides, one sentence.
    pub(crate) fn take(&mut self, outcome: &Outcome) -> Result<(), String> {
        let mut new: HashMap<&str, String> = HashMap::new();
        for document in &outcome.documents {
            let id = document.id.as_str();
            let owner = Owner::of(outcome, document).name();
            let before = self.0.get(id).or_else(|| new.get(id));
            if let Some(before) = before.filter(|before| **before != owner) {
                return Err(format!("{before} has the id {id:?} already"));
            }
            new.insert(id, owner);
        }
        self.0
            .extend(new.into_iter().map(|(id, owner)| (id.to_owned(), owner)));
        Ok(())
    }
}
