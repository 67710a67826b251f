//! The header `Retry-After` (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest wait another side can ask for.
const LONGEST: Duration = Duration::from_secs(3_600);
const SHORTEST: Duration = Duration::from_secs(1);

/// What an answer asks to wait, seconds or a date, clamped to 1 s to 1 h. A date is compared
/// with the answer's own `Date`, or else with `now`.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers.get(RETRY_AFTER)?)?;
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are a very long time, not none.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        let date = headers.get(DATE).and_then(text);
        let from = date
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .unwrap_or(now);
        until.duration_since(from).unwrap_or_default()
    };
    Some(wait.clamp(SHORTEST, LONGEST))
}

fn text(value: &reqwest::header::HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn seconds(after: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(after).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers, SystemTime::UNIX_EPOCH).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_forms_are_read_and_clamped() {
        let date = Some("Fri, 01 May 2026 00:00:00 GMT");
        for (after, date, expected) in [
            ("120", None, Some(120)),
            ("0", None, Some(1)),
            ("99999999999999999999999", None, Some(3_600)),
            ("Fri, 01 May 2026 00:00:30 GMT", date, Some(30)),
            ("Thu, 30 Apr 2026 00:00:30 GMT", date, Some(1)),
            ("Fri, 01 May 2026 00:00:30 GMT", None, Some(3_600)),
            ("soon", date, None),
            ("-5", None, None),
        ] {
            assert_eq!(seconds(after, date), expected, "{after}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
    }
}
