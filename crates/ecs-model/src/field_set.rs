//! A set of fields, a bit each.

use crate::{Catalogue, FieldId};

const BITS: usize = u64::BITS as usize;
/// No catalogue has more than 256 fields: [`Catalogue::new`] does not compile with more.
const WORDS: usize = Catalogue::LIMIT / BITS;

/// A set of fields of one catalogue.
#[derive(Debug, Clone, Copy, Default)]
pub struct FieldSet([u64; WORDS]);

impl PartialEq for FieldSet {
    fn eq(&self, other: &Self) -> bool {
        // By words: what is derived compares byte by byte in wasm.
        let words = self.0.iter().zip(&other.0);
        words.fold(0, |different, (one, other)| different | (one ^ other)) == 0
    }
}

impl Eq for FieldSet {}

impl FieldSet {
    /// These fields.
    pub fn of(fields: &[FieldId]) -> Self {
        let mut set = Self::default();
        fields.iter().for_each(|field| set.insert(*field));
        set
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(0);
    }

    pub(crate) fn insert(&mut self, field: FieldId) {
        if let Some(word) = self.0.get_mut(field.index() / BITS) {
            *word |= 1 << (field.index() % BITS);
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: FieldId) {
        if let Some(word) = self.0.get_mut(field.index() / BITS) {
            *word &= !(1 << (field.index() % BITS));
        }
    }

    pub(crate) fn has(&self, field: FieldId) -> bool {
        let word = self.0.get(field.index() / BITS).copied().unwrap_or(0);
        word >> (field.index() % BITS) & 1 == 1
    }

    /// Does something with the fields that are not in `other`, in catalogue order.
    pub(crate) fn each_without(&self, other: &Self, mut action: impl FnMut(FieldId)) {
        for (place, (word, other)) in self.0.iter().zip(&other.0).enumerate() {
            let mut rest = *word & !*other;
            while rest != 0 {
                action(FieldId::at(place * BITS + rest.trailing_zeros() as usize));
                // Takes the lowest bit away.
                rest &= rest - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_put_in() {
        let mut set = FieldSet::default();
        let put = [0, 1, 63, 64, 127, 128, 199];
        for index in put {
            set.insert(FieldId::at(index));
        }
        let has: Vec<usize> = (0..200)
            .filter(|index| set.has(FieldId::at(*index)))
            .collect();
        assert_eq!(has, put);
        let mut other = FieldSet::default();
        let listed = |other: &FieldSet| {
            let mut listed = Vec::new();
            set.each_without(other, |field| listed.push(field.index()));
            listed
        };
        assert_eq!(listed(&other), put);
        for index in [0, 2, 127] {
            other.insert(FieldId::at(index));
        }
        assert_eq!(listed(&other), [1, 63, 64, 128, 199]);
        set.remove(FieldId::at(64));
        assert!(!set.has(FieldId::at(64)) && set.has(FieldId::at(63)));
        set.clear();
        assert_eq!(set, FieldSet::default());
    }
}
