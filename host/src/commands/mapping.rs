//! `misp-ecs mapping`: which mappings there are and what one is.

use std::io::{self, Write};
use std::process::ExitCode;

use runtime::{Field, FieldOrigin};
use serde_json::{Value, json};

use crate::args::{Format, Mapping};
use crate::mappings::Places;

/// Runs the command.
pub(crate) fn mapping(command: &Mapping) -> anyhow::Result<ExitCode> {
    let places = Places::new(None);
    let mut out = io::stdout().lock();
    match command {
        Mapping::List => {
            for (name, place) in places.list() {
                writeln!(out, "{name}\t{place}")?;
            }
        }
        Mapping::Info { mapping } => info(&mut out, mapping, &places)?,
        Mapping::Fields { mapping, format } => {
            let loaded = load(mapping, &places)?;
            let fields = crate::catalogue::whole(&loaded.description().fields);
            match format {
                Format::Markdown => markdown(&mut out, &fields)?,
                Format::Json => {
                    let list: Vec<Value> = fields.iter().map(field).collect();
                    writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn load(name: &str, places: &Places) -> anyhow::Result<runtime::LoadedMapping> {
    let engine = crate::engine::engine(None, &crate::config::Limits::default())?;
    crate::engine::load(&engine, name, places)
}

fn info(out: &mut impl Write, name: &str, places: &Places) -> anyhow::Result<()> {
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
