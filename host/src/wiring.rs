//! Puts the parts together as the configuration says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use misp_client::{
    AttributesWalk, Client, ClientOptions, EventsWalk, PaceLimits, TlsOptions, WalkOptions,
};
use misp_feed::{FeedOptions, FeedPlace, FeedSource, Headers};
use outputs::{OutputOptions, StdoutOptions, StdoutOutput};
use pipeline::{BeginWalk, Output, OutputKey, SourceError, Transform as _};
use runtime::{Engine, LoadedMapping, Mapper, Origin};
use splitter::{SplitLimits, SpoolLimits};

use crate::args::Configured;
use crate::config::{
    Config, Credential, Endpoint, Facts, Instance, Loaded, Lookback, MappingConfig, StaticFields,
    Tls, from_environment, from_file,
};
use crate::exit::{Exit, OrExit as _};
use crate::mappings::{self, Found, Places};

/// Reads the configuration that the command line names.
pub(crate) fn load_config(configured: &Configured) -> anyhow::Result<Loaded> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let loaded = match &configured.config {
        Some(path) => from_file(path, environment)?,
        None => from_environment(environment)?,
    };
    if let Some(field) = loaded.config.static_fields.unknown() {
        return Err(crate::config::ConfigError::UnknownField { field }.into());
    }
    Ok(loaded)
}

/// The folder of the state.
pub(crate) fn state_folder(
    configured: &Configured,
    config: Option<&Config>,
) -> anyhow::Result<PathBuf> {
    state::state_folder(
        configured.state.clone(),
        config.and_then(|config| config.state.path.clone()),
        |name| std::env::var_os(name),
    )
    .context("no folder for the state")
}

/// The folder of the state for commands that need nothing else: it may be named by the
/// configuration; without one the defaults do.
pub(crate) fn folder_of(configured: &Configured) -> anyhow::Result<PathBuf> {
    let config = match &configured.config {
        Some(_) => Some(load_config(configured)?.config),
        None => None,
    };
    state_folder(configured, config.as_ref())
}

/// The file of dead letters in the state folder.
pub(crate) const DEAD_LETTERS: &str = "dead-letters.ndjson";

/// Where dead letters are kept.
pub(crate) fn dead_letters_path(config: &Config, folder: &Path) -> PathBuf {
    config
        .dead_letters
        .path
        .clone()
        .unwrap_or_else(|| folder.join(DEAD_LETTERS))
}

/// The outputs of the configuration; stdout where there are none.
pub(crate) fn open_outputs(config: &Config) -> anyhow::Result<Vec<Arc<dyn Output>>> {
    if config.outputs.is_empty() {
        let stdout = StdoutOutput::new("stdout", &StdoutOptions::default());
        return Ok(vec![Arc::new(stdout)]);
    }
    check_names(config)?;
    let open = config
        .outputs
        .iter()
        .map(|(name, options)| options.open(name).with_context(|| format!("output {name}")));
    open.collect()
}

/// Refuses names that belong to Elastic's own integration.
pub(crate) fn check_names(config: &Config) -> anyhow::Result<()> {
    let static_fields = config.static_fields.object(&Facts::default(), &[]);
    let module = static_fields
        .pointer("/event/module")
        .and_then(serde_json::Value::as_str);
    for (name, options) in &config.outputs {
        if let OutputOptions::Elasticsearch(options) = options {
            let checked = options.check_names(module);
            checked.with_context(|| format!("output {name}"))?;
        }
    }
    Ok(())
}

/// How the outputs are remembered, without touching them.
pub(crate) fn output_keys(config: &Config) -> Vec<OutputKey> {
    if config.outputs.is_empty() {
        let stdout = StdoutOutput::new("stdout", &StdoutOptions::default());
        return vec![OutputKey::of(&stdout)];
    }
    let outputs = config.outputs.iter();
    outputs
        .map(|(name, options)| OutputKey::of(&*options.build(name)))
        .collect()
}

/// What the configuration names as its mapping.
pub(crate) fn find_mapping(
    mapping: &MappingConfig,
    directory: Option<&Path>,
) -> anyhow::Result<Found> {
    if let Some(path) = &mapping.path {
        return mappings::at(path);
    }
    let name = mapping.name.as_deref().unwrap_or(mappings::DEFAULT);
    Places::new(directory.map(Path::to_owned)).find(name)
}

/// The digest of what the configuration names; `None` if that cannot be read.
pub(crate) fn configured_digest(
    mapping: &MappingConfig,
    directory: Option<&Path>,
) -> Option<String> {
    let found = find_mapping(mapping, directory).ok()?;
    Some(runtime::digest(&found.bytes))
}

/// A configuration file as it is, to be compared.
pub(crate) fn raw(file: &Path) -> anyhow::Result<serde_json::Value> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_saphyr::from_str(&text).with_context(|| file.display().to_string())
}

/// The `mapping` of a configuration file, read again.
pub(crate) fn mapping_of(file: &Path) -> anyhow::Result<MappingConfig> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Ok(from_file(file, environment)?.config.mapping)
}

/// The configured mapping, compiled.
pub(crate) fn load_mapping(engine: &Engine, loaded: &Loaded) -> anyhow::Result<LoadedMapping> {
    let found = find_mapping(&loaded.config.mapping, loaded.directory.as_deref())?;
    let mapping = engine.load(&found.bytes);
    mapping
        .with_context(|| format!("{} cannot be used as a mapping", found.place))
        .or_exit(Exit::Usage)
}

/// The mapping at work for one instance.
pub(crate) fn start_mapper(
    engine: &Engine,
    mapping: &LoadedMapping,
    config: &Config,
    instance: &Instance,
    facts: &Facts,
) -> anyhow::Result<Mapper> {
    let origin = origin(instance, &config.static_fields, facts)?;
    let settings = serde_json::to_vec(&config.mapping.settings)?;
    let mapper = Mapper::start(engine, mapping, settings, origin)
        .context("`mapping.settings` were not accepted")
        .or_exit(Exit::Usage)?;
    let identity = settings_identity(&config.mapping, &config.static_fields, instance)?;
    Ok(mapper.with_settings(identity))
}

/// Identifies what documents are made with beside the component: the mapping's settings, and the
/// static fields as configured. The fields that the host finds out itself, such as the name of the
/// machine, are not part of it: they may differ at each start.
pub(crate) fn settings_identity(
    mapping: &MappingConfig,
    static_fields: &StaticFields,
    instance: &Instance,
) -> anyhow::Result<String> {
    let settings = (&mapping.settings, static_fields, &instance.tags);
    let mut digest = runtime::digest(&serde_json::to_vec(&settings)?);
    digest.truncate(16);
    Ok(digest)
}

/// Where an instance's records come from, as its mapping is told.
pub(crate) fn origin(
    instance: &Instance,
    static_fields: &StaticFields,
    facts: &Facts,
) -> anyhow::Result<Origin> {
    Ok(Origin {
        name: instance.label().to_owned(),
        url: Some(instance.url.clone()),
        static_fields: serde_json::to_vec(&static_fields.object(facts, &instance.tags))?,
    })
}

/// What an instance's records come from.
pub(crate) enum Server {
    /// A MISP.
    Misp(Client),
    /// A feed.
    Feed(FeedOptions),
}

impl Server {
    /// The server of an instance; nothing is asked yet. `folder`: for temporary files.
    pub(crate) fn of(
        instance: &Instance,
        credential: &Credential,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        Ok(match credential {
            Credential::Key(key) => {
                Self::Misp(Client::new(client_options(instance, key.clone(), folder))?)
            }
            Credential::Headers(headers) => {
                Self::Feed(feed_options(instance, headers.clone(), folder))
            }
        })
    }

    /// What begins walks of an instance. What its records come from is looked at now.
    pub(crate) fn begin_walk(
        self,
        instance: &Instance,
        mapper: &Mapper,
    ) -> anyhow::Result<BeginWalk> {
        let client = match self {
            Self::Misp(client) => client,
            Self::Feed(options) => {
                FeedSource::new(&options, None)?;
                return Ok(Box::new(move |cursor| {
                    let source = FeedSource::new(&options, cursor);
                    Ok(Box::new(source.map_err(SourceError::new)?))
                }));
            }
        };
        let options = walk_options(instance, mapper);
        let loose = instance.endpoint == Endpoint::Attributes;
        Ok(Box::new(move |cursor| {
            let (client, options) = (client.clone(), options.clone());
            Ok(if loose {
                let walk = AttributesWalk::new(client, options, cursor);
                Box::new(walk.map_err(SourceError::new)?)
            } else {
                let walk = EventsWalk::new(client, options, cursor);
                Box::new(walk.map_err(SourceError::new)?)
            })
        }))
    }
}

/// How the client of an instance connects.
fn client_options(instance: &Instance, key: misp_client::ApiKey, folder: &Path) -> ClientOptions {
    ClientOptions {
        connect_timeout: instance.connect_timeout.get(),
        read_timeout: instance.read_timeout.get(),
        pace: pace(instance),
        proxy: instance.proxy.clone().into(),
        tls: tls_options(&instance.tls),
        trace_file: instance.trace_file.clone(),
        spool: SpoolLimits {
            total: instance.max_answer(),
            directory: Some(folder.to_owned()),
            ..SpoolLimits::default()
        },
        ..ClientOptions::new(instance.url.clone(), key)
    }
}

/// How a feed is read.
fn feed_options(instance: &Instance, headers: Headers, folder: &Path) -> FeedOptions {
    FeedOptions {
        headers,
        connect_timeout: instance.connect_timeout.get(),
        read_timeout: instance.read_timeout.get(),
        proxy: instance.proxy.clone().into(),
        tls: tls_options(&instance.tls),
        max_answer: instance.max_answer(),
        pace: pace(instance),
        temporary: Some(folder.to_owned()),
        lookback: lookback(instance),
        ..FeedOptions::new(FeedPlace::from(instance.url.as_str()))
    }
}

fn pace(instance: &Instance) -> PaceLimits {
    PaceLimits {
        min_throughput: instance.min_throughput.bytes(),
        total: instance.download_timeout.get(),
    }
}

fn tls_options(tls: &Tls) -> TlsOptions {
    TlsOptions {
        verify: tls.verify,
        ca_file: tls.ca_file.clone(),
        client_cert_file: tls.client_cert_file.clone(),
        client_key_file: tls.client_key_file.clone(),
    }
}

fn lookback(instance: &Instance) -> Option<std::time::Duration> {
    match instance.lookback {
        Lookback::All => None,
        Lookback::For(duration) => Some(duration.get()),
    }
}

/// How an instance is walked.
fn walk_options(instance: &Instance, mapper: &Mapper) -> WalkOptions {
    WalkOptions {
        page_size: instance.page_size,
        attributes_page: instance.attributes_page,
        cursor: instance.cursor.into(),
        lookback: lookback(instance),
        filters: instance.filters.clone(),
        request: mapper.search_flags().clone(),
        split: SplitLimits::default(),
    }
}
