//! Scalars in every spelling that MISP uses for them.

use std::borrow::Cow;

use crate::Json;

impl<'a> Json<'a> {
    /// The text of a string, number or boolean; `None` for null, lists and objects.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Json::String(text) => Some(Cow::Borrowed(text)),
            Json::Number(number) => Some(Cow::Owned(number.to_string())),
            Json::Bool(true) => Some(Cow::Borrowed("true")),
            Json::Bool(false) => Some(Cow::Borrowed("false")),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// An integer, given as a number or as decimal digits in a string.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Json::Number(number) => number.as_i64().or_else(|| {
                let float = number.as_f64()?;
                // Beyond 2^53 a float no longer says which integer it is.
                let exact = float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0;
                #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
                exact.then_some(float as i64)
            }),
            Json::String(text) => digits(text).or_else(|| text.trim().parse().ok()),
            _ => None,
        }
    }

    /// A flag: `true`, `1`, `"1"`, `"true"` or `false`, `0`, `"0"`, `"false"`.
    pub fn boolean(&self) -> Option<bool> {
        match self {
            Json::Bool(flag) => Some(*flag),
            Json::Number(number) => match number.as_i64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            Json::String(text) => match text.as_ref() {
                "0" => Some(false),
                "1" => Some(true),
                text if text.eq_ignore_ascii_case("false") => Some(false),
                text if text.eq_ignore_ascii_case("true") => Some(true),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The number of a text of nothing but digits, as most are; so many that they fit.
fn digits(text: &str) -> Option<i64> {
    if !matches!(text.len(), 1..=18) {
        return None;
    }
    text.bytes().try_fold(0, |number, byte| {
        let is_digit = byte.is_ascii_digit();
        is_digit.then(|| number * 10 + i64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Json<'_> {
        Json::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn integers_come_as_numbers_and_as_text() {
        for json in ["29", "\"29\"", "\" 29 \"", "29.0"] {
            assert_eq!(read(json).integer(), Some(29), "{json}");
        }
        for json in ["\"\"", "\"x\"", "2.5", "true", "null", "1e300", "[29]"] {
            assert_eq!(read(json).integer(), None, "{json}");
        }
    }

    #[test]
    fn flags_come_as_booleans_numbers_and_text() {
        for json in ["true", "1", "\"1\"", "\"true\""] {
            assert_eq!(read(json).boolean(), Some(true), "{json}");
        }
        for json in ["false", "0", "\"0\"", "\"False\""] {
            assert_eq!(read(json).boolean(), Some(false), "{json}");
        }
        for json in ["2", "\"\"", "\"yes\"", "null", "{}"] {
            assert_eq!(read(json).boolean(), None, "{json}");
        }
    }

    #[test]
    fn text_of_scalars_only() {
        assert_eq!(read("1.5").text().unwrap(), "1.5");
        assert_eq!(
            read("12345678901234567890").text().unwrap(),
            "12345678901234567890"
        );
        assert_eq!(read("null").text(), None);
        assert_eq!(read("[1]").text(), None);
    }
}
