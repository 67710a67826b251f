//! A filter that names events, held on our side.

use serde_json::Value;

/// Does a filter of ids and uuids, in any form MISP takes, let an event of these names through?
pub(super) fn let_through(wanted: &Value, names: [&str; 2]) -> bool {
    let (mut any, mut none) = (Vec::new(), Vec::new());
    sort(wanted, false, &mut any, &mut none);
    let is = |list: &[String]| list.iter().any(|one| names.contains(&one.as_str()));
    (any.is_empty() || is(&any)) && !is(&none)
}

/// Sorts what is asked for from what is refused.
fn sort(wanted: &Value, refused: bool, any: &mut Vec<String>, none: &mut Vec<String>) {
    match wanted {
        Value::Array(list) => list.iter().for_each(|one| sort(one, refused, any, none)),
        Value::Object(map) => map.iter().for_each(|(operator, one)| {
            sort(
                one,
                refused || operator.eq_ignore_ascii_case("not"),
                any,
                none,
            );
        }),
        Value::Number(number) => sort(&number.to_string().into(), refused, any, none),
        Value::String(text) => {
            for name in text.split("||").flat_map(|part| part.split("&&")) {
                let name = name.trim();
                match name.strip_prefix('!') {
                    Some(name) => none.push(name.to_owned()),
                    None if refused => none.push(name.to_owned()),
                    None => any.push(name.to_owned()),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_every_form() {
        for (wanted, through) in [
            (json!("7"), true),
            (json!(7), true),
            (json!([7, "b"]), true),
            (json!("6||a"), true),
            (json!({"OR": [7], "NOT": ["b"]}), true),
            (json!("!8"), true),
            (json!([]), true),
            (json!("8"), false),
            (json!("!7"), false),
            (json!(["!a"]), false),
            (json!({"NOT": 7}), false),
            (json!({"OR": [7], "NOT": ["a"]}), false),
        ] {
            assert_eq!(let_through(&wanted, ["7", "a"]), through, "{wanted}");
        }
    }
}
