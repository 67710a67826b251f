//! What every mapping's tests share, for this one.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

#[path = "../../../mapping/tests/support/mod.rs"]
pub(crate) mod support;

use ecs_model::check::Checker;
use mapping_ecs_1_12::Ecs112;

pub(crate) use support::{NOW_MS, body};

/// A mapper with default settings.
pub(crate) fn mapper() -> Ecs112 {
    mapper_with("{}")
}

/// A mapper with these settings.
pub(crate) fn mapper_with(settings: &str) -> Ecs112 {
    support::mapper_with(settings)
}

/// The catalogue, and what the golden folders' static fields add.
pub(crate) fn checker() -> Checker {
    support::checker::<Ecs112>()
}
