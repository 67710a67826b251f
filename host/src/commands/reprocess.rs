//! `misp-ecs reprocess`: reads and maps again what went out under another mapping.

use std::process::ExitCode;
use std::time::Duration;

use super::run::poll;
use crate::args::Reprocess;
use crate::assembly::Mode;
use crate::control::{self, Request, What};
use crate::exit::Exit;
use crate::wiring;

/// Runs the command: in the host that holds the state if one does, else as one pass.
pub(crate) async fn reprocess(args: &Reprocess) -> anyhow::Result<ExitCode> {
    let what = what(args)?;
    let configured = &args.instance.configured;
    let folder = wiring::folder_of(configured)?;
    let request = Request::Reprocess {
        instance: args.instance.instance.clone(),
        what: what.clone(),
    };
    if let Some(code) = control::ask(&folder, &request, crate::write_out).await? {
        return Ok(ExitCode::from(code));
    }
    let mode = Mode {
        once: true,
        only: args.instance.instance.clone(),
        reprocess: Some(what),
        ..Mode::default()
    };
    poll(configured, &mode).await
}

fn what(args: &Reprocess) -> anyhow::Result<What> {
    Ok(match (&args.event, &args.since) {
        (Some(uuid), _) => What::Event(uuid.clone()),
        (None, Some(text)) => What::Since(seconds(text, pipeline::now_ms() / 1_000)?),
        (None, None) if args.all => What::All,
        (None, None) => What::Others,
    })
}

/// A time, or how long before `now`, UNIX seconds.
pub(crate) fn seconds(text: &str, now: i64) -> anyhow::Result<i64> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(now.saturating_sub(whole(ago)));
    }
    let day = format!("{text}T00:00:00Z");
    let time = humantime::parse_rfc3339_weak(text).or_else(|_| humantime::parse_rfc3339(&day));
    let time = time.map_err(|error| {
        Exit::Usage.error(format!(
            "`{text}` is not a time: write 2026-01-31, 2026-01-31T12:00:00Z, or 30d for 30 days \
             ago: {error}"
        ))
    })?;
    let since = time.duration_since(std::time::UNIX_EPOCH);
    Ok(since.map_or(0, whole))
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_spelling() {
        for (text, expected) in [
            ("1970-01-02", 86_400),
            ("1970-01-02T00:00:01Z", 86_401),
            ("1970-01-02 00:00:02", 86_402),
            ("2h", 1_000_000 - 7_200),
            ("30d", 0),
        ] {
            assert_eq!(seconds(text, 1_000_000).unwrap().max(0), expected, "{text}");
        }
        let error = seconds("last week", 0).unwrap_err().to_string();
        assert!(error.contains("30d"), "{error}");
    }
}
