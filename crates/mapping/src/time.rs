//! Points in time.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use ecs_model::date;
use misp_model::Json;

/// The last second of the year 9999: beyond it no date has four digits of a year.
const LAST_SECOND: u64 = 253_402_300_799;

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

fn integer_ms(number: i64) -> Option<i64> {
    match number.unsigned_abs() {
        0..=LAST_SECOND => number.checked_mul(1000),
        magnitude if magnitude <= LAST_SECOND * 1000 => Some(number),
        magnitude if magnitude <= LAST_SECOND * 1_000_000 => Some(number / 1000),
        _ => None,
    }
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
    (moment.unsigned_abs() <= LAST_SECOND * 1000).then_some(moment)
}

/// `2014-10-06T07:12:57.000Z`
pub fn iso(unix_ms: i64) -> String {
    let moment = DateTime::from_timestamp_millis(unix_ms).unwrap_or_default();
    moment.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
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
}
