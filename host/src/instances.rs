//! Instances that are in the state and not in the configuration: found, renamed, removed.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use pipeline::{
    Backoff, DeadLetters, Ledger, Options, Output, OutputKey, Removal, Sink, Slot, State, Wake,
};
use state::Store;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Instance, default_name, nearest_or_all};
use crate::exit::Exit;
use crate::summary::thousands;

/// The names of the configured instances, in the order in which they take precedence.
pub(crate) fn names(config: &Config) -> Vec<String> {
    let instances = config.instances.iter();
    instances.map(|one| one.label().to_owned()).collect()
}

/// Tells the state which instances are configured. One that was known by the address of a
/// configured one, as names used to be, gets the name that it has now.
pub(crate) fn configure(store: &Store, config: &Config) -> anyhow::Result<()> {
    let names = names(config);
    let mut known = store.instances()?;
    known.sort_by_key(|one| std::cmp::Reverse(one.updated_ms));
    let mut unconfigured = store.unconfigured(&names)?;
    // What was read last comes first: where both are at something, its place is kept.
    unconfigured.sort_by_key(|name| known.iter().position(|one| one.instance == *name));
    for old in unconfigured {
        if let Some(new) = renamed(&old, config) {
            store.rename(&old, new)?;
            tracing::info!(
                old,
                new,
                "the state of the instance is kept under its name of now"
            );
        }
    }
    Ok(store.configure(&names)?)
}

/// The name that an instance has now which was named by its address, if it is configured.
fn renamed<'c>(old: &str, config: &'c Config) -> Option<&'c str> {
    let default = default_name(old);
    let mut instances = config.instances.iter().map(Instance::label);
    instances.find(|name| *name != old && *name == default)
}

/// The instances in the state that are not configured, and are not known by another name.
pub(crate) fn unconfigured(store: &Store, config: &Config) -> anyhow::Result<Vec<String>> {
    let mut found = store.unconfigured(&names(config))?;
    found.retain(|name| renamed(name, config).is_none());
    Ok(found)
}

/// What a person can do about an instance that is not configured.
pub(crate) fn remedies(name: &str) -> String {
    format!(
        "it is in the state but not in the configuration, so nothing that only it delivered is \
         updated or deleted: `misp-ecs instance rename {name} NEW` if it has another name now, \
         `misp-ecs instance remove {name}` to delete what only it delivered"
    )
}

/// Logs an error for each instance that is not configured.
pub(crate) fn report(store: &Store, config: &Config) -> anyhow::Result<()> {
    let unconfigured = unconfigured(store, config)?;
    if unconfigured.is_empty() {
        return Ok(());
    }
    let held = store.held()?;
    for name in unconfigured {
        let of_it = held.iter().filter(|counts| counts.instance == name);
        let documents: u64 = of_it.map(|counts| counts.delivered).sum();
        tracing::error!(
            instance = name,
            documents,
            "an instance is not configured: {}",
            remedies(&name)
        );
    }
    Ok(())
}

fn documents(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} document{plural}", thousands(count))
}

fn unknown(name: &str, known: &[String]) -> anyhow::Error {
    Exit::Usage.error(format!(
        "no instance `{name}` is in the state{}",
        nearest_or_all(name, known.iter().map(String::as_str))
    ))
}

/// Renames an instance in the state.
pub(crate) fn rename(store: &Store, old: &str, new: &str) -> anyhow::Result<String> {
    if new.is_empty() || new.contains('\u{1f}') {
        return Err(Exit::Usage.error(format!("`{new}` is not a name for an instance")));
    }
    if !store.rename(old, new)? {
        let known = store.unconfigured(&[])?;
        return Err(unknown(old, &known));
    }
    Ok(format!("{old} is {new} in the state now\n"))
}

/// What renames and removes instances while the others are polled.
pub(crate) struct Instances {
    pub(crate) store: Arc<Store>,
    /// The names of the configured instances.
    pub(crate) configured: Vec<String>,
    pub(crate) outputs: Vec<Arc<dyn Output>>,
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    /// The active mapping.
    pub(crate) mapping: Slot,
    pub(crate) wakes: Vec<(String, Arc<Wake>)>,
}

impl Instances {
    /// Renames an instance that is not configured.
    pub(crate) async fn rename(&self, old: &str, new: &str) -> anyhow::Result<String> {
        self.is_not_configured(old)?;
        let (store, old, new) = (Arc::clone(&self.store), old.to_owned(), new.to_owned());
        let renamed = tokio::task::spawn_blocking(move || rename(&store, &old, &new)).await??;
        self.look_at_once();
        Ok(renamed)
    }

    /// Deletes from the outputs what only this instance delivered, then forgets the instance.
    pub(crate) async fn remove(&self, name: &str) -> anyhow::Result<String> {
        self.is_not_configured(name)?;
        let known = self.store.unconfigured(&[])?;
        if !known.iter().any(|known| known == name) {
            return Err(unknown(name, &known));
        }
        let ledger = Arc::new(Ledger::default());
        let removal = Removal {
            instance: name.to_owned(),
            mapping: self.mapping.clone(),
            outputs: self.outputs.iter().cloned().map(Sink::required).collect(),
            dead_letters: Arc::clone(&self.dead_letters),
            state: Arc::clone(&self.store) as Arc<dyn State>,
            ledger: Arc::clone(&ledger),
            options: Options {
                backoff: Backoff::ONE_PASS,
                ..Options::default()
            },
        };
        let left = removal.run(CancellationToken::new()).await;
        self.look_at_once();
        let left = left.with_context(|| {
            format!("{name} is not removed yet: the same command again goes on where this ended")
        })?;
        let mut text = String::new();
        for (output, counts) in &ledger.counts().outputs {
            writeln!(text, "{output}: {} deleted", documents(counts.withdrawn))?;
        }
        if !left.is_empty() {
            return Err(Exit::Differs.error(format!(
                "{text}{name} is not removed: {} refused deletes; `misp-ecs dead-letter list` \
                 shows why",
                left.join(", ")
            )));
        }
        text.push_str(&self.elsewhere(name)?);
        self.store.reset(name)?;
        writeln!(text, "{name} is removed")?;
        Ok(text)
    }

    /// What stays in outputs that are not configured.
    fn elsewhere(&self, name: &str) -> anyhow::Result<String> {
        let configured: Vec<OutputKey> = self
            .outputs
            .iter()
            .map(|output| OutputKey::of(&**output))
            .collect();
        let mut text = String::new();
        for counts in self.store.held()? {
            let key = OutputKey {
                name: counts.output,
                target: counts.target,
            };
            if counts.instance == name && counts.delivered > 0 && !configured.contains(&key) {
                writeln!(
                    text,
                    "{} ({}): {} not deleted, since this output is not configured",
                    key.name,
                    key.target,
                    documents(counts.delivered)
                )?;
            }
        }
        Ok(text)
    }

    fn is_not_configured(&self, name: &str) -> anyhow::Result<()> {
        if self.configured.iter().any(|known| known == name) {
            return Err(Exit::Usage.error(format!(
                "{name} is configured: change the configuration and restart first"
            )));
        }
        Ok(())
    }

    /// Lets the configured instances read at once what is asked of them now.
    fn look_at_once(&self) {
        self.wakes.iter().for_each(|(_, wake)| wake.wake());
    }
}
