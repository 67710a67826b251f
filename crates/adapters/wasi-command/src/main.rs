//! The command, for everything that runs a process or a WASI module: one JSON value a line
//! on stdin (attribute, event or a page of restSearch), documents as NDJSON on stdout,
//! what was refused as JSON lines on stderr.
#![expect(clippy::print_stderr, reason = "a command talks to its user on stderr")]

mod arguments;
mod command;
mod files;
mod lines;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use adapter_shell::{Adapter, Limits};
use baked_settings::{Block, Kind, Settings};

use crate::arguments::{Arguments, HELP, Input, SETTINGS_VARIABLE};
use crate::command::Command;

#[used]
static SETTINGS: Block = Block::new(Kind::Adapter);

/// Ends with 2 when it could not begin: its arguments or settings are wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let variable = std::env::var_os(SETTINGS_VARIABLE);
    let arguments = match Arguments::read(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => return cannot_begin(&format!("{error}\n\n{HELP}")),
    };
    if let Some(text) = arguments.only_say {
        return match io::Write::write_all(&mut io::stdout(), text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => cut_off(&error),
        };
    }
    let settings = match settings(&arguments, variable) {
        Ok(settings) => settings,
        Err(error) => return cannot_begin(&error),
    };
    let mut adapter = Adapter::new(&settings, Limits::COMMAND, false);
    if let Err(error) = adapter.check(arguments.mapping) {
        return cannot_begin(&error);
    }
    let inbox = || Some(Settings::read(&settings).ok()?.adapter.inbox?.into());
    let input = arguments.input.or_else(|| inbox().map(Input::Inbox));
    let out = io::BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let mut command = Command::new(adapter, arguments.mapping, arguments.array, out);
    let done = match input {
        None => command.lines(io::stdin().lock()),
        Some(Input::Files(files)) => command.files(&files),
        Some(Input::Inbox(folder)) => command.inbox(&folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cut_off(&error),
    }
}

/// The settings of the argument, else of the environment, else what was baked in.
fn settings(arguments: &Arguments, variable: Option<OsString>) -> Result<Vec<u8>, String> {
    if let Some(path) = &arguments.settings {
        return std::fs::read(path).map_err(|error| {
            let path = path.display();
            format!("the settings {path} cannot be read: {error}")
        });
    }
    match variable {
        Some(text) => text
            .into_string()
            .map(String::into_bytes)
            .map_err(|_| format!("{SETTINGS_VARIABLE} is not UTF-8")),
        None => Ok(SETTINGS.text().to_vec()),
    }
}

fn cannot_begin(text: &str) -> ExitCode {
    eprintln!("misp-ecs-map: {}", text.trim_end());
    ExitCode::from(USAGE)
}

/// What is on stdout then may be less than there was to say: whoever reads it must know.
fn cut_off(error: &io::Error) -> ExitCode {
    eprintln!("misp-ecs-map: stopped: {error}");
    ExitCode::FAILURE
}
