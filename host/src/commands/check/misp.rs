//! Checks a MISP.

use misp_client::{Client, ClientError};

use super::report::Report;
use crate::config::Instance;
use crate::why::findings;

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
    // Older servers and small roles do not answer these: worth a note, not a failure.
    match client.me().await {
        Ok(me) => {
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
            if let Some(limit) = me.rate_limit {
                report.note(
                    "rate limit",
                    &format!("{limit} searches in 15 minutes; a larger page_size needs fewer"),
                );
            }
            if let Some(default) = me.default_search.filter(|default| !default.is_null()) {
                report.note(
                    "user setting",
                    &format!(
                        "default_restsearch_parameters is merged under every search: {default}"
                    ),
                );
            }
        }
        Err(error) => report.note("user", &error.to_string()),
    }
    if let Ok(Some(key)) = client.key_facts().await {
        if !key.read_only {
            report.note(
                "key",
                "it may change things in MISP; a read-only key is enough",
            );
        }
        if let Some(expires) = key.expiration {
            let days = (expires - pipeline::now_ms() / 1_000) / 86_400;
            report.note("key", &format!("it ends in {days} days"));
        }
    }
    let found = findings(client, instance).await?;
    for (what, text) in found.good {
        report.good(what, &text);
    }
    for (what, text) in found.notes {
        report.note(what, &text);
    }
    Ok(())
}
