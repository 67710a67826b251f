//! A set of fields, a bit each.

use std::ops::Range;

use crate::FieldId;

const BITS: usize = u64::BITS as usize;

/// A set of fields of one catalogue.
#[derive(Debug, Clone)]
pub(crate) struct FieldSet(Vec<u64>);

impl FieldSet {
    /// An empty one for a catalogue of so many fields.
    pub(crate) fn new(fields: usize) -> Self {
        Self(vec![0; fields.div_ceil(BITS)])
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(0);
    }

    pub(crate) fn insert(&mut self, field: FieldId) {
        if let Some(word) = self.0.get_mut(field.index() / BITS) {
            *word |= 1 << (field.index() % BITS);
        }
    }

    pub(crate) fn remove(&mut self, field: FieldId) {
        if let Some(word) = self.0.get_mut(field.index() / BITS) {
            *word &= !(1 << (field.index() % BITS));
        }
    }

    pub(crate) fn has(&self, field: FieldId) -> bool {
        let word = self.0.get(field.index() / BITS).copied().unwrap_or(0);
        word >> (field.index() % BITS) & 1 == 1
    }

    /// Is one of these fields in it?
    pub(crate) fn any_in(&self, fields: &Range<usize>) -> bool {
        let mut at = fields.start;
        while at < fields.end {
            let word = self.0.get(at / BITS).copied().unwrap_or(0) >> (at % BITS);
            let here = (BITS - at % BITS).min(fields.end - at);
            let mask = if here == BITS {
                u64::MAX
            } else {
                (1 << here) - 1
            };
            if word & mask != 0 {
                return true;
            }
            at += here;
        }
        false
    }

    /// The fields in catalogue order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = FieldId> {
        self.0.iter().enumerate().flat_map(|(place, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                // Takes the lowest bit away; of none, nothing.
                rest &= rest.checked_sub(1)?;
                Some(FieldId::at(place * BITS + bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_put_in() {
        let mut set = FieldSet::new(200);
        let put = [0, 1, 63, 64, 127, 128, 199];
        for index in put {
            set.insert(FieldId::at(index));
        }
        let has: Vec<usize> = (0..200)
            .filter(|index| set.has(FieldId::at(*index)))
            .collect();
        assert_eq!(has, put);
        let listed: Vec<usize> = set.iter().map(FieldId::index).collect();
        assert_eq!(listed, put);
        for start in 0..200 {
            for end in start..=200 {
                let any = put.iter().any(|index| (start..end).contains(index));
                assert_eq!(set.any_in(&(start..end)), any, "{start}..{end}");
            }
        }
        set.remove(FieldId::at(64));
        assert!(!set.has(FieldId::at(64)) && set.has(FieldId::at(63)));
        set.clear();
        assert_eq!(set.iter().count(), 0);
    }
}
