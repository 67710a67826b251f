//! A hash that is equal for two documents which differ only in what moves by itself.

use ecs_model::{Catalogue, FieldId, FieldSet, Leaves};

use crate::statics::StaticFields;

/// 64 bits, eight bytes at a time: each word, little-endian, is xored into the state, multiplied by
/// 0x9e3779b97f4a7c15 and its upper half xored into the lower. Small, the same on every platform,
/// and good enough to see a change: it is no signature.
///
/// Its own, since hashes that fold products of 128 bits take a dozen operations for each in wasm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// The name of a field, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(u64);

impl Name {
    /// Hashes a name.
    pub fn new(name: &str) -> Self {
        let mut hash = Fingerprint::default();
        hash.bytes(name.as_bytes());
        Self(hash.0)
    }
}

/// The fields of a catalogue that count in fingerprints.
#[derive(Debug, Clone)]
pub struct Counting {
    moving: FieldSet,
    names: Vec<Name>,
}

impl Counting {
    /// All fields but those that move by themselves.
    pub fn new(catalogue: Catalogue, moving: &[FieldId]) -> Self {
        let names = catalogue.fields().iter();
        Self {
            moving: FieldSet::of(moving),
            names: names.map(|field| Name::new(field.name)).collect(),
        }
    }

    /// Adds the values that count to a fingerprint.
    pub fn add_to(&self, fingerprint: &mut Fingerprint, leaves: &Leaves<'_>) {
        leaves.each_without(&self.moving, |field, value| {
            if let Some(name) = self.names.get(field.index()) {
                fingerprint.field(*name, value);
            }
        });
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Adds a field and its value as JSON text.
    pub fn field(&mut self, name: Name, value: &[u8]) {
        self.word(name.0);
        self.bytes(value);
    }

    /// Adds the host's fields, without `host.*` and `agent.*`: the same indicator is
    /// the same from another machine or version of this program.
    pub fn statics(&mut self, statics: &StaticFields) {
        for leaf in statics.leaves() {
            if !leaf.name.starts_with("host.") && !leaf.name.starts_with("agent.") {
                self.field(Name::new(&leaf.name), &leaf.value);
            }
        }
    }

    /// The hash.
    pub fn finish(self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((words, after)) = rest.split_first_chunk::<32>() {
            self.words(words);
            rest = after;
        }
        // Without loops, which ask for the time in wasm.
        if let Some((words, after)) = rest.split_first_chunk::<16>() {
            self.words(words);
            rest = after;
        }
        if let Some((word, after)) = rest.split_first_chunk() {
            self.word(u64::from_le_bytes(*word));
            rest = after;
        }
        // The last word has at most seven bytes and, above them, how many: a byte that stands in
        // no name and no value. So no two lists of fields give the same words.
        let (count, bits) = (rest.len() as u64, rest.len() * 8);
        let last = match bytes.last_chunk() {
            Some(end) if bits > 0 => u64::from_le_bytes(*end) >> (64 - bits),
            _ => little_endian(rest),
        };
        self.word(count << bits | last);
    }

    #[inline]
    fn words(&mut self, bytes: &[u8]) {
        for word in bytes.as_chunks().0 {
            self.word(u64::from_le_bytes(*word));
        }
    }

    fn word(&mut self, word: u64) {
        let product = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }
}

/// At most seven bytes, the first the lowest.
fn little_endian(bytes: &[u8]) -> u64 {
    let at = |place: usize| {
        let byte = bytes.get(place).copied().unwrap_or_default();
        u64::from(byte) << (8 * place)
    };
    match (bytes.first_chunk(), bytes.last_chunk()) {
        // They overlap in bytes that are the same.
        (Some(first), Some(last)) => {
            let above = 8 * (bytes.len() - 4);
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << above
        }
        _ => at(0) | at(1) | at(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(fields: &[(&str, &str)]) -> u64 {
        let mut fingerprint = Fingerprint::default();
        for (name, value) in fields {
            fingerprint.field(Name::new(name), value.as_bytes());
        }
        fingerprint.finish()
    }

    /// What hosts remember would all be sent again if these changed.
    #[test]
    fn known_values() {
        assert_eq!(hash(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(&[("", "")]), 0xef15_a9b4_0028_aa0f);
        assert_eq!(
            hash(&[("event.kind", r#""enrichment""#)]),
            0x0af9_30e6_6ef7_e2fa
        );
    }

    #[test]
    fn every_change_is_seen() {
        let mut seen = std::collections::BTreeSet::new();
        let long = "0123456789abcdef0123456789abcdef";
        for length in 0..=long.len() {
            let (text, rest) = long.split_at(length);
            assert!(seen.insert(hash(&[("a", text)])), "{length}");
            assert!(seen.insert(hash(&[(text, rest)])), "{length}");
            for at in 0..length {
                let mut changed = text.as_bytes().to_vec();
                changed[at] ^= 0x80;
                let mut fingerprint = Fingerprint::default();
                fingerprint.field(Name::new("a"), &changed);
                assert!(seen.insert(fingerprint.finish()), "{length} {at}");
            }
        }
    }
}
