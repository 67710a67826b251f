//! One heap for all threads, and a start of this program in the same process.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::args::Args;

/// What glibc reads when a process starts (`mallopt(3)`): how many heaps threads may have. Each
/// keeps what it once had, and there may be eight a core: a single event of 1,000,000 attributes
/// took 274 MB with them and 130 MB with one, at no cost in time.
const VARIABLE: &str = "MALLOC_ARENA_MAX";

/// Starts this program anew, in the same process, with one heap, unless somebody has said how
/// many. Where that cannot be done it goes on as it is.
pub(crate) fn only_one(args: &Args) {
    let is_glibc = cfg!(all(target_os = "linux", target_env = "gnu"));
    // Other commands end soon.
    let is_service = matches!(args.command, crate::args::Command::Run(_));
    if !is_glibc || !is_service || env::var_os(VARIABLE).is_some() {
        return;
    }
    // Comes back only if it failed.
    let _ = start_again(Some((VARIABLE, "1")));
}

/// Starts this program anew in the same process, with the same arguments; returns only if that
/// failed.
pub(crate) fn start_again(variable: Option<(&str, &str)>) -> std::io::Error {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut words = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    again.args(words).envs(variable).exec()
}
