//! The headers of an answer that say something about it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{AGE, DATE, HeaderMap, RETRY_AFTER};

/// The longest wait another side can ask for: MISP's own window is 15 minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// A header as a number.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// A header as text, blanks around it taken off.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// `Date`, UNIX seconds.
pub fn date(headers: &HeaderMap) -> Option<i64> {
    seconds_of(text(headers, DATE.as_str())?)
}

/// The server's clock when the answer came, UNIX seconds: `Date`, and `Age` if it came out of a
/// cache.
pub fn date_now(headers: &HeaderMap) -> Option<i64> {
    let age = text(headers, AGE.as_str()).and_then(delta);
    let age = age.map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    date(headers).map(|date| date.saturating_add(age))
}

/// A date as headers have it, UNIX seconds.
pub fn seconds_of(date: &str) -> Option<i64> {
    seconds(httpdate::parse_http_date(date).ok()?)
}

/// What `X-Rate-Limit-Reset` (seconds) and `Retry-After` (seconds or a date) ask for: the longer
/// of the two, clamped to 1 s to 1 h. `now` is for a date when the answer has no `Date` itself.
pub fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let reset = text(headers, "x-rate-limit-reset").and_then(delta);
    let after = text(headers, RETRY_AFTER.as_str()).and_then(|value| {
        delta(value).or_else(|| {
            let until = seconds_of(value)?;
            let from = date(headers).or_else(|| seconds(now))?;
            Some(Duration::from_secs(
                until.saturating_sub(from).try_into().unwrap_or(0),
            ))
        })
    });
    let wait = reset.max(after)?;
    Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// Digits; more of them than a number holds is a very long time, not nothing.
fn delta(value: &str) -> Option<Duration> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)))
}

fn seconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;
    use proptest::prelude::*;

    fn wait_of(pairs: &[(&'static str, &str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        wait(&headers, UNIX_EPOCH).map(|wait| wait.as_secs())
    }

    #[test]
    fn reads_both_hints_and_both_forms() {
        assert_eq!(wait_of(&[("x-rate-limit-reset", "900")]), Some(900));
        assert_eq!(wait_of(&[("retry-after", "120")]), Some(120));
        assert_eq!(
            wait_of(&[("retry-after", "120"), ("x-rate-limit-reset", "300")]),
            Some(300)
        );
        let date = [
            ("date", "Fri, 01 May 2026 00:00:00 GMT"),
            ("retry-after", "Fri, 01 May 2026 00:00:30 GMT"),
        ];
        assert_eq!(wait_of(&date), Some(30));
    }

    #[test]
    fn clamps_and_ignores_nonsense() {
        assert_eq!(wait_of(&[("retry-after", "0")]), Some(1));
        assert_eq!(
            wait_of(&[("retry-after", "99999999999999999999999")]),
            Some(3_600)
        );
        assert_eq!(
            wait_of(&[("retry-after", "Fri, 01 May 2099 00:00:30 GMT")]),
            Some(3_600)
        );
        assert_eq!(wait_of(&[("retry-after", "soon")]), None);
        assert_eq!(wait_of(&[("retry-after", "-5")]), None);
        assert_eq!(wait_of(&[]), None);
    }

    proptest! {
        #[test]
        fn any_text_asks_for_no_wait_or_a_clamped_one(text in "[ -~]{0,40}") {
            let wait = wait_of(&[("retry-after", &text)]);
            prop_assert!(wait.is_none_or(|seconds| (1..=3_600).contains(&seconds)));
        }
    }
}
