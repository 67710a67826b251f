//! `cargo xtask bench`: builds the mapping and the benchmark in release and runs it.

use crate::component;
use crate::tools::{cargo, run, run_on_stderr};

/// Measures.
pub(crate) fn bench(quick: bool, json: bool) -> anyhow::Result<()> {
    let components = component::build_all()?;
    run_on_stderr(cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "misp-ecs-bench",
    ]))?;
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "misp-ecs-bench",
        "--",
    ]);
    command.args(components);
    if quick {
        command.arg("--quick");
    }
    if json {
        command.arg("--json");
    }
    run(&mut command)
}
