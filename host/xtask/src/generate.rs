//! `cargo xtask generate`: pages that are made from the code.

use crate::tools::{cargo, run};

/// Writes every generated page; the tests hold that they are current.
pub(crate) fn generate() -> anyhow::Result<()> {
    run(cargo()
        .args([
            "test",
            "--package",
            "misp-ecs",
            "--bin",
            "misp-ecs",
            "current",
        ])
        .env("UPDATE_GENERATED", "1"))?;
    run(cargo()
        .args([
            "test",
            "--package",
            "misp-ecs",
            "--test",
            "generated",
            "current",
        ])
        .env("UPDATE_GENERATED", "1"))
}
