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
use std::time::Duration;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command, DeadLetter};
use crate::exit::Exit;

/// How long writes that are under way may take after the end.
const LAST_WRITES: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let args = Args::parse();
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
        say(&format!("error: {}", explain(&error)));
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
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Exit::Usage.error(format!("--log {level}: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    if args.log_json {
        builder.json().init();
    } else {
        builder.init();
    }
    Ok(())
}

/// Tells a person something on stderr. A closed stderr is nobody to tell.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
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
    fn a_cause_is_said_once() {
        let error = Err::<(), _>(std::io::Error::other("disk full"))
            .context("x: disk full")
            .context("output")
            .unwrap_err();
        assert_eq!(super::explain(&error), "output: x: disk full");
    }
}
