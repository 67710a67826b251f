//! What the host writes into.
//!
//! It asks for two buffers a call (the tag, the record). Some versions give them back
//! after the call, some after the chunk, some never: so it is the call itself that ends
//! their life, and giving them back means nothing.

/// The buffers of one call, kept to be used again by the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    buffers: Vec<Vec<u8>>,
    /// How many of them the host has.
    given: usize,
}

impl Memory {
    /// The address of a buffer of this size; 0 if there is no memory.
    pub(crate) fn give(&mut self, size: usize) -> usize {
        let Some(length) = size.checked_add(1) else {
            return 0;
        };
        if self.given == self.buffers.len() {
            self.buffers.push(Vec::new());
        }
        let Some(buffer) = self.buffers.get_mut(self.given) else {
            return 0;
        };
        buffer.clear();
        if buffer.try_reserve_exact(length).is_err() {
            return 0;
        }
        buffer.resize(length, 0);
        self.given += 1;
        buffer.as_mut_ptr().expose_provenance()
    }

    /// The bytes at an address that was given away.
    pub(crate) fn at(&self, address: usize, length: usize) -> Option<&[u8]> {
        let mut given = self.buffers.iter().take(self.given);
        let buffer = given.find(|buffer| buffer.as_ptr().addr() == address)?;
        buffer.get(..length)
    }

    /// The bytes at an address that the last call had.
    pub(crate) fn last(&self, address: usize, length: usize) -> Option<&[u8]> {
        let mut buffers = self.buffers.iter();
        let buffer = buffers.find(|buffer| buffer.as_ptr().addr() == address)?;
        buffer.get(..length)
    }

    /// The call is over: what was given away is ours again.
    pub(crate) fn take_back(&mut self) {
        self.given = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_after_the_call_and_not_before() {
        let mut memory = Memory::default();
        let (tag, record) = (memory.give(10), memory.give(1000));
        assert_ne!(tag, record);
        assert_eq!(memory.at(record, 1001).unwrap().len(), 1001);
        assert_eq!(memory.at(record, 1002), None);
        assert_eq!(memory.at(record + 1, 1), None);
        assert_eq!(memory.at(0, 0), None);
        memory.take_back();
        assert_eq!(memory.at(record, 1), None);
        assert_eq!((memory.give(10), memory.give(1000)), (tag, record));
    }

    #[test]
    fn more_than_there_is_gives_nothing() {
        let mut memory = Memory::default();
        assert_eq!(memory.give(usize::MAX), 0);
        assert_eq!(memory.give(isize::MAX.unsigned_abs()), 0);
        assert_ne!(memory.give(0), 0);
    }
}
