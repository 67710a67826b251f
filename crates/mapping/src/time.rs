//! Points in time.

use std::borrow::Cow;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use ecs_model::date;
use misp_model::Json;

/// The last second of the year 9999: beyond it no date has four digits of a year.
const LAST_SECOND: u64 = 253_402_300_799;
/// The first millisecond of the year 0: before it a year has a sign.
const FIRST_MS: i64 = -62_167_219_200_000;

/// A point in time as UNIX milliseconds. Digits are seconds; so many that the year
/// would be beyond 9999 are milliseconds or microseconds (some feeds have them).
/// ISO 8601 is understood too.
pub fn unix_ms(json: &Json<'_>) -> Option<i64> {
    match json.integer() {
        Some(number) => integer_ms(number),
        None => match json {
            Json::String(text) => iso_ms(text.trim()),
            _ => None,
        },
    }
}

/// A point in time as MISP has it, if that is an integer, and as [`unix_ms`].
pub fn integer_and_ms(json: Option<&Json<'_>>) -> (Option<i64>, Option<i64>) {
    match json.and_then(Json::integer) {
        Some(number) => (Some(number), integer_ms(number)),
        None => (None, json.and_then(unix_ms)),
    }
}

/// Is an integer of MISP a number of seconds?
pub fn is_seconds(number: i64) -> bool {
    number.unsigned_abs() <= LAST_SECOND
}

fn integer_ms(number: i64) -> Option<i64> {
    let ms = match number.unsigned_abs() {
        // No checked multiplication: that is a call in wasm, and it cannot overflow.
        0..=LAST_SECOND => Some(number * 1000),
        magnitude if magnitude <= LAST_SECOND * 1000 => Some(number),
        magnitude if magnitude <= LAST_SECOND * 1_000_000 => Some(number.div_euclid(1000)),
        _ => None,
    };
    ms.filter(|ms| *ms >= FIRST_MS)
}

fn iso_ms(text: &str) -> Option<i64> {
    let moment = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|moment| moment.timestamp_millis())
        .ok()
        .or_else(|| {
            let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
                .ok()
                .or_else(|| {
                    NaiveDate::parse_from_str(text, "%Y-%m-%d")
                        .ok()?
                        .and_hms_opt(0, 0, 0)
                })?;
            Some(naive.and_utc().timestamp_millis())
        })?;
    (moment >= FIRST_MS && moment.unsigned_abs() <= LAST_SECOND * 1000).then_some(moment)
}

/// `2014-10-06T07:12:57.000Z`
pub fn iso(unix_ms: i64) -> String {
    let moment = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    let moment = moment.naive_utc();
    // By hand: chrono reads its format anew for each date, and a document has several.
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let [y1, y2, y3, y4, _, m1, m2, _, d1, d2, _, rest @ ..] = &mut text;
    let [h1, h2, _, n1, n2, _, s1, s2, _, f1, f2, f3, _] = rest;
    let year = u32::try_from(moment.year()).unwrap_or_default();
    let millis = moment.and_utc().timestamp_subsec_millis();
    two([y1, y2], year / 100);
    two([y3, y4], year);
    two([m1, m2], moment.month());
    two([d1, d2], moment.day());
    two([h1, h2], moment.hour());
    two([n1, n2], moment.minute());
    two([s1, s2], moment.second());
    two([f1, f2], millis / 10);
    *f3 = digit(millis);
    std::str::from_utf8(&text).unwrap_or_default().to_owned()
}

/// The last two digits.
fn two([tens, ones]: [&mut u8; 2], number: u32) {
    *tens = digit(number / 10);
    *ones = digit(number);
}

fn digit(number: u32) -> u8 {
    let [digit, ..] = (number % 10).to_le_bytes();
    b'0' + digit
}

/// Seconds since the epoch as text: as it stands, if it is that already.
pub fn epoch_seconds<'j>(json: &'j Json<'_>) -> Option<Cow<'j, str>> {
    let ms = unix_ms(json)?;
    if let Json::String(text) = json
        && date::is_epoch(text)
        && text
            .parse::<u64>()
            .is_ok_and(|seconds| seconds <= LAST_SECOND)
    {
        return Some(Cow::Borrowed(text));
    }
    (ms >= 0).then(|| Cow::Owned((ms / 1000).to_string()))
}

/// A date as ISO 8601: as it stands, if it is that already.
pub fn iso_text<'j>(json: &'j Json<'_>) -> Option<Cow<'j, str>> {
    match json {
        Json::String(text) if date::is_iso(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(iso(unix_ms(other)?))),
    }
}

/// A point in time as ISO 8601 in UTC, whole to the microsecond: as it stands, if it is
/// that already.
pub fn iso_utc<'j>(json: &'j Json<'_>) -> Option<Cow<'j, str>> {
    if let Some(number) = json.integer() {
        let ms = integer_ms(number)?;
        let has_micros = number.unsigned_abs() > LAST_SECOND * 1000;
        let micros = if has_micros {
            number.rem_euclid(1000)
        } else {
            0
        };
        return Some(Cow::Owned(iso_micros(ms, micros)));
    }
    match json {
        Json::String(text)
            if date::is_iso(text)
                && (text.len() == 10 || text.ends_with('Z') || text.ends_with("+00:00")) =>
        {
            Some(Cow::Borrowed(text))
        }
        other => {
            let ms = unix_ms(other)?;
            Some(Cow::Owned(iso_micros(ms, micros(other, ms))))
        }
    }
}

fn iso_micros(ms: i64, micros: i64) -> String {
    let whole = iso(ms);
    if micros == 0 {
        return whole;
    }
    format!("{}{micros:03}Z", whole.trim_end_matches('Z'))
}

/// The microseconds below a millisecond.
fn micros(json: &Json<'_>, ms: i64) -> i64 {
    let Json::String(text) = json else {
        return 0;
    };
    DateTime::parse_from_rfc3339(text.trim())
        .or_else(|_| DateTime::parse_from_str(text.trim(), "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()
        .and_then(|moment| moment.timestamp_micros().checked_sub(ms.checked_mul(1000)?))
        .unwrap_or(0)
        .clamp(0, 999)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Json<'_> {
        Json::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn seconds_milliseconds_microseconds() {
        for json in [
            "1412579577",
            "\"1412579577\"",
            "1412579577000",
            "\"1412579577000000\"",
        ] {
            assert_eq!(unix_ms(&read(json)), Some(1_412_579_577_000), "{json}");
        }
        assert_eq!(iso(1_412_579_577_000), "2014-10-06T07:12:57.000Z");
        assert_eq!(iso(-62_167_219_199_999), "0000-01-01T00:00:00.001Z");
        assert_eq!(iso(253_402_300_799_999), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for json in [
            "null",
            "\"\"",
            "\"soon\"",
            "9223372036854775807",
            "[]",
            "\"0000-00-00\"",
            "true",
            "-62167219200001000",
            "-99999999999",
        ] {
            assert_eq!(unix_ms(&read(json)), None, "{json}");
            assert_eq!(epoch_seconds(&read(json)), None, "{json}");
            assert_eq!(iso_text(&read(json)), None, "{json}");
        }
    }

    #[test]
    fn texts_stay_as_they_stand_where_they_can() {
        assert_eq!(epoch_seconds(&read("\"0412\"")).unwrap(), "0412");
        assert_eq!(epoch_seconds(&read("412")).unwrap(), "412");
        assert_eq!(
            epoch_seconds(&read("\"1412579577000\"")).unwrap(),
            "1412579577"
        );
        assert_eq!(
            iso_text(&read("\"2024-03-01T10:34:56.123456+00:00\"")).unwrap(),
            "2024-03-01T10:34:56.123456+00:00"
        );
        assert_eq!(
            iso_text(&read("\"2024-03-01 10:34:56\"")).unwrap(),
            "2024-03-01T10:34:56.000Z"
        );
        assert_eq!(
            iso_text(&read("1709289296")).unwrap(),
            "2024-03-01T10:34:56.000Z"
        );
    }

    #[test]
    fn utc_and_whole() {
        for (json, expected) in [
            ("1709289296", "2024-03-01T10:34:56.000Z"),
            ("\"1709289296123\"", "2024-03-01T10:34:56.123Z"),
            ("1709289296123456", "2024-03-01T10:34:56.123456Z"),
            (
                "\"2024-03-01T10:34:56.123456+00:00\"",
                "2024-03-01T10:34:56.123456+00:00",
            ),
            (
                "\"2024-03-01T12:34:56.123456+0200\"",
                "2024-03-01T10:34:56.123456Z",
            ),
            ("\"2024-03-01T12:34:56+02:00\"", "2024-03-01T10:34:56.000Z"),
            ("\"2024-03-01\"", "2024-03-01"),
        ] {
            assert_eq!(iso_utc(&read(json)).unwrap(), expected, "{json}");
        }
        assert_eq!(iso_utc(&read("\"soon\"")), None);
    }
}
