//! The reserved data, as the artifact has it.

use std::hint::black_box;

/// Bytes of settings that a block takes. The whole of it is in the file, used or not.
pub const CAPACITY: usize = 8 << 10;

/// What a block begins with; the last character is the version of the layout.
pub(crate) const MARK: [u8; 16] = *b"misp-ecs.baked.1";

/// What kind of artifact a block is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A shell for an engine that is not ours: takes [`crate::Settings`].
    Adapter,
    /// A mapping component: takes the mapping's settings only.
    Mapping,
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Adapter => b'a',
            Self::Mapping => b'm',
        }
    }

    pub(crate) fn of(code: u8) -> Option<Self> {
        [Self::Adapter, Self::Mapping]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// The block: mark, kind, three zeros, capacity and length (little-endian), the settings.
#[derive(Debug)]
#[repr(C)]
pub struct Block {
    mark: [u8; 16],
    kind: [u8; 4],
    capacity: [u8; 4],
    length: [u8; 4],
    text: [u8; CAPACITY],
}

/// Bytes before the settings.
pub(crate) const HEAD: usize = 28;

impl Block {
    /// An empty one, to be a `#[used] static`.
    #[expect(clippy::cast_possible_truncation, reason = "8 KiB")]
    pub const fn new(kind: Kind) -> Self {
        Self {
            mark: MARK,
            kind: [kind.code(), 0, 0, 0],
            capacity: (CAPACITY as u32).to_le_bytes(),
            length: [0; 4],
            text: [0; CAPACITY],
        }
    }

    /// What was baked in; empty if nothing was.
    pub fn text(&'static self) -> &'static [u8] {
        // The compiler sees an empty block and must not believe it.
        let block = black_box(self);
        let length = usize::try_from(u32::from_le_bytes(block.length)).unwrap_or(usize::MAX);
        block.text.get(..length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_as_long_as_it_says() {
        assert_eq!(size_of::<Block>(), HEAD + CAPACITY);
        static EMPTY: Block = Block::new(Kind::Adapter);
        assert_eq!(EMPTY.text(), b"");
    }
}
