//! `misp-ecs status`: how a running host is doing.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use pipeline::Health;
use serde_json::json;

use crate::args::Status;
use crate::control::{self, Host, Request};
use crate::summary::{summary, thousands};
use crate::why::why_nothing;
use crate::wiring;

/// Runs the command: asks the host that holds the state.
pub(crate) async fn status(args: &Status) -> anyhow::Result<ExitCode> {
    let folder = wiring::folder_of(&args.configured)?;
    let request = Request::Status { json: args.json };
    match control::ask(&folder, &request, crate::write_out).await? {
        Some(code) => Ok(ExitCode::from(code)),
        None => bail!(
            "no host runs on the state in {}: `misp-ecs state show` tells what is remembered",
            folder.display()
        ),
    }
}

/// What the host says of itself.
pub(crate) async fn status_of(host: &Host, as_json: bool) -> anyhow::Result<String> {
    let commits = host.store.instances()?;
    let ago_s = |name: &str| {
        let one = commits.iter().find(|one| one.instance == name)?;
        Some((pipeline::now_ms() - one.updated_ms).max(0) / 1_000)
    };
    if as_json {
        let mut instances = Vec::new();
        for (name, ledger) in &host.ledgers {
            instances.push(
                json!({"instance": name, "health": ledger.health(), "counts": ledger.counts(),
                       "to_read_again": host.store.wanted_count(name)?,
                       "why_nothing": why_nothing(&host.loaded, name, ledger, &host.folder).await,
                       "seconds_since_commit": ago_s(name)}),
            );
        }
        let status = json!({"instances": instances, "mapping": host.swap.at_work().as_deref(),
            "seconds_since_start": host.started.elapsed().as_secs()});
        return Ok(format!("{status:#}\n"));
    }
    let mut text = String::new();
    if let Some(mapping) = host.swap.at_work() {
        let digest = &mapping.digest;
        writeln!(
            text,
            "mapping {} {}, sha256:{digest}",
            mapping.name, mapping.version
        )?;
    }
    for (name, ledger) in &host.ledgers {
        let health = ledger.health();
        let counts = ledger.counts();
        let took = host.started.elapsed();
        writeln!(
            text,
            "{}",
            summary(name, &counts, &health, took, &host.dead_letters).trim_end()
        )?;
        for line in why_nothing(&host.loaded, name, ledger, &host.folder).await {
            writeln!(text, "  {line}")?;
        }
        let wanted = host.store.wanted_count(name)?;
        if wanted > 0 {
            let wanted = thousands(wanted);
            writeln!(text, "  to come   {wanted} events are to be read again")?;
        }
        let word = match &health {
            Health::Starting => "starting".to_owned(),
            Health::Running => "running".to_owned(),
            Health::Degraded { stage, .. } => format!("degraded: {stage}"),
            Health::Failed { .. } => "failed".to_owned(),
        };
        let commit = ago_s(name).map_or_else(
            || "nothing committed yet".to_owned(),
            |seconds| format!("last commit {seconds} s ago"),
        );
        writeln!(text, "  health    {word}, {} walks, {commit}", counts.walks)?;
    }
    Ok(text)
}
