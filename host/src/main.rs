//! The binary: arguments, configuration, wiring, signals, reports.

mod args;
mod assembly;
mod catalogue;
mod commands;
mod config;
mod control;
mod engine;
mod exit;
mod heap;
mod instances;
mod mappings;
mod replay;
mod sample;
mod signals;
mod summary;
mod swap;
mod why;
mod wiring;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command, DeadLetter};
use crate::exit::Exit;

/// How long writes that are under way may take after the end.
const LAST_WRITES: Duration = Duration::from_millis(200);

/// Are the lines on stderr JSON?
static AS_JSON: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let as_json = std::env::args_os().any(|word| word == "--log-json");
            if !(as_json && error.use_stderr()) {
                error.exit();
            }
            AS_JSON.store(true, Ordering::Relaxed);
            say_error(error.to_string().trim_end());
            return Exit::Usage.into();
        }
    };
    AS_JSON.store(args.log_json, Ordering::Relaxed);
    heap::only_one(&args);
    let result = start_logging(&args).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let result = runtime.block_on(dispatch(&args.command));
        // A write that hangs (a reader of stdout that stopped) may not keep us.
        runtime.shutdown_timeout(LAST_WRITES);
        result
    });
    result.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            // Whoever read us has seen enough.
            return ExitCode::SUCCESS;
        }
        say_error(&explain(&error));
        Exit::of_error(&error).into()
    })
}

async fn dispatch(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(run) => commands::run(run).await,
        Command::Transform(transform) => commands::transform(transform).await,
        Command::Mapping { command } => commands::mapping(command).await,
        Command::State { command } => commands::state(command).await,
        Command::Instance { command } => commands::instance(command).await,
        Command::Status(status) => commands::status(status).await,
        Command::Audit(instance) => commands::audit(instance).await,
        Command::Sweep { instance, confirm } => commands::sweep(instance, *confirm).await,
        Command::DeadLetter { command } => commands::dead_letter(command).await,
        Command::Setup { command } => commands::setup(command).await,
        Command::Reprocess(args) => commands::reprocess(args).await,
        Command::Check(configured) => commands::check(configured).await,
        Command::Compile { cache } => Ok(ExitCode::from(runtime::compile_stdin(cache.clone())?)),
        Command::Config => {
            io::stdout()
                .lock()
                .write_all(config::reference().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn start_logging(args: &Args) -> anyhow::Result<()> {
    let default = match args.command {
        Command::Run(_) | Command::Sweep { .. } | Command::Reprocess(_) => "info",
        Command::DeadLetter {
            command: DeadLetter::Replay(_),
        } => "info",
        _ => "warn",
    };
    let level = args.log.as_deref().unwrap_or(default);
    if let Some(word) = unknown_level(level) {
        return Err(Exit::Usage.error(format!(
            "--log {level}: `{word}` is not a level; the levels are error, warn, info, debug and \
             trace; `info,pipeline=debug` sets one for a part"
        )));
    }
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Exit::Usage.error(format!("--log {level}: {error}")))?;
    // https://no-color.org
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !no_color)
        .with_target(false);
    if args.log_json {
        // The list of all spans would repeat the current one.
        builder.json().with_span_list(false).init();
    } else {
        builder.init();
    }
    Ok(())
}

/// The first word of a filter for the log that is neither a level nor names one for a part.
fn unknown_level(filter: &str) -> Option<&str> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let mut words = filter.split(',').map(str::trim);
    words.find(|word| {
        let level = word.rsplit_once('=').map_or(*word, |(_, level)| level);
        !LEVELS.contains(&level.to_ascii_lowercase().as_str())
    })
}

/// Writes a text for people to stderr; with `--log-json` a line of the log.
pub(crate) fn say(text: &str) {
    write_line("INFO", text);
}

/// As [`say`], for what ends a command.
pub(crate) fn say_error(text: &str) {
    write_line("ERROR", text);
}

fn write_line(level: &str, text: &str) {
    let mut stderr = io::stderr();
    // Nobody can be told of a closed stderr.
    let _ = if AS_JSON.load(Ordering::Relaxed) {
        let time = humantime::format_rfc3339_micros(std::time::SystemTime::now()).to_string();
        let line = serde_json::json!({
            "timestamp": time, "level": level, "fields": {"message": text}
        });
        writeln!(stderr, "{line}")
    } else if level == "ERROR" {
        writeln!(stderr, "error: {text}")
    } else {
        writeln!(stderr, "{text}")
    };
}

/// Prints a line of the answer on stdout. A closed stdout is nobody to tell.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints text of the answer on stdout as it is.
pub(crate) fn write_out(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause
            .downcast_ref::<serde_json::Error>()
            .and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}

/// An error and its causes, each said once: some of them repeat their cause.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn a_level_that_does_not_exist_is_named() {
        for good in ["info", "INFO", "warn,pipeline::times=debug", "off"] {
            assert_eq!(super::unknown_level(good), None, "{good}");
        }
        assert_eq!(super::unknown_level("nonsense"), Some("nonsense"));
        assert_eq!(
            super::unknown_level("info,pipeline=loud"),
            Some("pipeline=loud")
        );
    }

    #[test]
    fn a_cause_is_said_once() {
        let error = Err::<(), _>(std::io::Error::other("disk full"))
            .context("x: disk full")
            .context("output")
            .unwrap_err();
        assert_eq!(super::explain(&error), "output: x: disk full");
    }
}
