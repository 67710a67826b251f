//! Buffers that wander between the host and the module.
//!
//! The host writes into what it asks for, and that is the module's from then on; what the
//! module hands over is the host's to give back. Addresses are looked up here, never
//! followed, so a host that gives back twice, or never, does no harm.

/// The buffers whose addresses the host knows.
#[derive(Debug, Default)]
pub struct Memory {
    buffers: Vec<Box<[u8]>>,
}

impl Memory {
    /// The address of so many bytes for the host to write into; 0 if there is no memory.
    pub fn give(&mut self, size: usize) -> usize {
        let mut buffer = Vec::new();
        // Never empty: an empty one has no address of its own.
        let length = size.max(1);
        if buffer.try_reserve_exact(length).is_err() {
            return 0;
        }
        buffer.resize(length, 0);
        self.keep(buffer.into_boxed_slice())
    }

    /// Hands bytes over: their address, for the host to read and give back.
    pub fn hand_over(&mut self, bytes: Vec<u8>) -> usize {
        match bytes.is_empty() {
            true => self.give(0),
            false => self.keep(bytes.into_boxed_slice()),
        }
    }

    /// What the host wrote into a buffer that it asked for; `None` if it never did.
    pub fn take(&mut self, address: usize, length: usize) -> Option<Vec<u8>> {
        let mut bytes = self.give_back(address)?.into_vec();
        bytes.truncate(length);
        Some(bytes)
    }

    /// The buffer at this address is the host's no longer.
    pub fn give_back(&mut self, address: usize) -> Option<Box<[u8]>> {
        let mut buffers = self.buffers.iter();
        let place = buffers.position(|buffer| buffer.as_ptr().addr() == address)?;
        Some(self.buffers.swap_remove(place))
    }

    /// Ends a call: a host that gives nothing back has nothing.
    pub fn clear(&mut self) {
        self.buffers.clear();
    }

    /// How many buffers the host knows.
    pub fn known(&self) -> usize {
        self.buffers.len()
    }

    fn keep(&mut self, buffer: Box<[u8]>) -> usize {
        let address = buffer.as_ptr().expose_provenance();
        self.buffers.push(buffer);
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_gone_and_once_only() {
        let mut memory = Memory::default();
        let (asked, handed) = (memory.give(3), memory.hand_over(b"abc".to_vec()));
        assert_ne!(asked, handed);
        assert_eq!(memory.take(asked, 2).unwrap(), [0, 0]);
        assert_eq!(memory.take(asked, 2), None);
        assert_eq!(&*memory.give_back(handed).unwrap(), b"abc");
        assert_eq!(memory.give_back(handed), None);
        assert_eq!(memory.give_back(0), None);
        assert_eq!(memory.known(), 0);
    }

    #[test]
    fn nothing_has_an_address_too_and_everything_has_none() {
        let mut memory = Memory::default();
        let (one, two) = (memory.give(0), memory.hand_over(Vec::new()));
        assert!(one != 0 && two != 0 && one != two);
        assert_eq!(memory.take(one, 0).unwrap(), b"");
        assert_eq!(memory.give(usize::MAX), 0);
        assert_eq!(memory.give(isize::MAX.unsigned_abs()), 0);
        memory.clear();
        assert_eq!(memory.known(), 0);
    }
}
