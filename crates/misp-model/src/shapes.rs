//! The shapes of the objects that were read, to read the next ones faster: the objects of a list
//! mostly have the same keys in the same order, which then need not be read, hashed and sorted.

use std::borrow::Cow;
use std::rc::Rc;

use crate::object::{Shape, same};

/// So many are kept: MISP has some twenty kinds of objects.
const MOST: usize = 48;

/// A key that was read.
pub(crate) struct Key<'a> {
    pub(crate) text: Cow<'a, str>,
    /// With its quotes and the colon after it, if it stands so in the JSON.
    pub(crate) written: Option<&'a str>,
}

/// The shapes of the objects that were read.
#[derive(Default)]
pub(crate) struct Shapes<'a> {
    known: Vec<Known<'a>>,
    /// The last one at each depth.
    last: Vec<Option<usize>>,
}

struct Known<'a> {
    /// In input order.
    keys: Rc<[Written<'a>]>,
    shape: Rc<Shape<'a>>,
}

/// A shape that an object has so far.
pub(crate) struct Like<'a> {
    /// The keys that it has if it is of that shape, in input order.
    pub(crate) keys: Rc<[Written<'a>]>,
    /// The number of the shape.
    pub(crate) place: usize,
}

/// A key as it is written.
pub(crate) struct Written<'a> {
    /// With its quotes and the colon after it.
    text: &'a str,
    /// The first eight bytes of it, as far as it has them; the first is the lowest.
    first: u64,
    /// Which bits of [`Self::first`] count.
    mask: u64,
    /// The last eight bytes of it, if it has more.
    last: u64,
}

impl<'a> Shapes<'a> {
    /// The shape of the last object at a depth.
    pub(crate) fn last(&self, depth: usize) -> Option<Like<'a>> {
        self.like((*self.last.get(depth)?)?)
    }

    fn like(&self, place: usize) -> Option<Like<'a>> {
        let known = self.known.get(place)?;
        Some(Like {
            keys: Rc::clone(&known.keys),
            place,
        })
    }

    /// Another shape with the same keys before the one number `count`, which the next bytes are.
    pub(crate) fn other(&self, like: &Like<'_>, count: usize, next: &[u8]) -> Option<Like<'a>> {
        let before = like.keys.get(..count)?;
        let fits = |other: &Known<'_>| {
            let key = other.keys.get(count);
            key.is_some_and(|key| key.starts(next))
                && other.keys.iter().zip(before).all(|(one, key)| one.is(key))
        };
        self.like(self.known.iter().position(fits)?)
    }

    /// The shape of an object with the first `count` keys of `like`.
    pub(crate) fn of(&mut self, depth: usize, like: &Like<'a>, count: usize) -> Rc<Shape<'a>> {
        match self.known.get(like.place) {
            Some(known) if known.keys.len() == count => {
                let shape = Rc::clone(&known.shape);
                self.set_last(depth, like.place);
                shape
            }
            _ => self.with_keys(depth, like.first_keys(count).collect()),
        }
    }

    /// The shape of an object with these keys.
    pub(crate) fn with_keys(&mut self, depth: usize, keys: Vec<Key<'a>>) -> Rc<Shape<'a>> {
        let written = keys.iter().map(|key| key.written.map(Written::new));
        let written: Option<Vec<Written<'a>>> = written.collect();
        let texts = keys.into_iter().map(|key| key.text);
        let Some(written) = written else {
            return Rc::new(Shape::new(texts.collect()));
        };
        let same = |known: &Known<'_>| {
            let mut both = known.keys.iter().zip(&written);
            known.keys.len() == written.len() && both.all(|(one, other)| one.is(other))
        };
        if let Some(place) = self.known.iter().position(same)
            && let Some(known) = self.known.get(place)
        {
            let shape = Rc::clone(&known.shape);
            self.set_last(depth, place);
            return shape;
        }
        let shape = Rc::new(Shape::new(texts.collect()));
        if self.known.len() < MOST {
            self.set_last(depth, self.known.len());
            self.known.push(Known {
                keys: written.into(),
                shape: Rc::clone(&shape),
            });
        }
        shape
    }

    fn set_last(&mut self, depth: usize, place: usize) {
        if self.last.len() <= depth {
            self.last.resize(depth + 1, None);
        }
        if let Some(last) = self.last.get_mut(depth) {
            *last = Some(place);
        }
    }
}

impl<'a> Like<'a> {
    /// The first keys of the shape.
    pub(crate) fn first_keys(&self, count: usize) -> impl Iterator<Item = Key<'a>> {
        self.keys.iter().take(count).map(|key| Key {
            text: Cow::Borrowed(key.key()),
            written: Some(key.text),
        })
    }
}

impl<'a> Written<'a> {
    fn new(text: &'a str) -> Self {
        let mut first = [0; 8];
        let mut mask = [0; 8];
        for ((first, mask), byte) in first.iter_mut().zip(&mut mask).zip(text.bytes()) {
            (*first, *mask) = (byte, 0xff);
        }
        let last = text.as_bytes().last_chunk();
        Self {
            text,
            first: u64::from_le_bytes(first),
            mask: u64::from_le_bytes(mask),
            last: last.map_or(0, |last| u64::from_le_bytes(*last)),
        }
    }

    /// Do bytes begin with it? Not seen at the very end of the text.
    #[inline]
    pub(crate) fn starts(&self, bytes: &[u8]) -> bool {
        let length = self.text.len();
        let is_first = |first: &[u8; 8]| u64::from_le_bytes(*first) & self.mask == self.first;
        let is_last = |key: &[u8]| {
            let last = key.last_chunk();
            last.is_some_and(|last| u64::from_le_bytes(*last) == self.last)
                && (length <= 16 || same(key, self.text.as_bytes()))
        };
        bytes.first_chunk().is_some_and(is_first)
            && (length <= 8 || bytes.get(..length).is_some_and(is_last))
    }

    /// Its length with quotes and colon, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    fn is(&self, other: &Written<'_>) -> bool {
        let same_length = self.text.len() == other.text.len();
        self.first == other.first
            && same_length
            && (self.text.len() <= 8 || same(self.text.as_bytes(), other.text.as_bytes()))
    }

    fn key(&self) -> &'a str {
        let key = self.text.strip_prefix('"');
        key.and_then(|key| key.strip_suffix("\":"))
            .unwrap_or_default()
    }
}
