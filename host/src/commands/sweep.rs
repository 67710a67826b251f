//! `misp-ecs sweep`: fetches what never came and withdraws what is gone, now.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use pipeline::{Swept, Wake};

use super::run::poll;
use crate::args::OneInstance;
use crate::assembly::Mode;
use crate::config::nearest_or_all;
use crate::control::{self, Request};
use crate::exit::Exit;
use crate::summary::thousands;
use crate::wiring;

/// Runs the command: in the host that holds the state if one does, else as one pass.
pub(crate) async fn sweep(one: &OneInstance, confirm: bool) -> anyhow::Result<ExitCode> {
    let folder = wiring::folder_of(&one.configured)?;
    let request = Request::Sweep {
        instance: one.instance.clone(),
        confirm,
    };
    if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
        return Ok(ExitCode::from(code));
    }
    let mode = Mode {
        once: true,
        sweep: true,
        confirmed: confirm,
        only: one.instance.clone(),
        ..Mode::default()
    };
    poll(&one.configured, &mode).await
}

/// Asks the instances of a running host for a sweep and says what came of each; the exit code.
pub(crate) async fn sweep_in<F: Future<Output = anyhow::Result<()>>>(
    wakes: &[(String, Arc<Wake>)],
    only: Option<&str>,
    confirm: bool,
    say: impl Fn(String) -> F,
) -> anyhow::Result<u8> {
    let chosen = wakes
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == name));
    let asked: Vec<_> = chosen
        .map(|(name, wake)| (name, wake.sweep(confirm)))
        .collect();
    if let (true, Some(only)) = (asked.is_empty(), only) {
        let names = wakes.iter().map(|(name, _)| name.as_str());
        return Err(Exit::Usage.error(format!(
            "no instance `{only}` runs here{}",
            nearest_or_all(only, names)
        )));
    }
    let mut exit = Exit::Done;
    for (name, swept) in asked {
        say(format!("{name}: sweeps at the end of this pass\n")).await?;
        match swept.await {
            Ok(swept) => {
                if swept.held_back > 0 {
                    exit = exit.max(Exit::HeldBack);
                }
                say(told(name, &swept)).await?;
            }
            Err(_) => {
                exit = exit.max(Exit::Failed);
                let text =
                    format!("{name}: not swept; `misp-ecs status` and the log show what failed\n");
                say(text).await?;
            }
        }
    }
    Ok(exit.code())
}

fn told(name: &str, swept: &Swept) -> String {
    let mut text = String::new();
    if swept.outputs.is_empty() {
        let _ = writeln!(text, "{name}: nothing to compare: no list, or no output");
    }
    for (output, counts) in &swept.outputs {
        let _ = writeln!(
            text,
            "{name} at {output}: {} listed by MISP, {} held: {} missing, {} stale, {} orphaned",
            thousands(counts.listed),
            thousands(counts.held),
            thousands(counts.missing),
            thousands(counts.stale),
            thousands(counts.orphaned)
        );
    }
    if swept.held_back > 0 {
        let _ = writeln!(
            text,
            "{name}: HELD BACK {} that would be withdrawn: `misp-ecs sweep --confirm` if that is \
             right",
            thousands(swept.held_back)
        );
    }
    text
}
