//! `misp-ecs mapping diff`: what another mapping would change on one's own events.

mod compare;
mod print;
mod private;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use pipeline::{Batch, Transform as _};
use runtime::{Mapper, Origin};
use serde_json::Value;

use super::super::input;
use crate::args::Diff;
use crate::config::{Facts, StaticFields};
use crate::exit::{Exit, OrExit as _};
use crate::mappings::Places;
use compare::Comparison;
use private::Private;

/// Runs the command. `Err` is wrong usage, unreadable input or a mapping that does not run.
pub(super) async fn diff(args: &Diff, places: &Places) -> anyhow::Result<ExitCode> {
    let engine = super::engine()?;
    let mut types = Vec::new();
    let mut start = |name: &str, settings: Option<&Path>| -> anyhow::Result<Mapper> {
        let mapping = crate::engine::load(&engine, name, places)?;
        types.extend(mapping.description().private_types());
        let settings = Value::Object(input::settings(settings)?).to_string();
        let static_fields = StaticFields::default().object(&Facts::default(), &[]);
        let origin = Origin {
            name: "diff".to_owned(),
            url: None,
            static_fields: serde_json::to_vec(&static_fields)?,
        };
        Mapper::start(&engine, &mapping, settings.into_bytes(), origin)
            .with_context(|| format!("the mapping {name} did not start"))
            .or_exit(Exit::Usage)
    };
    let settings = args.settings.as_deref();
    let old = start(&args.old, settings)?;
    let new = start(&args.new, args.new_settings.as_deref().or(settings))?;
    let private = Private::new(types);
    let mut comparison = Comparison::new(args.examples);
    let now_ms = pipeline::now_ms();
    let unreadable = super::files::batches(&args.files, async |records| {
        let batch = |records| Batch { records, now_ms };
        let before = old.transform(batch(records.clone())).await?;
        let after = new.transform(batch(records.clone())).await?;
        for (record, (before, after)) in records.iter().zip(before.iter().zip(&after)) {
            comparison.record(&private.of(record), before, after);
        }
        Ok(())
    })
    .await?;
    let report = comparison.report(&old.identity(), &new.identity(), unreadable);
    if args.json {
        crate::print(&serde_json::to_string_pretty(&report)?);
    } else {
        crate::write_out(&print::text(&report))?;
    }
    Ok(Exit::of_difference(report.differs()).into())
}
