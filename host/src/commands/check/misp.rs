//! Checks a MISP.

use misp_client::{Client, ClientError, CursorKind, Filters, KeyFacts, Me};

use super::report::Report;
use crate::config::Instance;
use crate::summary::thousands;
use crate::why::findings;

/// Seconds that two clocks may differ before it is worth a note.
const CLOCKS_DIFFER: i64 = 60;
const DAY: i64 = 86_400;
/// Permissions of a role that are named.
const NAMED: usize = 3;

/// Tries everything that a run asks of the server.
pub(super) async fn check(
    client: &Client,
    instance: &Instance,
    report: &mut Report,
) -> Result<(), ClientError> {
    let version = client.version().await?;
    report.good(
        "MISP",
        &format!("version {}, the key is accepted", version.version),
    );
    clock(version.date, report);
    let key = client.key_facts().await;
    let read_only = matches!(&key, Ok(Some(key)) if key.read_only);
    // Older servers and small roles do not answer these: worth a note, not a failure.
    let me = client.me().await;
    match &me {
        Ok(me) => user(me, read_only, report),
        Err(error) => report.note("user", &error.to_string()),
    }
    let cannot_write = matches!(&me, Ok(me) if me.may_write().is_empty());
    match key {
        Ok(Some(key)) => of_key(&key, cannot_write, report),
        Ok(None) => report.note("key", "not among the keys that MISP lists: an old one?"),
        Err(error) => report.note("key", &error.to_string()),
    }
    let found = findings(client, instance).await?;
    for (what, text) in found.good {
        report.good(what, &text);
    }
    for (what, text) in found.notes {
        report.note(what, &text);
    }
    attributes(client, report).await;
    sweep(client, instance, report).await;
    Ok(())
}

/// Walks need no clock but the server's; a `lookback` and what expires go by ours.
fn clock(date: Option<i64>, report: &mut Report) {
    let Some(date) = date else {
        return report.note("clock", "the server does not send its time");
    };
    let ahead = date - now();
    if ahead.abs() <= CLOCKS_DIFFER {
        return report.good("clock", "in step with the server");
    }
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    report.note(
        "clock",
        &format!(
            "the server's clock is {} {way} this machine's: indicators expire by this machine's",
            span(ahead.abs())
        ),
    );
}

fn user(me: &Me, read_only: bool, report: &mut Report) {
    let who = format!(
        "{}, organisation {}, role {}",
        me.email, me.organisation, me.role
    );
    if me.disabled || !me.may_use_api {
        report.bad(
            "user",
            &format!("{who}: may not use the API; ask an administrator of the MISP"),
        );
    } else {
        report.good("user", &who);
    }
    if let Some(expiration) = &me.expiration {
        let text = format!("the account ends at {expiration}: the key is refused from then on");
        report.note("user", &text);
    }
    let writes = me.may_write();
    if writes.len() > NAMED && !read_only {
        let text = format!(
            "the role may change things in MISP ({} permissions, such as {}): reading needs none \
             of them, and a read-only key cannot use them",
            writes.len(),
            writes
                .iter()
                .take(NAMED)
                .copied()
                .collect::<Vec<_>>()
                .join(", ")
        );
        report.note("role", &text);
    } else if !writes.is_empty() && !read_only {
        let text = format!(
            "the role has {}: reading needs none of it, and a read-only key cannot use it",
            writes.join(", ")
        );
        report.note("role", &text);
    }
    if let Some(limit) = &me.memory_limit {
        let text = format!("PHP may take {limit} of memory for it; larger pages are halved");
        report.note("role", &text);
    }
    if let Some(limit) = me.rate_limit {
        report.note(
            "rate limit",
            &format!("{limit} searches in 15 minutes; a larger page_size needs fewer"),
        );
    }
    if let Some(default) = me
        .default_search
        .as_ref()
        .filter(|default| !default.is_null())
    {
        report.note(
            "user setting",
            &format!("default_restsearch_parameters is merged under every search: {default}"),
        );
    }
}

fn of_key(key: &KeyFacts, cannot_write: bool, report: &mut Report) {
    // The key of a user whose role can write nothing is as good as a read-only one.
    if !key.read_only && !cannot_write {
        report.note(
            "key",
            "it may change things in MISP; a read-only key is enough",
        );
    }
    if !key.allowed_ips.is_empty() {
        let text = format!("it may be used from {} only", key.allowed_ips.join(", "));
        report.note("key", &text);
    }
    let left = key.expiration.map(|expires| expires - now());
    match left {
        None => {}
        Some(left) if left <= 0 => report.bad(
            "key",
            &format!(
                "it ended {} ago: make another and put it where this one is",
                span(-left)
            ),
        ),
        Some(left) => report.note("key", &format!("it ends in {}", span(left))),
    }
}

async fn attributes(client: &Client, report: &mut Report) {
    let what = "the key sees";
    match client.visible_attributes().await {
        Ok(Some(count)) => report.good(what, &format!("{} attributes", thousands(count))),
        Ok(None) => report.note(what, "the server does not say how many attributes"),
        Err(error) => report.note(what, &format!("attributes cannot be counted: {error}")),
    }
}

/// Would the first sweep, a day after the first walk, find out what is there?
async fn sweep(client: &Client, instance: &Instance, report: &mut Report) {
    if instance.sweep.get().is_zero() {
        return;
    }
    let clock = CursorKind::from(instance.cursor);
    let (filters, _) = Filters::for_walk(&instance.filters, clock);
    match client.can_list(&filters, clock).await {
        Ok(()) => report.good("reconciliation", "MISP can list its events and attributes"),
        Err(error) => report.bad(
            "reconciliation",
            &format!(
                "MISP cannot list its events and attributes, so deleted ones would stay in the \
                 outputs and missed ones would not be fetched: {error}; it needs `events/index/minimal:1` and \
                 `returnFormat: csv`, or `sweep: 0`"
            ),
        ),
    }
}

fn now() -> i64 {
    pipeline::now_ms() / 1_000
}

/// Days, or seconds where it is less than one.
fn span(seconds: i64) -> String {
    if seconds < DAY {
        return format!("{seconds} s");
    }
    format!("{} days", seconds / DAY)
}
