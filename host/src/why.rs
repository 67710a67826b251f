//! Why a poll finds nothing: asks MISP what the filters leave of what the key sees, and which
//! of them leaves nothing.

use std::path::Path;
use std::time::Duration;

use misp_client::{Client, ClientError, CursorKind, Filters};
use pipeline::{Health, Ledger};
use serde_json::{Map, Value};

use crate::assembly::chosen;
use crate::config::{Instance, Loaded, Lookback};
use crate::summary::thousands;
use crate::wiring::Server;

/// The filters that hold names of tags.
const TAGS: [&str; 3] = ["tags", "tag", "event_tags"];
/// Filters that are taken out one by one to see which finds nothing.
const TRIED: usize = 8;

/// What was found out, in the order in which things are filtered.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What is as it should be.
    pub(crate) good: Vec<(&'static str, String)>,
    /// What may be the matter, and what to do.
    pub(crate) notes: Vec<(&'static str, String)>,
}

impl Findings {
    fn good(&mut self, what: &'static str, text: String) {
        self.good.push((what, text));
    }

    fn note(&mut self, what: &'static str, text: impl Into<String>) {
        self.notes.push((what, text.into()));
    }
}

/// How long the server may take to say why nothing came.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the server of an instance that walked and got nothing why, a sentence each; nothing where
/// something came, or the server does not say.
pub(crate) async fn why_nothing(
    loaded: &Loaded,
    instance: &str,
    ledger: &Ledger,
    folder: &Path,
) -> Vec<String> {
    let counts = ledger.counts();
    let mut lines = Vec::new();
    if counts.items > 0 || counts.walks == 0 || ledger.health() != Health::Running {
        return lines;
    }
    let Ok(instances) = chosen(loaded, Some(instance)) else {
        return lines;
    };
    for (instance, credential) in instances {
        let Ok(Server::Misp(client)) =
            Server::of(instance, credential, loaded.config.spool_folder(folder))
        else {
            continue;
        };
        match tokio::time::timeout(PATIENCE, findings(&client, instance)).await {
            Ok(Ok(found)) => {
                let found = found.good.into_iter().chain(found.notes);
                lines.extend(found.map(|(what, text)| format!("{what}: {text}")));
            }
            Ok(Err(error)) => tracing::debug!(%error, "why nothing came could not be asked"),
            Err(_) => tracing::debug!("the server did not say in time why nothing came"),
        }
    }
    lines
}

/// Counts at each stage between what the key sees and what a first poll would fetch.
///
/// # Errors
/// When MISP does not answer.
pub(crate) async fn findings(
    client: &Client,
    instance: &Instance,
) -> Result<Findings, ClientError> {
    let mut findings = Findings::default();
    seen(client, instance, &mut findings).await;
    filtered(client, instance, &mut findings).await?;
    Ok(findings)
}

/// What the key sees at all.
async fn seen(client: &Client, instance: &Instance, findings: &mut Findings) {
    // Small roles and older servers may not answer these: the filters are asked all the same.
    let all = client.visible_events(false).await.ok().flatten();
    let published = client.visible_events(true).await.ok().flatten();
    let (Some(all), Some(published)) = (all, published) else {
        return findings.note("the key sees", "the server does not say how many events");
    };
    let what = "the key sees";
    let text = format!(
        "{} events, {} of them published",
        thousands(all),
        thousands(published)
    );
    if all == 0 {
        findings.note(
            what,
            "no event at all: the organisation of its user is given none; look at the \
             distribution and sharing groups of the events, and whether the server holds any",
        );
    } else if published == 0 && CursorKind::from(instance.cursor) == CursorKind::Publish {
        let advice = "only published events are polled; publish some, or set `cursor: timestamp`";
        findings.note(what, format!("{text}: {advice}"));
    } else if published < all && CursorKind::from(instance.cursor) == CursorKind::Publish {
        let drafts = all - published;
        let advice = "are not published and do not come; `cursor: timestamp` brings them";
        findings.good(what, format!("{text}; {} {advice}", thousands(drafts)));
    } else {
        findings.good(what, text);
    }
}

/// What the filters and the lookback leave of it.
async fn filtered(
    client: &Client,
    instance: &Instance,
    findings: &mut Findings,
) -> Result<(), ClientError> {
    let what = "filters";
    let kind = CursorKind::from(instance.cursor);
    // Events are counted: filters of attributes count the events that have such an attribute.
    let (filters, _) = Filters::for_walk(&instance.filters, kind);
    let (_, warnings) = Filters::for_endpoint(&instance.filters, kind, instance.search());
    for warning in warnings {
        findings.note(what, warning.to_string());
    }
    let tags = tag_names(&instance.filters);
    for missing in client.missing_tags(&tags).await.unwrap_or_default() {
        findings.note(
            what,
            format!("the tag `{missing}` does not exist on this MISP: it finds nothing"),
        );
    }
    let since = since(instance);
    match client.count_matching(&filters, kind, since).await? {
        Some(0) => findings.note(what, nothing(client, instance, &filters, since).await?),
        Some(count) => findings.good(what, format!("they find {} events", thousands(count))),
        None => findings.note(what, "the server does not say how many events they find"),
    }
    Ok(())
}

/// Why nothing is found: the lookback, or the one filter without which there is something.
async fn nothing(
    client: &Client,
    instance: &Instance,
    filters: &Filters,
    since: i64,
) -> Result<String, ClientError> {
    let kind = CursorKind::from(instance.cursor);
    if since > 1
        && let Some(older) = client.count_matching(filters, kind, 1).await?
        && older > 0
    {
        let older = thousands(older);
        return Ok(format!(
            "they find nothing within `lookback`, and {older} older events: set a longer one"
        ));
    }
    for name in instance.filters.keys().take(TRIED) {
        let mut others = instance.filters.clone();
        others.remove(name);
        let (others, _) = Filters::for_walk(&others, kind);
        if let Some(count) = client.count_matching(&others, kind, since).await?
            && count > 0
        {
            let count = thousands(count);
            return Ok(format!(
                "they find nothing; without `{name}` they would find {count} events"
            ));
        }
    }
    Ok(match instance.filters.len() {
        0 => "nothing is there to be found within `lookback`".to_owned(),
        1 => "they find nothing, and without the filter nothing is found either".to_owned(),
        _ => "they find nothing, whichever one of them is taken out".to_owned(),
    })
}

fn since(instance: &Instance) -> i64 {
    match instance.lookback {
        Lookback::All => 1,
        Lookback::For(duration) => {
            let seconds = i64::try_from(duration.get().as_secs()).unwrap_or(i64::MAX);
            (pipeline::now_ms() / 1_000).saturating_sub(seconds)
        }
    }
}

/// The plain tag names of the filters: those that MISP can be asked for.
fn tag_names(filters: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for key in TAGS {
        if let Some(value) = filters.get(key) {
            collect_names(value, &mut names);
        }
    }
    names.retain(|name| !name.contains(['%', '!', '|', '&']));
    names
}

fn collect_names(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(name) => names.push(name.clone()),
        Value::Array(list) => list.iter().for_each(|value| collect_names(value, names)),
        Value::Object(object) => object
            .values()
            .for_each(|value| collect_names(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
