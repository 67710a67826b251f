//! Dates as Elasticsearch's type `date` takes them.

/// Digits since the UNIX epoch.
pub fn is_epoch(text: &str) -> bool {
    !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// ISO 8601: `2024-05-01`, or date and time with a zone (`Z`, `+00:00` or `+0000`)
/// and at most nine digits of a second.
pub fn is_iso(text: &str) -> bool {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.get(4) != Some(&b'-') {
        return false;
    }
    let Some(separator) = bytes.get(10) else {
        return bytes.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
    };
    // chrono takes leap seconds, lower case and long fractions; Elasticsearch does not.
    *separator == b'T'
        && text.len() <= 35
        && text.get(17..19).is_some_and(|second| second < "60")
        && !text.contains('z')
        && (chrono::DateTime::parse_from_rfc3339(text).is_ok()
            || chrono::DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for good in [
            "2024-05-01",
            "2014-10-06T07:12:57.000Z",
            "2024-03-01T10:34:56.123456+00:00",
            "2024-02-29T12:34:56.789012+0200",
        ] {
            assert!(is_iso(good), "{good}");
        }
        for bad in [
            "",
            "0",
            "2024-13-01",
            "0000-00-00",
            "2024-5-1",
            "2024-05-01 10:00:00",
            "2024-05-01T10:00:60Z",
            "2024-05-01T10:00:00",
            "+48000-01-01T00:00:00Z",
            "2024-05-01T\u{e9}",
        ] {
            assert!(!is_iso(bad), "{bad}");
        }
    }

    #[test]
    fn epochs() {
        assert!(is_epoch("0") && is_epoch("1700000000") && is_epoch("1700000000000"));
        assert!(!is_epoch("") && !is_epoch("-1") && !is_epoch("1.5"));
    }
}
