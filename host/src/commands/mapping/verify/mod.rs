//! `misp-ecs mapping verify`: the sentences of wit/README.md, each tried on a component.

mod behaviour;
mod catalogue;
mod golden;
mod report;
mod sample;
mod settings;

use std::process::ExitCode;
use std::time::Instant;

use runtime::{CONTRACT, Description, Engine, LoadedMapping, Origin};
use serde_json::{Map, Value};

use super::super::input;
use crate::args::Verify;
use crate::config::{Facts, StaticFields};
use crate::exit::Exit;
use crate::mappings::Places;
use report::Report;

pub(crate) use sample::document_problems;

/// What the checks work with.
struct Subject {
    engine: Engine,
    mapping: LoadedMapping,
    settings: Map<String, Value>,
    origin: Origin,
}

/// Runs the command.
pub(super) fn verify(args: &Verify, places: &Places) -> anyhow::Result<ExitCode> {
    let found = places.find(&args.mapping)?;
    let settings = input::settings(args.settings.as_deref())?;
    let mut report = Report::of(&found.place);
    if let Some(subject) = loaded(&found.bytes, settings, &mut report)? {
        checks(&subject, &mut report)?;
        if let Some(folder) = &args.golden {
            golden::check(&subject, folder, args.accept, &mut report)?;
        }
    }
    report.print(args.json)?;
    Ok(if report.is_ok() {
        Exit::Done
    } else {
        Exit::Differs
    }
    .into())
}

/// Compiles the component and asks what it is, as far as it goes.
fn loaded(
    bytes: &[u8],
    settings: Map<String, Value>,
    report: &mut Report,
) -> anyhow::Result<Option<Subject>> {
    let engine = super::engine()?;
    let started = Instant::now();
    let compiled = match engine.compile(bytes) {
        Ok(compiled) => compiled,
        Err(error) => {
            report.fail(
                "component",
                error,
                "make a component of the core module: `misp-ecs mapping componentize`",
            );
            return Ok(None);
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    report.ok(
        "component",
        format!("{} bytes, ready in {seconds:.1} s", bytes.len()),
    );
    report.none(
        "imports",
        compiled.imports(),
        "none",
        "a mapping may import nothing: build it for wasm32-unknown-unknown, without a clock, randomness or files",
    );
    let exports = compiled.exports();
    if !exports.iter().any(|name| name == CONTRACT) {
        report.fail(
            "contract",
            format!("it exports {exports:?}, this host knows {CONTRACT}"),
            "build it against the wit/mapping.wit of this version",
        );
    }
    match engine.prepare(&compiled) {
        Ok(mapping) => {
            report.ok("contract", CONTRACT);
            describe(mapping.description(), report);
            let static_fields = StaticFields::default().object(&Facts::default(), &[]);
            Ok(Some(Subject {
                engine,
                mapping,
                settings,
                origin: Origin {
                    name: "verify".to_owned(),
                    url: Some("https://misp.example.org".to_owned()),
                    static_fields: serde_json::to_vec(&static_fields)?,
                },
            }))
        }
        Err(error) => {
            report.fail(
                "loads",
                error,
                "the checks that need a running mapping were not made",
            );
            Ok(None)
        }
    }
}

fn describe(description: &Description, report: &mut Report) {
    let mut problems = Vec::new();
    let texts = [
        ("name", &description.name),
        ("version", &description.version),
        ("ecs-version", &description.ecs_version),
    ];
    for (name, text) in texts {
        let is_word = !text.is_empty() && text.chars().all(|char| char.is_ascii_graphic());
        if !is_word {
            problems.push(format!("{name} is {text:?}"));
        }
    }
    match serde_json::from_str::<Value>(&description.settings_schema) {
        Ok(Value::Object(_)) => {}
        _ => problems.push("settings-schema is not a JSON object".to_owned()),
    }
    for (key, value) in &description.extra {
        if key == "epoch-second-fields" {
            let names = value
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            for name in names {
                let is_date =
                    |field: &runtime::Field| field.name == name && field.data_type == "date";
                if !description.fields.iter().any(is_date) {
                    problems.push(format!(
                        "{key} names `{name}`, which is no field of type date"
                    ));
                }
            }
        }
    }
    report.none(
        "describe",
        &problems,
        format!(
            "{} {}, ECS {}",
            description.name, description.version, description.ecs_version
        ),
        "see `describe` in wit/README.md",
    );
    report.none(
        "catalogue",
        &catalogue::problems(&description.fields),
        format!("{} fields", description.fields.len()),
        "mend describe().fields: index templates are made from it",
    );
}

fn checks(subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    if settings::check(subject, report) {
        sample::check(subject, report)?;
    }
    Ok(())
}

impl Subject {
    /// A fresh instance with the user's settings.
    fn start(&self) -> Result<runtime::Probe, runtime::StartError> {
        self.start_with(Value::Object(self.settings.clone()).to_string().as_bytes())
    }

    fn start_with(&self, settings: &[u8]) -> Result<runtime::Probe, runtime::StartError> {
        runtime::Probe::start(&self.engine, &self.mapping, settings, &self.origin)
    }
}
