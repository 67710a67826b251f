//! The reference of every option, made from the doc comments of the types.

use std::fmt::Write as _;

use schemars::schema_for;
use serde_json::Value;

use super::Config;

/// `host/CONFIG.md`: every key, its type, default and meaning.
pub(crate) fn reference() -> String {
    let schema = schema_for!(Config);
    let root = schema.as_value();
    let mut page = String::from(
        "# Configuration\n\nOne YAML file, `misp-ecs run --config FILE`. Generated from the types in `host/src/config`; `cargo xtask generate` writes it anew.\n\n| key | type | default | meaning |\n|---|---|---|---|\n",
    );
    rows(root, root, "", &mut page);
    page.push_str("\n# Exit codes\n\nOf all commands; `misp-ecs --help` shows the same table.\n\n");
    page.push_str(&crate::exit::markdown());
    page
}

fn rows(schema: &Value, root: &Value, prefix: &str, page: &mut String) {
    let required = schema.get("required").and_then(Value::as_array);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    for (key, property) in properties {
        let path = format!("{prefix}{key}");
        let shape = resolve(property, root);
        let description = [property, shape]
            .iter()
            .find_map(|schema| schema.get("description").and_then(Value::as_str))
            .unwrap_or_default()
            .replace('\n', " ")
            .replace('|', "\\|");
        let needed = required.is_some_and(|names| names.iter().any(|name| name == key));
        let default = match property.get("default").or_else(|| shape.get("default")) {
            _ if needed => "required".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(Value::Object(_)) => String::new(),
            Some(value) => format!("`{}`", value.to_string().trim_matches('"')),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{path}` | {} | {default} | {description} |",
            kind(shape)
        );
        for (inner, prefix) in nested(shape, root, &path) {
            rows(inner, root, &prefix, page);
        }
    }
}

/// The objects inside a property, each with the prefix of its keys.
fn nested<'a>(shape: &'a Value, root: &'a Value, path: &str) -> Vec<(&'a Value, String)> {
    if let Some(items) = shape.get("items") {
        return vec![(resolve(items, root), format!("{path}[]."))];
    }
    if let Some(others) = shape
        .get("additionalProperties")
        .filter(|others| others.is_object())
    {
        return variants(resolve(others, root), root, &format!("{path}.NAME"));
    }
    let mut found = variants(shape, root, path);
    if shape.get("properties").is_some() {
        found.push((shape, format!("{path}.")));
    }
    found
}

fn variants<'a>(shape: &'a Value, root: &'a Value, path: &str) -> Vec<(&'a Value, String)> {
    let tagged = shape.get("oneOf").and_then(Value::as_array);
    tagged
        .into_iter()
        .flatten()
        .map(|variant| resolve(variant, root))
        .filter_map(|variant| {
            let tag = variant.pointer("/properties/type/const")?.as_str()?;
            Some((variant, format!("{path} ({tag}).")))
        })
        .collect()
}

fn kind(shape: &Value) -> String {
    if let Some(values) = shape.get("enum").and_then(Value::as_array) {
        return values
            .iter()
            .filter_map(Value::as_str)
            .map(|value| format!("`{value}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let name = match shape.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) => names.iter().find_map(Value::as_str).unwrap_or("any"),
        _ => "",
    };
    match name {
        "array" => "list",
        other => other,
    }
    .to_owned()
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").or_else(|| {
        // `Option<T>` is anyOf [T, null].
        schema
            .get("anyOf")
            .and_then(Value::as_array)
            .and_then(|shapes| shapes.iter().find_map(|shape| shape.get("$ref")))
    });
    reference
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_reference_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/CONFIG.md");
        let made = super::reference();
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == made,
            "host/CONFIG.md is not current: `cargo xtask generate`"
        );
    }
}
