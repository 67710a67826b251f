//! Which events and attributes a filter lets through, MISP's misreadings included.

use serde_json::{Map, Value};

use super::store::{attributes, list, text};

type Request = Map<String, Value>;

/// `published`: a boolean false is skipped here and applied after paging.
pub(super) fn published(wanted: Option<&Value>, event: &Value) -> bool {
    let is = event.get("published").and_then(Value::as_bool) == Some(true);
    let matches = |one: &Value| match one {
        Value::Number(number) => (number.as_i64() != Some(0)) == is,
        Value::String(text) => (text != "0") == is,
        Value::Bool(true) => is,
        _ => true,
    };
    match wanted {
        Some(Value::Array(list)) => list.iter().any(matches),
        Some(one) => matches(one),
        None => true,
    }
}

pub(super) fn after_paging(request: &Request, event: &Value) -> bool {
    let unpublished_only = request.get("published") == Some(&Value::Bool(false));
    let is = event.get("published").and_then(Value::as_bool) == Some(true);
    !(unpublished_only && is) && one_of(request.get("distribution"), &[text(event, "distribution")])
}

/// `tags` looks at the event and its attributes, `event_tags` at the event only.
pub(super) fn tagged(request: &Request, event: &Value) -> bool {
    let own: Vec<String> = list(event, "Tag").iter().map(|t| text(t, "name")).collect();
    let all: Vec<String> = attributes(event)
        .flat_map(|attribute| list(attribute, "Tag"))
        .map(|t| text(t, "name"))
        .chain(own.iter().cloned())
        .collect();
    let anywhere = request.get("tags").or_else(|| request.get("tag"));
    one_of(anywhere, &all) && one_of(request.get("event_tags"), &own)
}

/// `tags` of a search for attributes: those of the attribute and of its event.
pub(super) fn tagged_attribute(request: &Request, attribute: &Value, event: &Value) -> bool {
    let names = |holder: &Value| -> Vec<String> {
        list(holder, "Tag")
            .iter()
            .map(|t| text(t, "name"))
            .collect()
    };
    let all: Vec<String> = names(attribute).into_iter().chain(names(event)).collect();
    one_of(request.get("tags"), &all)
}

pub(super) fn has_attribute(request: &Request, event: &Value) -> bool {
    let asks = ["type", "value", "category", "to_ids", "deleted"]
        .iter()
        .any(|key| request.contains_key(*key));
    !asks
        || attributes(event).any(|attribute| {
            matches_attribute(request, attribute) && deletion(request.get("deleted"), attribute)
        })
}

pub(super) fn matches_attribute(request: &Request, attribute: &Value) -> bool {
    ["type", "value", "category", "object_relation"]
        .iter()
        .all(|key| one_of(request.get(*key), &[text(attribute, key)]))
        && for_ids(request.get("to_ids"), attribute)
}

/// `to_ids`: 0, 1 or "exclude"; a boolean false is ignored, the string "false" means true.
pub(super) fn for_ids(wanted: Option<&Value>, attribute: &Value) -> bool {
    let is = attribute.get("to_ids").and_then(Value::as_bool) == Some(true);
    match wanted {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Number(number)) => (number.as_i64() != Some(0)) == is,
        Some(Value::String(text)) if text == "0" || text == "exclude" => !is,
        Some(_) => is,
    }
}

/// `deleted`: live ones unless asked.
pub(super) fn deletion(wanted: Option<&Value>, attribute: &Value) -> bool {
    let is = attribute.get("deleted").and_then(Value::as_bool) == Some(true);
    match wanted {
        Some(Value::Array(list)) => list.iter().any(|one| (number(Some(one)) == Some(1)) == is),
        Some(Value::Number(number)) => (number.as_i64() != Some(0)) == is,
        Some(Value::Bool(true)) => is,
        Some(Value::String(text)) if text != "0" => is,
        _ => !is,
    }
}

/// Is one of the event's texts wanted? Nothing wanted is everything.
pub(super) fn one_of(wanted: Option<&Value>, have: &[String]) -> bool {
    match wanted {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => {
            let (refused, asked): (Vec<&Value>, Vec<&Value>) = list
                .iter()
                .partition(|one| one.as_str().is_some_and(|text| text.starts_with('!')));
            let refused = refused
                .iter()
                .filter_map(|one| one.as_str()?.strip_prefix('!'))
                .any(|not| have.iter().any(|text| like(not, text)));
            !refused
                && (asked.is_empty()
                    || asked
                        .iter()
                        .any(|one| have.iter().any(|text| wants(one, text))))
        }
        Some(Value::String(text)) if text.contains("||") || text.starts_with('!') => {
            let list = text.split("||").map(Value::from).collect();
            one_of(Some(&Value::Array(list)), have)
        }
        Some(Value::Object(map)) => {
            let refused = map.get("NOT").cloned().unwrap_or_default();
            let refused: Vec<Value> = match refused {
                Value::Array(list) => list,
                Value::Null => Vec::new(),
                one => vec![one],
            };
            let refused = refused
                .iter()
                .any(|not| have.iter().any(|text| wants(not, text)));
            !refused && one_of(map.get("OR"), have)
        }
        Some(one) => have.iter().any(|text| wants(one, text)),
    }
}

pub(super) fn wants(wanted: &Value, text: &str) -> bool {
    match wanted {
        Value::Array(list) => list.iter().any(|one| wants(one, text)),
        Value::String(pattern) => like(pattern.trim(), text),
        Value::Number(number) => number.to_string() == text,
        _ => false,
    }
}

/// SQL's LIKE with `%` at the ends, letter case ignored.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let middle = pattern.trim_matches('%');
    match (pattern.starts_with('%'), pattern.ends_with('%')) {
        (true, true) => text.contains(middle),
        (true, false) => text.ends_with(middle),
        (false, true) => text.starts_with(middle),
        (false, false) => text == pattern,
    }
}

pub(super) fn number(value: Option<&Value>) -> Option<usize> {
    match value? {
        Value::Number(number) => usize::try_from(number.as_i64()?).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(super) fn second(value: &Value, key: &str) -> i64 {
    text(value, key).parse().unwrap_or(0)
}

pub(super) fn uuid(value: &Value) -> String {
    text(value, "uuid")
}
