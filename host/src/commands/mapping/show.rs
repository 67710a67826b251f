//! `misp-ecs mapping list | info | fields`: which mappings there are and what one is.

use std::io::{self, Write};

use runtime::{Description, Field, FieldOrigin};
use serde_json::{Value, json};

use crate::args::Format;
use crate::catalogue::{component_template, json_schema};
use crate::mappings::Places;

/// Prints the mappings that a name finds.
pub(super) fn list(places: &Places) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for (name, place) in places.list() {
        writeln!(out, "{name}\t{place}")?;
    }
    Ok(())
}

/// Prints every field that a document can hold.
pub(super) fn fields(name: &str, format: Format, places: &Places) -> anyhow::Result<()> {
    let loaded = load(name, places)?;
    let fields = crate::catalogue::whole(&loaded.description().fields);
    let mut out = io::stdout().lock();
    let Description { name, version, .. } = loaded.description();
    let seconds = loaded.description().epoch_second_fields();
    match format {
        Format::Markdown => markdown(&mut out, &fields)?,
        Format::Template => {
            let template = component_template(name, version, &fields, &seconds);
            writeln!(out, "{template:#}")?;
        }
        Format::Schema => {
            let schema = json_schema(name, version, &fields, &seconds);
            writeln!(out, "{schema:#}")?;
        }
        Format::Json => {
            let list: Vec<Value> = fields.iter().map(field).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
        }
    }
    Ok(())
}

fn load(name: &str, places: &Places) -> anyhow::Result<runtime::LoadedMapping> {
    crate::engine::load(&super::engine()?, name, places)
}

/// Prints what a mapping says of itself.
pub(super) fn info(name: &str, places: &Places) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let found = places.find(name)?;
    let loaded = load(name, places)?;
    let description = loaded.description();
    writeln!(out, "name       {}", description.name)?;
    writeln!(out, "version    {}", description.version)?;
    writeln!(out, "ecs        {}", description.ecs_version)?;
    writeln!(out, "digest     sha256:{}", loaded.identity().digest)?;
    writeln!(out, "place      {}", found.place)?;
    writeln!(out, "size       {} bytes", found.bytes.len())?;
    writeln!(out, "imports    none")?;
    writeln!(out, "fields     {}", description.fields.len())?;
    for (key, value) in &description.extra {
        writeln!(out, "{key:<10} {value}")?;
    }
    let schema: Value = serde_json::from_str(&description.settings_schema).unwrap_or(Value::Null);
    writeln!(out, "settings")?;
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        let text = property
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let default = match property.get("default") {
            None | Some(Value::Null) => String::new(),
            Some(default) => format!(" (default {default})"),
        };
        writeln!(out, "  {key:<26} {text}{default}")?;
    }
    Ok(())
}

fn markdown(out: &mut impl Write, fields: &[Field]) -> io::Result<()> {
    writeln!(out, "| field | type | origin | from |\n|---|---|---|---|")?;
    for field in fields {
        writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            field.name,
            field.data_type,
            origin(field.origin),
            field.source.replace('|', "\\|")
        )?;
    }
    Ok(())
}

fn field(field: &Field) -> Value {
    json!({
        "name": field.name,
        "type": field.data_type,
        "origin": origin(field.origin),
        "source": field.source,
    })
}

fn origin(origin: FieldOrigin) -> &'static str {
    match origin {
        FieldOrigin::Ecs => "ecs",
        FieldOrigin::Custom => "custom",
    }
}
