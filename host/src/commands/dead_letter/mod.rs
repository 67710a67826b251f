//! `misp-ecs dead-letter`: what was refused and why, and asking for it again.

mod groups;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use outputs::each_letter;

use super::run::poll;
use super::seconds;
use crate::args::{DeadLetter, Letters};
use crate::assembly::Mode;
use crate::control::{self, Request};
use crate::exit::Exit;
use crate::replay::Picked;
use crate::wiring;
use groups::Groups;

/// Runs the command.
pub(crate) async fn dead_letter(command: &DeadLetter) -> anyhow::Result<ExitCode> {
    match command {
        DeadLetter::List { letters, json } => list(letters, *json),
        DeadLetter::Show { letters, group } => show(letters, *group),
        DeadLetter::Replay(letters) => replay(letters).await,
    }
}

fn list(letters: &Letters, json: bool) -> anyhow::Result<ExitCode> {
    let groups = groups(letters)?;
    if json {
        for group in groups.sorted() {
            crate::print(&serde_json::to_string(group)?);
        }
    } else {
        crate::write_out(&groups.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(letters: &Letters, group: Option<usize>) -> anyhow::Result<ExitCode> {
    let key = match group {
        None => None,
        Some(number) => {
            let groups = groups(letters)?;
            let sorted = groups.sorted();
            let chosen = number.checked_sub(1).and_then(|at| sorted.get(at));
            let Some(chosen) = chosen else {
                return Err(Exit::Usage.error(format!(
                    "no group {number}: `misp-ecs dead-letter list` has {}",
                    sorted.len()
                )));
            };
            Some(chosen.key())
        }
    };
    let picked = picked(letters)?;
    let mut written = Ok(());
    each_letter(&path(letters)?, &mut |letter, standing| {
        let is = picked.has(letter, standing)
            && key
                .as_ref()
                .is_none_or(|key| *key == groups::Key::of(letter));
        if is && written.is_ok() {
            written = serde_json::to_string(letter)
                .map_err(anyhow::Error::from)
                .and_then(|line| Ok(crate::write_out(&format!("{line}\n"))?));
        }
    })?;
    written?;
    Ok(ExitCode::SUCCESS)
}

async fn replay(letters: &Letters) -> anyhow::Result<ExitCode> {
    let configured = &letters.instance.configured;
    let picked = picked(letters)?;
    let folder = wiring::folder_of(configured)?;
    let request = Request::Replay(picked.clone());
    if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
        return Ok(ExitCode::from(code));
    }
    let mode = Mode {
        once: true,
        only: letters.instance.instance.clone(),
        replay: Some(picked),
        ..Mode::default()
    };
    poll(configured, &mode).await
}

fn groups(letters: &Letters) -> anyhow::Result<Groups> {
    let picked = picked(letters)?;
    let mut groups = Groups::default();
    groups.unreadable = each_letter(&path(letters)?, &mut |letter, standing| {
        if picked.has(letter, standing) {
            groups.add(letter);
        } else {
            groups.left_out += 1;
        }
    })?;
    Ok(groups)
}

fn picked(letters: &Letters) -> anyhow::Result<Picked> {
    let now = pipeline::now_ms() / 1_000;
    let since = letters.since.as_deref().map(|text| seconds(text, now));
    Ok(Picked {
        instance: letters.instance.instance.clone(),
        output: letters.output.clone(),
        event: letters.event.clone(),
        since: since.transpose()?,
        all: letters.all,
    })
}

/// Where the letters are: with a configuration where it says, else in the state folder.
fn path(letters: &Letters) -> anyhow::Result<PathBuf> {
    let configured = &letters.instance.configured;
    if configured.config.is_none() {
        return Ok(wiring::folder_of(configured)?.join(wiring::DEAD_LETTERS));
    }
    let config =
        wiring::load_config(configured).context("the configuration says where they are")?;
    let folder = wiring::state_folder(configured, Some(&config.config))?;
    Ok(wiring::dead_letters_path(&config.config, &folder))
}
