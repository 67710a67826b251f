//! `cargo xtask bench`: builds in release and measures.

use std::process::Command;

use crate::release;
use crate::tools::run;

/// Measures.
pub(crate) fn bench(quick: bool, json: bool) -> anyhow::Result<()> {
    let built = release::build()?;
    let mut command = Command::new(built.bench);
    command.args(built.components).arg("--host").arg(built.host);
    if quick {
        command.arg("--quick");
    }
    if json {
        command.arg("--json");
    }
    run(&mut command)
}
