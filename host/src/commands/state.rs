//! `misp-ecs state`: what is remembered, and how to forget it. A running host is asked for it;
//! to forget, it must be stopped, and the error says which process that is.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use state::Store;

use crate::args::{OneInstance, State};
use crate::config::nearest_or_all;
use crate::control::{self, Request};
use crate::exit::Exit;
use crate::summary::{plural, thousands};
use crate::wiring;

/// Bytes of lines that are written at once.
const PIECE: usize = 64 << 10;

/// Runs the command.
pub(crate) async fn state(command: &State) -> anyhow::Result<ExitCode> {
    let (configured, request) = match command {
        State::Show(configured) => (configured, Request::StateShow),
        State::Export(configured) => (configured, Request::StateExport),
        State::Reset(one) => return reset(one),
    };
    let folder = wiring::folder_of(configured)?;
    if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
        return Ok(ExitCode::from(code));
    }
    let store = Store::open(&folder)?;
    if request == Request::StateExport {
        exported(&store, &mut crate::write_out)?;
    } else {
        crate::write_out(&shown(&store, &folder)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn reset(one: &OneInstance) -> anyhow::Result<ExitCode> {
    let folder = wiring::folder_of(&one.configured)?;
    match &one.instance {
        Some(name) => forget(&Store::open(&folder)?, name)?,
        None => match Store::set_aside(&folder)? {
            Some(kept) => crate::print(&format!(
                "everything is forgotten; the old state is kept as {}",
                kept.display()
            )),
            None => crate::print("there was nothing to forget"),
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// `state show`
pub(crate) fn shown(store: &Store, folder: &Path) -> anyhow::Result<String> {
    let instances = store.instances()?;
    let mut text = String::new();
    let count = plural(instances.len() as u64, "instance");
    writeln!(text, "{}: {count}", folder.display())?;
    for one in &instances {
        let seconds = (pipeline::now_ms() - one.updated_ms).max(0) / 1_000;
        let ago = humantime::format_duration(Duration::from_secs(seconds.unsigned_abs()));
        writeln!(
            text,
            "  {}\n    last commit  {ago} ago, write version {}\n    position     {}",
            one.instance
                .replacen('\u{1f}', " catching up: output ", 1)
                .replacen('\u{1f}', " to ", 1),
            one.version,
            position(&one.cursor)
        )?;
        let wanted = store.wanted_count(&one.instance)?;
        if wanted > 0 {
            let wanted = thousands(wanted);
            writeln!(
                text,
                "    to come      {wanted} events are to be read again"
            )?;
        }
    }
    for held in store.held()? {
        writeln!(
            text,
            "  {} at {} ({}): {} documents: {} delivered, {} deleted, {} expired, {} refused, {} not acknowledged",
            held.instance,
            held.output,
            held.target,
            thousands(held.total()),
            thousands(held.delivered),
            thousands(held.deleted),
            thousands(held.expired),
            thousands(held.refused),
            thousands(held.sent)
        )?;
    }
    Ok(text)
}

/// Where the next poll continues: the time of MISP's cursor where there is one. `state export` has
/// the cursor itself.
fn position(cursor: &str) -> String {
    let cursor: serde_json::Value = serde_json::from_str(cursor).unwrap_or_default();
    let seconds = cursor.get("w").and_then(serde_json::Value::as_u64);
    match seconds {
        Some(seconds) => {
            let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            format!("{} of the server", humantime::format_rfc3339_seconds(time))
        }
        None => "stored".to_owned(),
    }
}

/// `state export`: one JSON object a line, instances first.
pub(crate) fn exported(
    store: &Store,
    write: &mut dyn FnMut(&str) -> io::Result<()>,
) -> anyhow::Result<()> {
    let line = |value: serde_json::Value| format!("{value}\n");
    for one in store.instances()? {
        write(&line(serde_json::json!({"instance": one})))?;
    }
    let mut lines = String::new();
    store.export(&mut |document| {
        lines.push_str(&line(serde_json::json!({"document": document})));
        if lines.len() < PIECE {
            return Ok(());
        }
        write(&std::mem::take(&mut lines))
    })??;
    write(&lines)?;
    Ok(())
}

fn forget(store: &Store, name: &str) -> anyhow::Result<()> {
    if store.reset(name)? {
        crate::print(&format!(
            "{name} is forgotten: its next walk is a first one"
        ));
        return Ok(());
    }
    let known = store.instances()?;
    let names = known.iter().map(|one| one.instance.as_str());
    Err(Exit::Usage.error(format!(
        "no instance `{name}` is known{}",
        nearest_or_all(name, names)
    )))
}
