//! Checks a feed.

use misp_feed::{FeedOptions, FeedSource};

use super::report::Report;
use crate::summary::thousands;

/// Reads its manifest.
pub(super) async fn check(options: &FeedOptions, report: &mut Report) {
    let facts = match FeedSource::new(options, None) {
        Ok(source) => source.look().await,
        Err(error) => Err(error),
    };
    let facts = match facts {
        Ok(facts) => facts,
        Err(error) => return report.bad("feed", &error.to_string()),
    };
    let newest = facts.newest.and_then(time);
    let newest = newest.map_or(String::new(), |newest| format!(", the newest of {newest}"));
    let text = format!(
        "{} names {} events{newest}",
        facts.place,
        thousands(facts.events)
    );
    if facts.events == 0 {
        report.note("feed", &format!("{text}: nothing would come"));
    } else {
        report.good("feed", &text);
    }
    if facts.ignored > 0 {
        let ignored = thousands(facts.ignored);
        report.note("feed", &format!("{ignored} entries cannot be an event's"));
    }
}

fn time(seconds: i64) -> Option<String> {
    let seconds = u64::try_from(seconds).ok()?;
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
}
