//! One heap for all threads.

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
    let Ok(program) = env::current_exe() else {
        return;
    };
    let mut words = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    // Comes back only if it failed.
    let _ = again.args(words).env(VARIABLE, "1").exec();
}
