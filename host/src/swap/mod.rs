//! Puts another mapping to work while pages are on their way.
//!
//! A mapping is loaded, compiled, held against the pin and the contract, started with the current
//! settings for every instance and tried on the bundled sample, all beside the one at work. Only
//! then it takes its place: for the pages that are asked for from then on. Whatever fails leaves
//! the old one at work and says why.

mod kept;
mod reload;
mod self_test;
mod start;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use anyhow::Context as _;
use pipeline::{Class, Classify as _, MappingIdentity, Slot, Wake};
use serde_json::Value;
use state::{Reprocess, Store};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Instance, Loaded, MappingConfig, nearest_or_all};
use crate::exit::Exit;
use crate::mappings::{Found, Places};
use crate::summary::{plural, thousands};
use crate::wiring;

pub(crate) use kept::{Cause, Entry, Kept};
pub(crate) use self_test::self_test;
pub(crate) use start::{Ready, Setting, at_start};
use watch::Watched;

/// An instance whose mapping can be replaced.
pub(crate) struct Member {
    /// The instance.
    pub(crate) instance: Instance,
    /// Its mapping.
    pub(crate) slot: Slot,
    /// Wakes it between two rounds.
    pub(crate) wake: Arc<Wake>,
}

/// Replaces the mapping of all instances at once.
pub(crate) struct Swap {
    setting: Setting,
    store: Arc<Store>,
    loaded: Arc<Loaded>,
    /// Where the configuration was read from, to read it again.
    file: Option<PathBuf>,
    /// The configuration as it was read.
    raw: Option<Value>,
    /// Does the process end after one poll?
    once: bool,
    /// Cancelled when the process has to start again.
    again: CancellationToken,
    members: Vec<Member>,
    /// What is configured now. One swap at a time holds it.
    configured: Mutex<MappingConfig>,
    /// The file of the configured mapping as it was before it was read.
    seen: StdMutex<Watched>,
}

impl Swap {
    pub(crate) fn new(
        setting: Setting,
        store: Arc<Store>,
        loaded: Arc<Loaded>,
        file: Option<PathBuf>,
        once: bool,
        members: Vec<Member>,
    ) -> Self {
        let configured = Mutex::new(loaded.config.mapping.clone());
        let seen = StdMutex::new(Watched::look(&loaded.config.mapping));
        Self {
            setting,
            store,
            loaded,
            raw: file.as_deref().and_then(|file| wiring::raw(file).ok()),
            file,
            once,
            again: CancellationToken::new(),
            members,
            configured,
            seen,
        }
    }

    /// Does what SIGHUP and a change of the mapping's file ask for, until `stop`.
    pub(crate) fn start(self: &Arc<Self>, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let (swap, ended) = (Arc::clone(self), stop.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    asked = hangup.recv() => if asked.is_none() { return },
                    () = ended.cancelled() => return,
                }
                if let Err(error) = swap.reload_all(&ended).await {
                    tracing::error!(
                        error = crate::explain(&error),
                        "configuration cannot be used, the old one stays active"
                    );
                }
            }
        });
        tokio::spawn(watch::watch(Arc::clone(self), stop.clone()));
        Ok(())
    }

    /// The mapping that the next page gets.
    pub(crate) fn at_work(&self) -> Option<Arc<MappingIdentity>> {
        let first = self.members.first();
        first.map(|member| member.slot.current().identity())
    }

    /// Reads the `mapping` of the configuration again and puts to work what it names.
    pub(crate) async fn reload(&self) -> anyhow::Result<String> {
        let mut configured = self.configured.lock().await;
        let wanted = match &self.file {
            Some(file) => wiring::mapping_of(file)?,
            None => configured.clone(),
        };
        let seen = Watched::look(&wanted);
        let found = wiring::find_mapping(&wanted, self.loaded.directory.as_deref())?;
        let digest = runtime::digest(&found.bytes);
        let active = self.at_work();
        let is_same = active.is_some_and(|active| active.digest == digest)
            && wanted.settings == configured.settings
            && wanted.pin() == configured.pin();
        if is_same {
            *configured = wanted;
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            tracing::info!(
                digest,
                "configuration read again, the same mapping stays active"
            );
            return Ok("the same mapping stays active\n".to_owned());
        }
        let said = self
            .replace(&wanted, &found, Cause::Configured, Some(digest))
            .await?;
        *configured = wanted;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(said)
    }

    /// Puts a mapping to work: a kept digest, a name or a path.
    pub(crate) async fn to(&self, name: &str) -> anyhow::Result<String> {
        let configured = self.configured.lock().await;
        let found = named(&self.setting.kept, name, self.loaded.directory.clone())?;
        let digest = self.configured_digest(&configured);
        self.replace(&configured, &found, Cause::Use, digest).await
    }

    /// Puts the mapping to work that was there before this one.
    pub(crate) async fn back(&self) -> anyhow::Result<String> {
        let configured = self.configured.lock().await;
        let kept = &self.setting.kept;
        let (_, found) = kept.before_last()?;
        let ready = self.ready(&configured, &found).await?;
        ask_outputs(&self.loaded.config, &ready.mapping.identity().name).await?;
        kept.go_back(self.configured_digest(&configured), pipeline::now_ms())?;
        Ok(self.take(ready))
    }

    /// The file that is watched, as it was when it was read last.
    fn watched(&self) -> Watched {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    fn configured_digest(&self, configured: &MappingConfig) -> Option<String> {
        wiring::configured_digest(configured, self.loaded.directory.as_deref())
    }

    async fn replace(
        &self,
        configured: &MappingConfig,
        found: &Found,
        cause: Cause,
        digest: Option<String>,
    ) -> anyhow::Result<String> {
        let ready = self.ready(configured, found).await?;
        ask_outputs(&self.loaded.config, &ready.mapping.identity().name).await?;
        let entry = Entry {
            mapping: ready.mapping.identity().clone(),
            configured: digest,
            place: found.place.clone(),
            at_ms: pipeline::now_ms(),
        };
        self.setting.kept.put_to_work(entry, cause, &found.bytes)?;
        Ok(self.take(ready))
    }

    /// Everything that can fail, off the threads that work.
    async fn ready(&self, configured: &MappingConfig, found: &Found) -> anyhow::Result<Ready> {
        let instances = self.members.iter().map(|member| member.instance.clone());
        let (setting, instances) = (self.setting.clone(), instances.collect::<Vec<_>>());
        let (configured, bytes) = (configured.clone(), found.bytes.clone());
        let ready =
            tokio::task::spawn_blocking(move || setting.ready(&configured, &bytes, &instances));
        ready
            .await?
            .with_context(|| format!("{} cannot take over", found.place))
    }

    /// The moment of the swap. What it says is for people.
    fn take(&self, ready: Ready) -> String {
        let new = ready.mapping.identity().clone();
        let mut old = None;
        for (member, mapper) in self.members.iter().zip(ready.mappers) {
            old = Some(member.slot.replace(mapper).identity());
        }
        let shown = |identity: &MappingIdentity| {
            let digest = identity.digest.get(..12).unwrap_or_default();
            format!("{} {} ({digest})", identity.name, identity.version)
        };
        let before = old.as_deref().map(shown).unwrap_or_default();
        let is_same = old.as_deref().is_some_and(|old| old.digest == new.digest);
        let what = if is_same {
            "mapping started again with the settings of the configuration"
        } else {
            "another mapping is at work"
        };
        tracing::info!(
            name = new.name,
            version = new.version,
            digest = new.digest,
            before,
            "{what}"
        );
        // It goes through everything that is held.
        let older = tokio::task::block_in_place(|| self.of_others(&new.digest));
        format!("{} is at work, in place of {before}\n{older}", shown(&new))
    }

    /// Logs how many documents that the outputs have were made by other mappings.
    pub(crate) fn tell_others(&self) -> anyhow::Result<()> {
        for member in &self.members {
            let mapping = member.slot.current().identity();
            // To count them takes a look at each document.
            if self
                .store
                .has_other_mappings(&mapping.digest, &mapping.settings)?
            {
                self.of_others(&mapping.digest);
                break;
            }
        }
        Ok(())
    }

    fn of_others(&self, digest: &str) -> String {
        let instances = self.members.iter().map(|member| {
            let settings = member.slot.current().identity().settings.clone();
            (member.instance.label(), settings)
        });
        of_others(&self.store, instances, digest)
    }

    /// Wants events read and mapped again; says how many. `None`: those that other mappings
    /// made something of.
    pub(crate) fn reprocess(
        &self,
        only: Option<&str>,
        what: Option<&Reprocess>,
    ) -> anyhow::Result<String> {
        let mut text = String::new();
        for member in &self.members {
            let name = member.instance.label();
            if only.is_some_and(|only| only != name) {
                continue;
            }
            let others = || {
                let identity = member.slot.current().identity();
                Reprocess::NotOf {
                    digest: identity.digest.clone(),
                    settings: identity.settings.clone(),
                }
            };
            let events = match what {
                Some(what) => self.store.reprocess(name, what)?,
                None => self.store.reprocess(name, &others())?,
            };
            member.wake.wake();
            text.push_str(&format!(
                "{name}: {} {} read again; `misp-ecs status` shows how many are left\n",
                plural(events, "event"),
                if events == 1 { "is" } else { "are" }
            ));
        }
        if text.is_empty() {
            let only = only.unwrap_or_default();
            let names = self.members.iter().map(|member| member.instance.label());
            return Err(Exit::Usage.error(format!(
                "no instance `{only}` runs here{}",
                nearest_or_all(only, names)
            )));
        }
        Ok(text)
    }
}

/// Asks each output whether it can take documents of a mapping: without its templates, for one,
/// an Elasticsearch cannot, and a swap would stop the flow.
pub(crate) async fn ask_outputs(config: &Config, mapping: &str) -> anyhow::Result<()> {
    for (name, options) in &config.outputs {
        let Err(error) = options.build(name).prepare(mapping).await else {
            continue;
        };
        // What passes by itself, such as a node that restarts, is no reason against a swap.
        if options.optional_after().is_none() && error.class() == Class::Fatal {
            return Err(error).with_context(|| {
                format!("output {name} cannot take documents of {mapping}; nothing was changed")
            });
        }
        tracing::warn!(
            output = name,
            mapping,
            %error,
            "this output cannot take documents of the mapping now"
        );
    }
    Ok(())
}

/// How many documents that the outputs have were made by other mappings, for people; it goes
/// through everything that is held.
pub(crate) fn of_others<'a>(
    store: &Store,
    instances: impl Iterator<Item = (&'a str, String)>,
    digest: &str,
) -> String {
    let mut text = String::new();
    for (instance, settings) in instances {
        match store.mappings(instance) {
            Ok(counts) => {
                let others = counts.iter();
                let others = others.filter(|count| !count.is_of(digest, &settings));
                let documents: u64 = others.map(|count| count.documents).sum();
                if documents > 0 {
                    tracing::info!(
                        instance,
                        documents,
                        "documents were made by another mapping or with other settings: \
                         `misp-ecs reprocess` makes them again"
                    );
                    text.push_str(&format!(
                        "{instance}: {} documents were made by another mapping or with other \
                         settings; `misp-ecs reprocess` makes them again\n",
                        thousands(documents)
                    ));
                }
            }
            Err(error) => tracing::warn!(%error, "documents of other mappings not counted"),
        }
    }
    text
}

/// A kept digest, a name or a path.
pub(crate) fn named(kept: &Kept, name: &str, directory: Option<PathBuf>) -> anyhow::Result<Found> {
    match kept.find(name)? {
        Some(found) => Ok(found),
        None => Places::new(directory).find(name),
    }
}
