//! A number of bytes in the configuration.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytesize::{GB, GIB, KB, KIB, MB, MIB, TB, TIB};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{self, WithUnit};

/// A number of bytes, written with its unit: `512B`, `64KiB`, `100MiB` (binary),
/// `100MB` (decimal). `0` needs none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// No bytes; most settings read it as "off".
    pub const ZERO: Self = Self(0);

    /// So many times 1,024 bytes.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(KIB))
    }

    /// So many times 1,048,576 bytes.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(MIB))
    }

    /// So many times 1,073,741,824 bytes.
    #[must_use]
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(GIB))
    }

    /// Is it no bytes at all?
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// How many bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl WithUnit for ByteSize {
    const ZERO: Self = Self::ZERO;
    const EXPECTED: &'static str = "a size with its unit, such as \"64KiB\", \"100MiB\" or \"1GB\"";
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = text.trim();
        let bare = value.parse::<u64>();
        if bare.is_ok_and(|number| number != 0) {
            return Err(format!("{text:?} has no unit: expected {}", Self::EXPECTED));
        }
        value
            .parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|error| format!("{text:?}: {error}; expected {}", Self::EXPECTED))
    }
}

/// The largest unit that shows the exact number, so that what is shown reads back.
const UNITS: [(u64, &str); 8] = [
    (TIB, "TiB"),
    (GIB, "GiB"),
    (MIB, "MiB"),
    (KIB, "KiB"),
    (TB, "TB"),
    (GB, "GB"),
    (MB, "MB"),
    (KB, "kB"),
];

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS
            .iter()
            .find(|(unit, _)| self.0 != 0 && self.0.is_multiple_of(*unit));
        match exact {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        text::deserialize(source)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        sink.collect_str(self)
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^\\s*(0|[0-9]+(\\.[0-9]+)?\\s*([kKmMgGtTpPeE][iI]?)?[bB]?)\\s*$",
            "minimum": 0,
            "maximum": 0,
            "examples": ["64KiB", "100MiB", "1GB"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<ByteSize, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn units_are_read() {
        for (json, bytes) in [
            (r#""512B""#, 512),
            (r#""64KiB""#, 65_536),
            (r#"" 100 MiB ""#, 104_857_600),
            (r#""1.5GiB""#, 1_610_612_736),
            (r#""100MB""#, 100_000_000),
            (r#""0""#, 0),
            ("0", 0),
        ] {
            assert_eq!(read(json), Ok(ByteSize(bytes)), "{json}");
        }
    }

    #[test]
    fn a_bare_number_is_an_error_that_says_what_to_write() {
        for json in [
            "1024",
            "-1",
            r#""1024""#,
            r#""""#,
            r#""10 bananas""#,
            r#""-1MiB""#,
            "1.5",
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains("such as \"64KiB\""), "{json}: {error}");
        }
    }

    #[test]
    fn the_largest_exact_unit_is_shown() {
        assert_eq!(ByteSize::mib(100).to_string(), "100MiB");
        assert_eq!(ByteSize(1_500_000).to_string(), "1500kB");
        assert_eq!(ByteSize(1025).to_string(), "1025B");
        assert_eq!(ByteSize::ZERO.to_string(), "0B");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: u64) {
            let size = ByteSize(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
            let json = serde_json::to_string(&size).unwrap();
            prop_assert_eq!(read(&json), Ok(size));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
