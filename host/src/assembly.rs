//! Everything that runs, made of what the configuration says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use outputs::{DeadLetterFile, OutputOptions};
use pipeline::{
    Backoff, DeadLetters, Ledger, Options, Output, Pipeline, Sink, Slot, State, Transform,
};
use runtime::Mapper;
use state::Store;

use crate::config::{Config, Credential, Facts, Instance, Loaded, Resend, nearest_or_all};
use crate::control::What;
use crate::exit::Exit;
use crate::instances::{self, Instances};
use crate::replay::{Picked, Replay};
use crate::swap::{Member, Setting, Swap, at_start};
use crate::wiring::{self, Server};

/// How the pipelines are to run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mode {
    /// One pass, and an end.
    pub(crate) once: bool,
    /// Sweep in the next pass, due or not.
    pub(crate) sweep: bool,
    /// Withdraw whatever that sweep finds.
    pub(crate) confirmed: bool,
    /// Only this instance.
    pub(crate) only: Option<String>,
    /// Want these read again before it begins.
    pub(crate) reprocess: Option<What>,
    /// Ask again for what was refused, before it begins.
    pub(crate) replay: Option<Picked>,
}

/// Everything that runs.
pub(crate) struct Assembled {
    pub(crate) instances: Vec<Running>,
    /// What replaces their mapping.
    pub(crate) swap: Arc<Swap>,
    /// What asks again for what was refused.
    pub(crate) replay: Arc<Replay>,
    /// What renames and removes instances that are not configured.
    pub(crate) others: Instances,
    /// Where dead letters are, for people.
    pub(crate) dead_letters: String,
}

/// One instance.
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) pipeline: Pipeline,
}

/// Builds every pipeline of the configuration.
pub(crate) async fn assemble(
    loaded: &Arc<Loaded>,
    file: Option<&Path>,
    folder: &Path,
    store: &Arc<Store>,
    mode: &Mode,
) -> anyhow::Result<Assembled> {
    let config = &loaded.config;
    let letters_path = wiring::dead_letters_path(config, folder);
    let letters = DeadLetterFile::new(&config.dead_letters, letters_path.clone());
    letters.check().await.context("dead letters")?;
    let facts = Facts {
        agent_id: Some(store.agent_id().to_owned()),
        ephemeral_id: Some(uuid::Uuid::new_v4().to_string()),
    };
    let setting = Setting::new(loaded, folder, facts)?;
    let chosen = chosen(loaded, mode.only.as_deref())?;
    let of_mapping: Vec<Instance> = chosen.iter().map(|(one, _)| (*one).clone()).collect();
    let ready = tokio::task::block_in_place(|| at_start(&setting, loaded, &of_mapping))?;
    let letters = Arc::new(letters);
    let assembly = Assembly {
        config,
        store,
        mode,
        outputs: wiring::open_outputs(config)?,
        dead_letters: Arc::clone(&letters) as Arc<dyn DeadLetters>,
    };
    let (mut instances, mut members) = (Vec::new(), Vec::new());
    for ((instance, credential), mapper) in chosen.into_iter().zip(ready.mappers) {
        let server = Server::of(instance, credential, config.spool_folder(folder));
        let running = server.and_then(|server| assembly.instance(instance, server, &mapper));
        let running = running.with_context(|| format!("instance {}", instance.label()))?;
        members.push(Member {
            instance: instance.clone(),
            slot: running.pipeline.mapping.clone(),
            wake: Arc::clone(&running.pipeline.wake),
        });
        instances.push(running);
    }
    let wakes = members.iter().map(|member| {
        let name = member.instance.label().to_owned();
        (name, Arc::clone(&member.wake))
    });
    let wakes: Vec<_> = wakes.collect();
    let mapping = members.first().map(|member| member.slot.clone());
    let others = Instances {
        store: Arc::clone(store),
        configured: instances::names(config),
        outputs: assembly.outputs,
        dead_letters: assembly.dead_letters,
        mapping: mapping.context("no instance is configured")?,
        wakes: wakes.clone(),
    };
    let replay = Replay {
        store: Arc::clone(store),
        letters,
        path: letters_path.clone(),
        wakes,
    };
    let (store, loaded) = (Arc::clone(store), Arc::clone(loaded));
    let swap = Swap::new(
        setting,
        store,
        loaded,
        file.map(Path::to_owned),
        mode.once,
        members,
    );
    tokio::task::block_in_place(|| swap.tell_others())?;
    Ok(Assembled {
        instances,
        swap: Arc::new(swap),
        replay: Arc::new(replay),
        others,
        dead_letters: letters_path.display().to_string(),
    })
}

/// The instances that are meant, with their credentials.
pub(crate) fn chosen<'l>(
    loaded: &'l Loaded,
    only: Option<&str>,
) -> anyhow::Result<Vec<(&'l Instance, &'l Credential)>> {
    let all = loaded.config.instances.iter().zip(&loaded.credentials);
    let chosen: Vec<_> = all
        .filter(|(instance, _)| only.is_none_or(|only| instance.label() == only))
        .collect();
    if let (true, Some(only)) = (chosen.is_empty(), only) {
        let names = loaded.config.instances.iter().map(Instance::label);
        return Err(Exit::Usage.error(format!(
            "no instance `{only}`{}",
            nearest_or_all(only, names)
        )));
    }
    Ok(chosen)
}

struct Assembly<'a> {
    config: &'a Config,
    store: &'a Arc<Store>,
    mode: &'a Mode,
    outputs: Vec<Arc<dyn Output>>,
    dead_letters: Arc<dyn DeadLetters>,
}

impl Assembly<'_> {
    fn instance(
        &self,
        instance: &Instance,
        server: Server,
        mapper: &Arc<Mapper>,
    ) -> anyhow::Result<Running> {
        let pipeline = Pipeline {
            instance: instance.label().to_owned(),
            begin_walk: server.begin_walk(instance, mapper)?,
            mapping: Slot::new(Arc::clone(mapper) as Arc<dyn Transform>),
            wake: Arc::default(),
            outputs: self.sinks(),
            dead_letters: Arc::clone(&self.dead_letters),
            state: Arc::clone(self.store) as Arc<dyn State>,
            ledger: Arc::new(Ledger::default()),
            options: self.options(instance),
        };
        Ok(Running {
            name: pipeline.instance.clone(),
            ledger: Arc::clone(&pipeline.ledger),
            pipeline,
        })
    }

    fn sinks(&self) -> Vec<Sink> {
        let outputs = self.outputs.iter().map(|output| {
            let options = self.config.outputs.get(output.name());
            match options.and_then(OutputOptions::optional_after) {
                Some(after) => Sink::optional(Arc::clone(output), after),
                None => Sink::required(Arc::clone(output)),
            }
        });
        outputs.collect()
    }

    fn options(&self, instance: &Instance) -> Options {
        let mode = self.mode;
        let set = |duration: units::Duration| (!duration.is_zero()).then(|| duration.get());
        Options {
            interval: (!mode.once).then(|| instance.interval.get()),
            backoff: if mode.once {
                Backoff::ONE_PASS
            } else {
                Backoff::SERVICE
            },
            resend: match self.config.resend {
                Resend::Changed => pipeline::Resend::Changed,
                Resend::All => pipeline::Resend::All,
            },
            attributes: Arc::new(instance.attributes()),
            sweep: if mode.sweep {
                Some(Duration::ZERO)
            } else {
                set(instance.sweep)
            },
            sweep_share: f64::from(instance.sweep_limit_percent) / 100.0,
            sweep_confirmed: mode.confirmed,
            selection: Some(instance.selection()),
            refresh: set(instance.refresh),
            ..Options::default()
        }
    }
}
