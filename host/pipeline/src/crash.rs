//! Places where a test ends the process as SIGKILL would, by name. Only with the feature
//! `crash-points`, which nothing but tests turns on.

/// Ends the process here if `MISP_ECS_CRASH_AT` is `NAME:N` and this is the N-th time.
#[cfg(feature = "crash-points")]
pub(crate) fn point(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("MISP_ECS_CRASH_AT") else {
        return;
    };
    let Some((place, times)) = wanted.split_once(':') else {
        return;
    };
    if place == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == times.parse().unwrap_or(1) {
        std::process::abort();
    }
}

#[cfg(not(feature = "crash-points"))]
pub(crate) fn point(_: &str) {}
