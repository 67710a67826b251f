//! A length of time in the configuration.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{self, WithUnit};

/// A length of time, written with its units: `500ms`, `30s`, `10m`, `1h 30m`, `7d`.
/// `0` needs none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    /// No time at all; most settings read it as "off".
    pub const ZERO: Self = Self(std::time::Duration::ZERO);

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(std::time::Duration::from_millis(millis))
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// So many hours of 3,600 seconds.
    #[must_use]
    pub const fn from_hours(hours: u64) -> Self {
        Self::from_secs(hours.saturating_mul(3600))
    }

    /// Is it no time at all?
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl WithUnit for Duration {
    const ZERO: Self = Self::ZERO;
    const EXPECTED: &'static str = "a duration with its unit, such as \"30s\", \"10m\" or \"24h\"";
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text.trim())
            .map(Self)
            .map_err(|error| format!("{text:?}: {error}; expected {}", Self::EXPECTED))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        text::deserialize(source)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        sink.collect_str(self)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^\\s*(0|([0-9]+\\s*[a-zA-Zµ]+\\s*)+)$",
            "minimum": 0,
            "maximum": 0,
            "examples": ["500ms", "30s", "10m", "24h", "7d"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Duration, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn units_are_read() {
        for (json, millis) in [
            (r#""500ms""#, 500),
            (r#""30s""#, 30_000),
            (r#"" 10m ""#, 600_000),
            (r#""1h 30m""#, 5_400_000),
            (r#""7d""#, 604_800_000),
            (r#""0""#, 0),
            ("0", 0),
        ] {
            assert_eq!(read(json), Ok(Duration::from_millis(millis)), "{json}");
        }
    }

    #[test]
    fn a_bare_number_is_an_error_that_says_what_to_write() {
        for json in [
            "30",
            "-1",
            r#""30""#,
            r#""""#,
            r#""1 fortnight""#,
            "1.5",
            "null",
            "true",
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains("such as \"30s\""), "{json}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0..u64::MAX / 2) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
            let json = serde_json::to_string(&duration).unwrap();
            prop_assert_eq!(read(&json), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Duration>();
        }
    }
}
