//! A hash that is equal for two documents which differ only in what moves by itself.

use crate::statics::StaticFields;

/// FNV-1a, 64 bits (offset basis 0xcbf29ce484222325, prime 0x100000001b3). Small,
/// the same on every platform, and good enough to see a change: it is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Adds a field and its value as JSON text.
    pub fn field(&mut self, name: &str, value: &[u8]) {
        // Neither holds a 0 byte, so no two lists of fields give the same bytes.
        self.bytes(name.as_bytes());
        self.bytes(&[0]);
        self.bytes(value);
        self.bytes(&[0]);
    }

    /// Adds the host's fields, without `host.*` and `agent.*`: the same indicator is
    /// the same from another machine or version of this program.
    pub fn statics(&mut self, statics: &StaticFields) {
        for leaf in statics.leaves() {
            if !leaf.name.starts_with("host.") && !leaf.name.starts_with("agent.") {
                self.field(&leaf.name, &leaf.value);
            }
        }
    }

    /// The hash.
    pub fn finish(self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published test vectors of FNV-1a 64.
    #[test]
    fn it_is_fnv_1a() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            let mut fingerprint = Fingerprint::default();
            fingerprint.bytes(text.as_bytes());
            assert_eq!(fingerprint.finish(), hash, "{text}");
        }
    }
}
