//! JSON objects, and the keys that objects of one shape share.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use crate::Json;

/// A JSON object, its members sorted by key (members of one key in input order).
///
/// Sorted because every output of this project is: sorted copies then cost nothing more. The
/// objects of a list mostly have the same keys in the same order: those share them.
#[derive(Debug, Clone, Default)]
pub struct Object<'a> {
    shape: Option<Rc<Shape<'a>>>,
    /// In input order.
    values: Vec<Json<'a>>,
}

impl<'a> Object<'a> {
    pub(crate) fn new(shape: Rc<Shape<'a>>, values: Vec<Json<'a>>) -> Self {
        Self {
            shape: Some(shape),
            values,
        }
    }

    /// The value of a key. Of several members with that key the last counts.
    // Inlined, since the prefix of a literal is one too.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.find(prefix(key), key)
    }

    /// As [`Self::get`]; `prefix` is the [`prefix`] of the key.
    pub fn find(&self, prefix: u64, key: &str) -> Option<&Json<'a>> {
        let found = self.shape.as_ref()?.find(prefix, key)?;
        self.values.get(found.place)
    }

    /// The value of a key, unless it is absent or `null`.
    #[inline]
    pub fn some(&self, key: &str) -> Option<&Json<'a>> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Every value of a key, in input order.
    pub fn all<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'s Json<'a>> + 's {
        let prefix = prefix(key);
        let same = self.keys().iter().filter(move |one| one.is(prefix, key));
        same.filter_map(|one| self.values.get(one.place))
    }

    /// Is the key there?
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The members in key order, each key once: of several the last counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        let counting = self.keys().iter().filter(|key| key.counts);
        counting.filter_map(|key| Some((key.text.as_ref(), self.values.get(key.place)?)))
    }

    /// Calls `action` with every member, also with those of a key that is given again.
    pub(crate) fn for_each_mut(&mut self, mut action: impl FnMut(&str, &mut Json<'a>)) {
        for key in self.shape.iter().flat_map(|shape| &shape.keys) {
            if let Some(value) = self.values.get_mut(key.place) {
                action(&key.text, value);
            }
        }
    }

    /// The value at a place: [`Shape::places`].
    pub fn at(&self, place: usize) -> Option<&Json<'a>> {
        self.values.get(place)
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Has it no member?
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn keys(&self) -> &[Key<'a>] {
        self.shape.as_ref().map_or(&[], |shape| &shape.keys)
    }

    fn members(&self) -> impl Iterator<Item = (&str, Option<&Json<'a>>)> {
        let keys = self.keys().iter();
        keys.map(|key| (key.text.as_ref(), self.values.get(key.place)))
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.shape, &other.shape) {
            (Some(one), Some(two)) if Rc::ptr_eq(one, two) => self.values == other.values,
            _ => self.members().eq(other.members()),
        }
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Json<'a>)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Json<'a>)>>(members: I) -> Self {
        let (keys, values): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        Self::new(Rc::new(Shape::new(keys)), values)
    }
}

/// The keys of an object, and where their values are.
#[derive(Debug)]
pub struct Shape<'a> {
    /// Sorted; those of one text in input order.
    keys: Vec<Key<'a>>,
    /// For each key that counts its place in `keys`, plus one, where its hash says or in the
    /// next slot that was free; the others are 0. Empty for large objects.
    slots: Vec<u8>,
}

/// A key, with what most comparisons of it need.
#[derive(Debug)]
struct Key<'a> {
    /// See [`prefix`].
    prefix: u64,
    text: Cow<'a, str>,
    /// Which of the object's values is its.
    place: usize,
    /// Is it the last of its text?
    counts: bool,
}

impl<'a> Shape<'a> {
    /// The shape of objects with these keys, in the order of their values.
    pub(crate) fn new(keys: Vec<Cow<'a, str>>) -> Self {
        let key = |(place, text): (usize, Cow<'a, str>)| Key {
            prefix: prefix(&text),
            text,
            place,
            counts: true,
        };
        let mut keys: Vec<Key<'a>> = keys.into_iter().enumerate().map(key).collect();
        // Keys of one text keep their order, and the last of them counts.
        keys.sort_unstable_by(|one, other| {
            let by_text = one.order(other.prefix, &other.text);
            by_text.then(one.place.cmp(&other.place))
        });
        let mut next: Option<&Key<'a>> = None;
        for key in keys.iter_mut().rev() {
            key.counts = next.is_none_or(|next| !next.is(key.prefix, &key.text));
            next = Some(key);
        }
        Self {
            slots: slots(&keys),
            keys,
        }
    }

    /// The keys in order, each once, and the places of their values: [`Object::at`].
    pub fn places(&self) -> impl Iterator<Item = (&str, usize)> {
        let counting = self.keys.iter().filter(|key| key.counts);
        counting.map(|key| (key.text.as_ref(), key.place))
    }

    /// The place of the value of a key: [`Object::at`]; `prefix` is the [`prefix`] of the key.
    pub fn place(&self, prefix: u64, key: &str) -> Option<usize> {
        Some(self.find(prefix, key)?.place)
    }

    fn find(&self, prefix: u64, key: &str) -> Option<&Key<'a>> {
        if self.slots.is_empty() {
            let upto = |one: &Key<'_>| one.order(prefix, key) != Ordering::Greater;
            let last = self.keys.partition_point(upto).checked_sub(1)?;
            return self.keys.get(last).filter(|one| one.is(prefix, key));
        }
        let mut slot = hash(prefix, key);
        loop {
            let place = *self.slots.get(slot & (self.slots.len() - 1))?;
            let found = self.keys.get(usize::from(place).checked_sub(1)?)?;
            if found.is(prefix, key) {
                return Some(found);
            }
            slot += 1;
        }
    }
}

/// What was found out of a shape, kept until an object of another one comes.
#[derive(Debug, Default)]
pub struct PerShape<'a, T> {
    shape: Option<Rc<Shape<'a>>>,
    found: T,
}

impl<'a, T> PerShape<'a, T> {
    /// What `find` finds out of the shape of this object, and found of its like before; `None` of
    /// an object without members.
    pub fn of(&mut self, object: &Object<'a>, find: impl FnOnce(&Shape<'a>) -> T) -> Option<&T> {
        let shape = object.shape.as_ref()?;
        let known = self.shape.as_ref();
        if !known.is_some_and(|known| Rc::ptr_eq(known, shape)) {
            self.found = find(shape);
            self.shape = Some(Rc::clone(shape));
        }
        Some(&self.found)
    }
}

/// A table in which each key that counts is found by its hash; none for large objects, which MISP
/// has few of.
fn slots(keys: &[Key<'_>]) -> Vec<u8> {
    const MOST: usize = 64;
    if keys.len() > MOST {
        return Vec::new();
    }
    let mut slots = vec![0; keys.len().next_power_of_two() * 4];
    let last = slots.len() - 1;
    for (number, key) in (1..).zip(keys).filter(|(_, key)| key.counts) {
        let mut slot = hash(key.prefix, &key.text);
        while slots.get(slot & last).is_some_and(|taken| *taken != 0) {
            slot += 1;
        }
        if let Some(free) = slots.get_mut(slot & last) {
            *free = number;
        }
    }
    slots
}

#[inline]
fn hash(prefix: u64, key: &str) -> usize {
    let mixed = (prefix ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [.., three, two, one, _] = mixed.to_le_bytes();
    u32::from_le_bytes([one, two, three, 0]) as usize
}

impl Key<'_> {
    #[inline]
    fn is(&self, prefix: u64, key: &str) -> bool {
        let same_length = self.text.len() == key.len();
        self.prefix == prefix
            && same_length
            && (key.len() <= 8 || same(self.text.as_bytes(), key.as_bytes()))
    }

    /// As the keys in byte order.
    fn order(&self, prefix: u64, key: &str) -> Ordering {
        let by_prefix = self.prefix.cmp(&prefix);
        by_prefix.then_with(|| self.text.as_ref().cmp(key))
    }
}

/// The first eight bytes of a text, the first the highest, zeros after a shorter one: where they
/// differ, the order of texts is that of their prefixes.
#[inline]
pub const fn prefix(text: &str) -> u64 {
    let mut bytes = text.as_bytes();
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // They overlap in bytes that are the same.
        let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
        return (first as u64) << 32 | (last as u64) << (8 * (8 - bytes.len()));
    }
    let mut prefix = 0;
    let mut shift = u64::BITS;
    while let [byte, rest @ ..] = bytes {
        shift -= u8::BITS;
        prefix |= (*byte as u64) << shift;
        bytes = rest;
    }
    prefix
}

/// Are two texts of one length above eight the same? Without a call for it, which takes a step
/// a byte in wasm.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks().0);
    let mut words =
        words.map(|(one, other)| (u64::from_le_bytes(*one), u64::from_le_bytes(*other)));
    words.all(|(one, other)| one == other) && one.last_chunk::<8>() == other.last_chunk()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object<'k>(keys: impl Iterator<Item = &'k str>) -> Object<'k> {
        let number = |(place, key): (u32, &'k str)| (key.into(), Json::Number(place.into()));
        (0..).zip(keys).map(number).collect()
    }

    #[test]
    fn keys_are_in_byte_order_whatever_their_length() {
        let mut keys = [
            "",
            "\0",
            "a",
            "a\0",
            "event_id",
            "event_idx",
            "event_uuid",
            "\u{ff}",
            "zzzzzzzzz",
        ];
        let object = object(keys.iter().rev().copied());
        keys.sort_unstable();
        let sorted: Vec<&str> = object.iter().map(|(key, _)| key).collect();
        assert_eq!(sorted, keys);
        for key in keys {
            assert!(object.has(key), "{key:?}");
        }
        for other in ["event_i", "a\0\0", "event_idy", "b"] {
            assert!(!object.has(other), "{other:?}");
        }
    }

    #[test]
    fn the_order_of_members_is_no_difference() {
        let other = |first: &'static str, second: &'static str| -> Object<'_> {
            let value =
                |key: &'static str| (Cow::Borrowed(key), Json::String(Cow::Borrowed(key).into()));
            [value(first), value(second)].into_iter().collect()
        };
        assert_eq!(other("a", "b"), other("b", "a"));
        assert_ne!(other("a", "b"), other("a", "c"));
        assert_ne!(other("a", "a"), object(["a"].into_iter()));
        assert_eq!(object([].into_iter()), Object::default());
    }

    proptest! {
        /// Small and large objects, keys given more than once.
        #[test]
        fn the_last_of_a_key_is_found(
            keys in proptest::collection::vec("[ab]{0,2}|long key [a-d]{1,3}|[a-z]{1,12}", 0..150),
        ) {
            let object = object(keys.iter().map(String::as_str));
            let mut unique: Vec<&str> = keys.iter().map(String::as_str).collect();
            unique.sort_unstable();
            unique.dedup();
            let found: Vec<&str> = object.iter().map(|(key, _)| key).collect();
            prop_assert_eq!(&found, &unique);
            for key in unique {
                let places = keys.iter().enumerate().filter(|(_, one)| *one == key);
                let all: Vec<_> = places.map(|(place, _)| Json::Number(place.into())).collect();
                prop_assert_eq!(object.get(key), all.last());
                prop_assert_eq!(object.all(key).collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
            }
            for absent in ["", "long key", "long key zz", "zzzzzzzzzzzzz"] {
                prop_assert_eq!(object.has(absent), keys.iter().any(|key| key == absent));
            }
        }
    }
}
