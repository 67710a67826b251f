//! `misp-ecs check`: everything that can be tried before the first run, each with
//! what to do when it does not work.

use std::process::ExitCode;

use misp_client::{Client, ClientError, Filters};
use pipeline::Transform as _;
use serde_json::Value;

use crate::args::Configured;
use crate::config::{Facts, Instance, Loaded, Lookback};
use crate::summary::thousands;
use crate::wiring;

/// Runs the command: exit code 0 if a run would work.
pub(crate) async fn check(configured: &Configured) -> anyhow::Result<ExitCode> {
    let loaded = wiring::load_config(configured)?;
    let mut report = Report::default();
    report.good("configuration", "read");
    let folder = wiring::state_folder(configured, Some(&loaded.config))?;
    state(&folder, &mut report);
    outputs(&loaded, &mut report).await;
    let engine = crate::engine::engine(Some(&folder), &loaded.config.limits)?;
    let mapping = match wiring::load_mapping(&engine, &loaded) {
        Ok(mapping) => {
            let identity = mapping.identity();
            report.good(
                "mapping",
                &format!("{} {}", identity.name, identity.version),
            );
            Some(mapping)
        }
        Err(error) => {
            report.bad("mapping", &crate::explain(&error));
            None
        }
    };
    for (instance, key) in loaded.config.instances.iter().zip(&loaded.keys) {
        if let Some(mapping) = &mapping {
            match wiring::start_mapper(
                &engine,
                mapping,
                &loaded.config,
                instance,
                &Facts::default(),
            ) {
                Ok(mapper) => report.good(
                    "settings",
                    &format!("accepted by {}", mapper.identity().name),
                ),
                Err(error) => report.bad("settings", &crate::explain(&error)),
            }
        }
        report.title(instance.label());
        match Client::new(wiring::client_options(instance, key.clone(), &folder)) {
            Err(error) => report.bad("connection", &error.to_string()),
            Ok(client) => {
                if let Err(error) = server(&client, instance, &mut report).await {
                    report.bad("MISP", &error.to_string());
                }
            }
        }
    }
    Ok(report.end())
}

fn state(folder: &std::path::Path, report: &mut Report) {
    match state::Store::open(folder) {
        Ok(store) => {
            let known = store.instances().map_or(0, |instances| instances.len());
            report.good(
                "state",
                &format!("{} ({known} instances known)", folder.display()),
            );
        }
        Err(error) => report.bad("state", &error.to_string()),
    }
}

async fn outputs(loaded: &Loaded, report: &mut Report) {
    for (name, options) in &loaded.config.outputs {
        let what = format!("output {name}");
        match options.build(name).check().await {
            Ok(()) => report.good(&what, "can be written"),
            Err(error) => report.bad(&what, &error.to_string()),
        }
    }
    if loaded.config.outputs.is_empty() {
        report.good("output", "stdout");
    }
}

async fn server(
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
    let all = client.visible_events(false).await.ok().flatten();
    let published = client.visible_events(true).await.ok().flatten();
    if let (Some(all), Some(published)) = (all, published) {
        let text = format!(
            "{} events, {} of them published",
            thousands(all),
            thousands(published)
        );
        if published == 0 {
            report.note(
                "the key sees",
                &format!("{text}: only published events are polled"),
            );
        } else {
            report.good("the key sees", &text);
        }
    }
    filters(client, instance, report).await
}

async fn filters(
    client: &Client,
    instance: &Instance,
    report: &mut Report,
) -> Result<(), ClientError> {
    let (filters, warnings) = Filters::new(&instance.filters);
    for warning in warnings {
        report.note("filters", &warning.to_string());
    }
    let tags = tag_names(&instance.filters);
    for missing in client.missing_tags(&tags).await.unwrap_or_default() {
        report.note(
            "filters",
            &format!("the tag `{missing}` does not exist on this MISP: it finds nothing"),
        );
    }
    let since = match instance.lookback {
        Lookback::All => 1,
        Lookback::For(duration) => {
            let seconds = i64::try_from(duration.get().as_secs()).unwrap_or(i64::MAX);
            (pipeline::now_ms() / 1_000).saturating_sub(seconds)
        }
    };
    match client.count_matching(&filters, since).await? {
        Some(0) => report.note(
            "filters",
            "they find nothing within the lookback: look at tags, types and whether anything is published",
        ),
        Some(count) => report.good("filters", &format!("they find {} published events", thousands(count))),
        None => report.note("filters", "the server does not say how many events they find"),
    }
    Ok(())
}

/// The plain tag names of the filters: those that MISP can be asked for.
fn tag_names(filters: &serde_json::Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    for key in ["tags", "tag", "event_tags"] {
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

/// Prints lines and remembers whether one was bad.
#[derive(Debug, Default)]
struct Report {
    bad: u32,
    notes: u32,
}

impl Report {
    fn title(&self, text: &str) {
        crate::print(text);
    }

    fn good(&self, what: &str, text: &str) {
        crate::print(&format!("  ok    {what}: {text}"));
    }

    fn note(&mut self, what: &str, text: &str) {
        self.notes += 1;
        crate::print(&format!("  note  {what}: {text}"));
    }

    fn bad(&mut self, what: &str, text: &str) {
        self.bad += 1;
        crate::print(&format!("  FAIL  {what}: {text}"));
    }

    fn end(&self) -> ExitCode {
        if self.bad > 0 {
            crate::print(&format!("{} to mend before a run would work", self.bad));
            return ExitCode::FAILURE;
        }
        crate::print(&format!("a run would work ({} notes)", self.notes));
        ExitCode::SUCCESS
    }
}
