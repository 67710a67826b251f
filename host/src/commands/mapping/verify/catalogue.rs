//! Is what a mapping says of its fields sane, and does a document keep to it?

use std::collections::BTreeMap;
use std::net::IpAddr;

use runtime::Field;
use serde_json::Value;

/// How a value of a type looks in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
    Ip,
    /// Anything below it, unlisted: `object`, `flattened`.
    Open,
}

/// Elasticsearch's types.
/// <https://www.elastic.co/docs/reference/elasticsearch/mapping-reference/field-data-types>
const TYPES: &[(&str, Kind)] = &[
    ("keyword", Kind::Text),
    ("constant_keyword", Kind::Text),
    ("wildcard", Kind::Text),
    ("text", Kind::Text),
    ("match_only_text", Kind::Text),
    ("version", Kind::Text),
    ("long", Kind::Integer),
    ("integer", Kind::Integer),
    ("short", Kind::Integer),
    ("byte", Kind::Integer),
    ("unsigned_long", Kind::Integer),
    ("double", Kind::Number),
    ("float", Kind::Number),
    ("half_float", Kind::Number),
    ("scaled_float", Kind::Number),
    ("boolean", Kind::Boolean),
    ("date", Kind::Date),
    ("date_nanos", Kind::Date),
    ("ip", Kind::Ip),
    ("geo_point", Kind::Open),
    ("object", Kind::Open),
    ("nested", Kind::Open),
    ("flattened", Kind::Open),
];

fn kind(data_type: &str) -> Option<Kind> {
    let found = TYPES.iter().find(|(name, _)| *name == data_type)?;
    Some(found.1)
}

/// What is wrong with the fields themselves.
pub(super) fn problems(fields: &[Field]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut known: BTreeMap<&str, Option<Kind>> = BTreeMap::new();
    for field in fields {
        let name = field.name.as_str();
        if !is_name(name) {
            problems.push(format!("{name:?} is no dotted name"));
        }
        let kind = kind(&field.data_type);
        if kind.is_none() {
            problems.push(format!(
                "`{name}`: {:?} is no type of Elasticsearch",
                field.data_type
            ));
        }
        if field.source.trim().is_empty() {
            problems.push(format!("`{name}` does not say where its value comes from"));
        }
        if known.insert(name, kind).is_some() {
            problems.push(format!("`{name}` is listed twice"));
        }
    }
    for name in known.keys() {
        let mut parent = *name;
        while let Some((above, _)) = parent.rsplit_once('.') {
            parent = above;
            if known
                .get(parent)
                .is_some_and(|kind| *kind != Some(Kind::Open))
            {
                problems.push(format!("`{parent}` is a value and holds `{name}`"));
            }
        }
    }
    problems
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|char| char.is_alphanumeric() || matches!(char, '_' | '-' | '@'))
    };
    name.split('.').all(part)
}

/// Holds documents against a catalogue.
pub(super) struct Checker(BTreeMap<String, Kind>);

impl Checker {
    /// Of the fields whose types are known.
    pub(super) fn new(fields: &[Field]) -> Self {
        let known = fields
            .iter()
            .filter_map(|field| Some((field.name.clone(), kind(&field.data_type)?)));
        Self(known.collect())
    }

    /// What is wrong with a document.
    pub(super) fn problems(&self, body: &[u8]) -> Vec<String> {
        let mut problems = Vec::new();
        match serde_json::from_slice::<Value>(body) {
            Ok(document @ Value::Object(_)) => self.walk("", &document, &mut problems),
            Ok(_) => problems.push("not an object".to_owned()),
            Err(error) => problems.push(format!("not JSON: {error}")),
        }
        problems
    }

    fn walk(&self, name: &str, value: &Value, problems: &mut Vec<String>) {
        let kind = self.0.get(name).copied();
        match value {
            _ if kind == Some(Kind::Open) => {}
            Value::Object(members) => {
                if members.is_empty() && !name.is_empty() {
                    problems.push(format!("`{name}` is an empty object"));
                }
                for (key, value) in members {
                    let dot = if name.is_empty() { "" } else { "." };
                    self.walk(&format!("{name}{dot}{key}"), value, problems);
                }
            }
            Value::Array(list) => list
                .iter()
                .for_each(|value| self.walk(name, value, problems)),
            value => match kind {
                None => problems.push(format!("`{name}` is not in the catalogue")),
                Some(kind) if !fits(kind, value) => {
                    problems.push(format!("`{name}` cannot be {}", shortened(value)));
                }
                Some(_) => {}
            },
        }
    }
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}..", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Integer => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::Ip => value
            .as_str()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        Kind::Date => value.is_i64() || value.as_str().is_some_and(is_date),
        Kind::Open => true,
    }
}

/// Digits since the epoch, a day, or ISO 8601 with a zone and at most nine digits of a second.
fn is_date(text: &str) -> bool {
    if !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    if !text.is_ascii() {
        return false;
    }
    let (day, rest) = text.split_at_checked(10).unwrap_or((text, ""));
    if rest.is_empty() {
        return is_time(&format!("{day}T00:00:00Z"));
    }
    let zone = rest.find(['Z', '+']).or_else(|| rest.rfind('-'));
    let Some((clock, zone)) = zone.and_then(|zone| rest.split_at_checked(zone)) else {
        return false;
    };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let zone_is_one = zone == "Z"
        || (digits.len() == 4
            && matches!(zone.len(), 5 | 6)
            && digits.get(..2).is_some_and(|hours| hours <= "18")
            && digits.get(2..).is_some_and(|minutes| minutes < "60"));
    zone_is_one
        && clock.get(7..9).is_some_and(|second| second < "60")
        && is_time(&format!("{day}{clock}Z"))
}

/// A day and a time in UTC. humantime's years begin with 1970: any other is as long as one of its own.
fn is_time(text: &str) -> bool {
    let Some((year, rest)) = text.split_at_checked(4) else {
        return false;
    };
    let Some(year) = year.parse::<u32>().ok().filter(|year| *year > 0) else {
        return false;
    };
    let leaps = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let like = if leaps { 2000 } else { 2001 };
    humantime::parse_rfc3339(&format!("{like}{rest}")).is_ok()
}

#[cfg(test)]
mod tests {
    use runtime::FieldOrigin;

    use super::*;

    fn field(name: &str, data_type: &str) -> Field {
        Field {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            origin: FieldOrigin::Custom,
            source: "x".to_owned(),
        }
    }

    #[test]
    fn a_catalogue_is_held_against_the_rules() {
        let good = [
            field("@timestamp", "date"),
            field("a.b", "keyword"),
            field("a.c", "ip"),
        ];
        assert_eq!(problems(&good), Vec::<String>::new());
        for (bad, text) in [
            (vec![field("a..b", "long")], "no dotted name"),
            (vec![field("a b", "long")], "no dotted name"),
            (vec![field("a", "string")], "no type of Elasticsearch"),
            (vec![field("a", "long"), field("a", "long")], "listed twice"),
            (
                vec![field("a", "long"), field("a.b.c", "long")],
                "`a` is a value and holds `a.b.c`",
            ),
        ] {
            let problems = problems(&bad);
            assert!(
                problems.len() == 1 && problems[0].contains(text),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn a_document_is_held_against_the_catalogue() {
        let fields = [
            "keyword", "long", "date", "boolean", "ip", "object", "float",
        ]
        .map(|kind| field(&format!("f.{kind}"), kind));
        let checker = Checker::new(&fields);
        let good = r#"{"f":{"keyword":["a","b"],"long":1,"date":"2026-05-01T10:00:00.123+02:00","boolean":true,"ip":"2001:db8::1","object":{"any":[1,{}]},"float":1.5}}"#;
        assert_eq!(checker.problems(good.as_bytes()), Vec::<String>::new());
        for (bad, text) in [
            ("[]", "not an object"),
            ("{", "not JSON"),
            (r#"{"x":1}"#, "`x` is not in the catalogue"),
            (r#"{"f":{"long":"1"}}"#, "`f.long` cannot be \"1\""),
            (r#"{"f":{"keyword":null}}"#, "cannot be null"),
            (r#"{"f":{"ip":"192.0.2.0/24"}}"#, "cannot be"),
            (
                r#"{"f":{"keyword":{"x":"y"}}}"#,
                "`f.keyword.x` is not in the catalogue",
            ),
            (r#"{"f":{}}"#, "empty object"),
        ] {
            let problems = checker.problems(bad.as_bytes());
            assert!(
                problems.len() == 1 && problems[0].contains(text),
                "{bad}: {problems:?}"
            );
        }
    }

    #[test]
    fn dates_are_what_elasticsearch_takes() {
        for good in [
            "1700000000",
            "2024-05-01",
            "1968-02-29T00:00:00Z",
            "2014-10-06T07:12:57.000Z",
            "2024-03-01T10:34:56.123456+00:00",
            "2024-02-29T12:34:56.789012-0200",
        ] {
            assert!(is_date(good), "{good}");
        }
        for bad in [
            "",
            "2024-13-01",
            "0000-00-00",
            "1900-02-29",
            "2024-05-01 10:00:00",
            "2024-05-01T10:00:60Z",
            "2024-05-01T10:00:00",
            "2024-05-01T10:00:00+9900",
            "yesterday",
        ] {
            assert!(!is_date(bad), "{bad}");
        }
    }
}
