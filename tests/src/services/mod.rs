//! Real brokers and search engines on loopback ports of their own: started and ended by the test that needs them.

mod kafka;
mod nats;
mod opensearch;
mod process;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use kafka::KafkaBroker;
pub use nats::{NatsServer, NatsSettings};
#[cfg(test)]
pub(crate) use opensearch::client;
pub use opensearch::{OpenSearch, OpenSearchNode};

/// The tools a service needs, if all are here. Else says in one line what is missing; the test
/// is then to be passed over.
///
/// # Panics
/// Where one is missing and `CI` is set: there nothing is passed over.
#[must_use]
pub fn have(tools: &[&str]) -> bool {
    let away: Vec<&str> = tools
        .iter()
        .copied()
        .filter(|tool| !is_there(tool))
        .collect();
    if !away.is_empty() {
        missing(&away);
    }
    away.is_empty()
}

/// Says what is missing; where `CI` is set, that is a failure.
fn missing(what: &[&str]) {
    let text = format!("skipped: {} is not installed", what.join(", "));
    assert!(std::env::var_os("CI").is_none(), "{text}, but CI is set");
    #[expect(clippy::print_stderr, reason = "a test that is passed over says so")]
    {
        eprintln!("{text}");
    }
}

fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// Folder for what services are made of: `services` in Cargo's target folder, in which this
/// test's executable is.
fn folder(name: &str) -> io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let target = executable
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .ok_or_else(|| io::Error::other("this test does not run in a target folder"))?;
    let folder = target.join("services").join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Runs `make` unless it has succeeded in this folder before; others wait meanwhile.
fn once(folder: &Path, mark: &str, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let done = folder.join(mark);
    if !done.is_file() {
        make()?;
        File::create(&done)?;
    }
    lock.unlock()
}

/// Runs a command to its end; what it said is in the error.
fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{command:?} failed, {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}
