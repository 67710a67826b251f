//! `misp-ecs audit`: what went out against what MISP has now, and against what an index really has.

mod inventory;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use pipeline::{Comparison, Difference, DifferenceCounts, Listing, OutputKey, State};
use serde::{Deserialize, Serialize};
use state::Store;

use super::run::poll_with;
use crate::args::Audit;
use crate::assembly::{Mode, chosen};
use crate::config::{Facts, Loaded, nearest_or_all};
use crate::control::{self, Request};
use crate::exit::Exit;
use crate::summary::thousands;
use crate::wiring::{self, Server};

/// Events that are listed before the rest is summed up.
const EVENTS: usize = 20;

/// What is asked of an output beyond what is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deeper {
    /// The output's name.
    pub(crate) output: String,
    /// Mend the difference.
    pub(crate) repair: bool,
    /// Delete however much it is.
    pub(crate) confirmed: bool,
}

/// Runs the command, in the host that holds the state if one does.
pub(crate) async fn audit(args: &Audit) -> anyhow::Result<ExitCode> {
    let configured = &args.instance.configured;
    let only = args.instance.instance.clone();
    let loaded = Arc::new(wiring::load_config(configured)?);
    let folder = wiring::state_folder(configured, Some(&loaded.config))?;
    let deeper = args.output.clone().map(|output| Deeper {
        output,
        repair: args.repair,
        confirmed: args.confirm,
    });
    let request = Request::Audit {
        instance: only.clone(),
        deeper: deeper.clone(),
    };
    if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
        return Ok(ExitCode::from(code));
    }
    let store = Arc::new(Store::open(&folder)?);
    crate::instances::configure(&store, &loaded.config)?;
    let (mut text, mut exit) = report(&store, &loaded, &folder, only.as_deref()).await?;
    if let Some(deeper) = &deeper {
        let (more, there) = inventory_report(&store, &loaded, deeper).await?;
        text.push_str(&more);
        exit = exit.max(there);
    }
    crate::write_out(&text)?;
    if !args.repair {
        return Ok(exit.into());
    }
    // What is missing is wanted now: one pass fetches it.
    let mode = Mode {
        once: true,
        only,
        ..Mode::default()
    };
    let (config, state) = (Arc::clone(&loaded), Arc::clone(&store));
    let polled = poll_with(configured, &mode, config, &folder, state).await?;
    if exit == Exit::HeldBack {
        return Ok(exit.into());
    }
    let Some(deeper) = deeper.filter(|_| polled == ExitCode::SUCCESS) else {
        return Ok(polled);
    };
    // Whether that was enough.
    let look = Deeper {
        repair: false,
        ..deeper
    };
    let (text, exit) = inventory_report(&store, &loaded, &look).await?;
    if exit != Exit::Done {
        crate::write_out(&text)?;
    }
    Ok(exit.into())
}

/// What an output really has, repaired if that is asked for, and the exit code.
pub(crate) async fn inventory_report(
    store: &Arc<Store>,
    loaded: &Loaded,
    deeper: &Deeper,
) -> anyhow::Result<(String, Exit)> {
    let Deeper {
        output: name,
        repair,
        confirmed,
    } = deeper;
    let Some(options) = loaded.config.outputs.get(name) else {
        let names = loaded.config.outputs.keys().map(String::as_str);
        return Err(Exit::Usage.error(format!("no output `{name}`{}", nearest_or_all(name, names))));
    };
    let output = options.build(name);
    let key = OutputKey::of(&*output);
    let found = inventory::compare(store, &*output, &key).await?;
    let mut text = String::new();
    found.write(&mut text, &key)?;
    let mut exit = Exit::of_difference(found.differs());
    if *repair && exit == Exit::Differs {
        let done = inventory::repair(store, &*output, &key, found, *confirmed);
        let (done, held_back) = done.await?;
        text.push_str(&done);
        exit = held_back;
    }
    Ok((text, exit))
}

/// The report and the exit code.
pub(crate) async fn report(
    store: &Arc<Store>,
    loaded: &Loaded,
    folder: &Path,
    only: Option<&str>,
) -> anyhow::Result<(String, Exit)> {
    let engine = crate::engine::engine(Some(folder), &loaded.config.limits)?;
    let mapping = wiring::load_mapping(&engine, loaded)?;
    let keys = wiring::output_keys(&loaded.config);
    let (mut text, mut differs) = (String::new(), false);
    for (instance, credential) in chosen(loaded, only)? {
        let name = instance.label();
        let server = Server::of(instance, credential, loaded.config.spool_folder(folder))?;
        let facts = Facts::default();
        let mapper = wiring::start_mapper(&engine, &mapping, &loaded.config, instance, &facts)?;
        // The listing is bound by where the first walk began: the cursor knows.
        let cursor = State::cursor(store.as_ref(), name)?;
        let listing = server.begin_walk(instance, &mapper)?(cursor.as_ref())?.listing();
        let found = compare(store, name, listing, keys.clone())
            .await
            .with_context(|| format!("instance {name}"))?;
        writeln!(text, "{name}")?;
        let Some(found) = found else {
            writeln!(text, "  this kind of source cannot list what it has")?;
            continue;
        };
        for one in &found {
            differs |= one.differs();
            one.write(&mut text)?;
        }
    }
    Ok((text, Exit::of_difference(differs)))
}

/// What was found at one output.
struct Audited {
    output: OutputKey,
    counts: DifferenceCounts,
    /// Missing, stale and orphaned, by event.
    events: BTreeMap<String, (u64, u64, u64)>,
}

async fn compare(
    store: &Arc<Store>,
    instance: &str,
    listing: Option<Box<dyn Listing>>,
    outputs: Vec<OutputKey>,
) -> anyhow::Result<Option<Vec<Audited>>> {
    let Some(mut listing) = listing else {
        return Ok(None);
    };
    let mut comparison = State::comparison(Arc::clone(store), instance)?;
    while let Some(attributes) = listing.attributes().await? {
        comparison.add_attributes(&attributes)?;
    }
    while let Some(events) = listing.events().await? {
        comparison.add_events(&events)?;
    }
    let audited = tokio::task::spawn_blocking(move || {
        outputs
            .into_iter()
            .map(|output| at_output(&mut *comparison, output))
            .collect::<anyhow::Result<Vec<_>>>()
    });
    audited.await?.map(Some)
}

fn at_output(comparison: &mut dyn Comparison, output: OutputKey) -> anyhow::Result<Audited> {
    let mut events: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    let counts = comparison.compare(&output, &mut |difference| {
        match difference {
            Difference::Missing { event, .. } => {
                events.entry(event.unwrap_or_default()).or_default().0 += 1;
            }
            Difference::Stale { event, .. } => events.entry(event).or_default().1 += 1,
            Difference::Unsure { event, orphaned } => {
                if orphaned {
                    events.entry(event).or_default().2 += 1;
                }
            }
            Difference::Orphan { held, worked_on } => {
                let there = held.fate.may_be_there();
                if there && !worked_on {
                    events.entry(held.event).or_default().2 += 1;
                }
            }
        }
        true
    })?;
    Ok(Audited {
        output,
        counts,
        events,
    })
}

impl Audited {
    fn differs(&self) -> bool {
        self.counts.missing + self.counts.stale + self.counts.orphaned > 0
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let counts = &self.counts;
        writeln!(
            text,
            "  output {} ({})",
            self.output.name, self.output.target
        )?;
        for (count, what) in [
            (counts.listed, "attributes in MISP that the filters match"),
            (counts.held, "of them or of others known here"),
            (counts.delivered, "delivered"),
            (counts.missing, "missing: in MISP and not known here"),
            (counts.stale, "stale: changed in MISP since they were read"),
            (counts.orphaned, "orphaned: delivered and no longer in MISP"),
            (
                counts.worked_on,
                "kept: their event is unpublished and being worked on",
            ),
        ] {
            writeln!(text, "    {:>10}  {what}", thousands(count))?;
        }
        for (event, (missing, stale, orphaned)) in self.events.iter().take(EVENTS) {
            let event = if event.is_empty() {
                "an event not listed"
            } else {
                event
            };
            writeln!(
                text,
                "      {event}: {missing} missing, {stale} stale, {orphaned} orphaned"
            )?;
        }
        if self.events.len() > EVENTS {
            writeln!(text, "      and {} more events", self.events.len() - EVENTS)?;
        }
        let verdict = if self.differs() {
            "    differs: `misp-ecs sweep` mends it, as the next sweep of a running host does"
        } else {
            "    nothing differs"
        };
        writeln!(text, "{verdict}")
    }
}
