//! Time filters as MISP understands and misunderstands them.

use serde_json::Value;

/// What a time filter lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeFilter {
    /// Not given, or one of the values MISP takes for not given.
    Any,
    /// This second or later.
    From(i64),
    /// Both ends inclusive.
    Between(i64, i64),
    /// A list that is not of two: MISP answers 500.
    Broken,
}

impl TimeFilter {
    pub(super) fn read(value: Option<&Value>, now: i64) -> Self {
        match value {
            None | Some(Value::Null | Value::Bool(false)) => Self::Any,
            Some(Value::Array(ends)) => match ends.as_slice() {
                [a, b] => {
                    let (a, b) = (moment(a, now), moment(b, now));
                    Self::Between(a.min(b), a.max(b))
                }
                _ => Self::Broken,
            },
            Some(one) => match moment(one, now) {
                second if second <= 0 => Self::Any,
                second => Self::From(second),
            },
        }
    }

    pub(super) fn lets(self, second: i64) -> bool {
        match self {
            Self::Any => true,
            Self::From(from) => second >= from,
            Self::Between(from, to) => (from..=to).contains(&second),
            Self::Broken => false,
        }
    }
}

/// One moment: digits, or a delta before now; what is not understood lies in the future.
fn moment(value: &Value, now: i64) -> i64 {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => String::new(),
    };
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds;
    }
    let unit = match text.chars().last().map(|unit| unit.to_ascii_lowercase()) {
        Some('d') => 86_400.0,
        Some('h') => 3_600.0,
        Some('m') => 60.0,
        Some('s') => 1.0,
        _ => return now + 1,
    };
    let number = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    number
        .parse::<f64>()
        .map_or(now + 1, |count| now - (count * unit) as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_misp_reads() {
        let read = |value| TimeFilter::read(Some(&value), 1_000_000);
        assert_eq!(read(json!(5)), TimeFilter::From(5));
        assert_eq!(read(json!("5")), TimeFilter::From(5));
        assert_eq!(read(json!("1d")), TimeFilter::From(913_600));
        assert_eq!(read(json!([9, "4"])), TimeFilter::Between(4, 9));
        assert_eq!(read(json!([9])), TimeFilter::Broken);
        assert_eq!(read(json!(0)), TimeFilter::Any);
        assert_eq!(read(json!(false)), TimeFilter::Any);
        assert_eq!(read(json!("2w")), TimeFilter::From(1_000_001));
        assert_eq!(read(json!("")), TimeFilter::From(1_000_001));
    }
}
