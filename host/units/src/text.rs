//! Reads a value that is text with a unit, or a bare zero.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};

/// A type that is written as text with a unit.
pub(crate) trait WithUnit: FromStr<Err = String> {
    /// What `0` means.
    const ZERO: Self;
    /// What is expected, for error texts: "a duration with its unit, such as ..".
    const EXPECTED: &'static str;
}

pub(crate) fn deserialize<'de, T: WithUnit, D: Deserializer<'de>>(
    source: D,
) -> Result<T, D::Error> {
    source.deserialize_any(TextVisitor(PhantomData))
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: WithUnit> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        match number {
            0 => Ok(T::ZERO),
            n => Err(E::custom(format!(
                "{n} has no unit: expected {}",
                T::EXPECTED
            ))),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        match number {
            0 => Ok(T::ZERO),
            n => Err(E::custom(format!(
                "{n} has no unit: expected {}",
                T::EXPECTED
            ))),
        }
    }
}
