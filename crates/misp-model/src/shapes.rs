//! The shapes of the objects that were read, to read the next ones faster: the objects of a list
//! mostly have the same keys in the same order, which then need not be read, hashed and sorted.

use std::borrow::Cow;
use std::rc::Rc;

use crate::Text;
use crate::object::{Shape, same};

/// So many are kept: MISP has some twenty kinds of objects.
const MOST: usize = 48;

/// The shapes of the objects that were read.
#[derive(Default)]
pub(crate) struct Shapes<'a> {
    known: Vec<Known<'a>>,
    /// The last one at each depth.
    last: Vec<Option<usize>>,
}

struct Known<'a> {
    /// In input order.
    keys: Vec<Written<'a>>,
    shape: Rc<Shape<'a>>,
}

/// A key as it is written.
struct Written<'a> {
    /// With its quotes.
    quoted: &'a str,
    /// The first eight bytes of it, as far as it has them; the first is the lowest.
    first: u64,
    /// Which bits of [`Self::first`] count.
    mask: u64,
}

impl<'a> Shapes<'a> {
    /// The shape of the last object at a depth.
    pub(crate) fn last(&self, depth: usize) -> Option<usize> {
        *self.last.get(depth)?
    }

    /// If the next bytes are the key number `count` of shape `like`, or of another one with the
    /// same keys before it: that shape, and the length of the key.
    pub(crate) fn follow(&self, like: usize, count: usize, next: &[u8]) -> Option<(usize, usize)> {
        let known = self.known.get(like)?;
        if let Some(key) = known.keys.get(count)
            && key.starts(next)
        {
            return Some((like, key.quoted.len()));
        }
        let before = known.keys.get(..count)?;
        let another = |other: &Known<'_>| {
            let key = other.keys.get(count).filter(|key| key.starts(next))?;
            let same = other.keys.iter().zip(before).all(|(one, key)| one.is(key));
            same.then_some(key.quoted.len())
        };
        let mut others = self.known.iter().enumerate();
        others.find_map(|(place, other)| Some((place, another(other)?)))
    }

    /// The first keys of a shape.
    pub(crate) fn first_keys(&self, like: usize, count: usize) -> impl Iterator<Item = Text<'a>> {
        let known = self.known.get(like).map(|known| known.keys.as_slice());
        let keys = known.unwrap_or_default().iter().take(count);
        keys.map(|key| Text::quoted_ascii(key.quoted))
    }

    /// The shape of an object with the first `count` keys of `like`.
    pub(crate) fn of(&mut self, depth: usize, like: usize, count: usize) -> Rc<Shape<'a>> {
        match self.known.get(like) {
            Some(known) if known.keys.len() == count => {
                let shape = Rc::clone(&known.shape);
                self.set_last(depth, like);
                shape
            }
            _ => {
                let keys = self.first_keys(like, count).collect();
                self.with_keys(depth, keys)
            }
        }
    }

    /// The shape of an object with these keys.
    pub(crate) fn with_keys(&mut self, depth: usize, keys: Vec<Text<'a>>) -> Rc<Shape<'a>> {
        let written: Option<Vec<Written<'a>>> = keys.iter().map(Written::new).collect();
        let Some(written) = written else {
            return Rc::new(Shape::new(keys.into_iter().map(Text::into_cow).collect()));
        };
        let same = |known: &Known<'_>| {
            let mut both = known.keys.iter().zip(&written);
            known.keys.len() == written.len() && both.all(|(one, other)| one.is(other))
        };
        if let Some(place) = self.known.iter().position(same) {
            return self.of(depth, place, keys.len());
        }
        let keys: Vec<Cow<'a, str>> = keys.into_iter().map(Text::into_cow).collect();
        let shape = Rc::new(Shape::new(keys));
        if self.known.len() < MOST {
            self.set_last(depth, self.known.len());
            self.known.push(Known {
                keys: written,
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

impl<'a> Written<'a> {
    fn new(key: &Text<'a>) -> Option<Self> {
        let quoted = key.quoted()?;
        let mut first = [0; 8];
        let mut mask = [0; 8];
        for ((first, mask), byte) in first.iter_mut().zip(&mut mask).zip(quoted.bytes()) {
            (*first, *mask) = (byte, 0xff);
        }
        Some(Self {
            quoted,
            first: u64::from_le_bytes(first),
            mask: u64::from_le_bytes(mask),
        })
    }

    /// Do bytes begin with it? Not sure to be seen at the very end of the text.
    #[inline]
    fn starts(&self, bytes: &[u8]) -> bool {
        let Some(first) = bytes.first_chunk() else {
            return false;
        };
        let length = self.quoted.len();
        u64::from_le_bytes(*first) & self.mask == self.first
            && (length <= 8
                || bytes
                    .get(..length)
                    .is_some_and(|bytes| same(bytes, self.quoted.as_bytes())))
    }

    fn is(&self, other: &Self) -> bool {
        self.first == other.first && self.quoted.len() == other.quoted.len() && {
            self.quoted.len() <= 8 || same(self.quoted.as_bytes(), other.quoted.as_bytes())
        }
    }
}
