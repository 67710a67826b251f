//! Lists in the order in which their entries came, each key once, in linear time.

use std::collections::BTreeMap;

/// The number of entries up to which each is compared with all others: most lists have fewer.
const FEW: usize = 16;

/// A list whose entries have a key.
#[derive(Debug, Clone)]
pub(crate) struct Unique<T> {
    entries: Vec<T>,
    /// The places of all keys, once there are more than [`FEW`].
    places: BTreeMap<String, usize>,
}

/// An entry of a [`Unique`].
pub(crate) trait Keyed {
    fn key(&self) -> &str;
}

impl Keyed for String {
    fn key(&self) -> &str {
        self
    }
}

impl<T> Default for Unique<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            places: BTreeMap::new(),
        }
    }
}

impl<T: Keyed> Unique<T> {
    /// The entry of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(self.place(key)?)
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        let place = self.place(key)?;
        self.entries.get_mut(place)
    }

    fn place(&self, key: &str) -> Option<usize> {
        if self.entries.len() <= FEW {
            return self.entries.iter().position(|entry| entry.key() == key);
        }
        self.places.get(key).copied()
    }

    /// Appends an entry unless its key is there already; returns whether it did.
    pub(crate) fn insert(&mut self, entry: T) -> bool {
        if self.get(entry.key()).is_some() {
            return false;
        }
        self.entries.push(entry);
        match self.entries.len() {
            0..=FEW => {}
            length if self.places.is_empty() => {
                let entries = self.entries.iter().take(length);
                let keys = entries.map(|entry| entry.key().to_owned());
                self.places = keys.zip(0..).collect();
            }
            length => {
                if let Some(last) = self.entries.last() {
                    self.places.insert(last.key().to_owned(), length - 1);
                }
            }
        }
        true
    }

    /// The entries in order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.entries.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T: Keyed> FromIterator<T> for Unique<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut unique = Self::default();
        for entry in entries {
            unique.insert(entry);
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_once_and_in_order_however_many() {
        for count in [0, 1, FEW, FEW + 1, FEW + 2, 200] {
            let names = || (0..count).map(|number| format!("n{number}"));
            let unique: Unique<String> = names().chain(names()).collect();
            assert!(unique.iter().cloned().eq(names()), "{count}");
            assert!(names().all(|name| unique.get(&name) == Some(&name)));
            assert_eq!(unique.get("other"), None);
        }
    }
}
