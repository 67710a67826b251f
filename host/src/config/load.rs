//! Reads the configuration from a file or from the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use misp_client::{ApiKey, FilterError};
use misp_feed::{FeedPlace, Headers, HeadersError};
use outputs::DeadLetterOptions;
use schemars::schema_for;
use serde::Deserialize;
use serde_json::Value;

use super::default_name::default_name;
use super::problems::{all_of, lines, none_of, same_files, zero};
use super::unknown_keys::{self, UnknownKey};
use super::wording::in_plain_words;
use super::{
    Config, Credential, Endpoint, Instance, Limits, Loaded, MappingConfig, Resend, StateConfig,
    StaticFields, selecting,
};

/// A configuration that cannot be used. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// Neither a file nor the environment.
    #[error(
        "nothing says which MISP to poll: set MISP_URL and MISP_API_KEY (or MISP_API_KEY_FILE), or give a configuration file with --config"
    )]
    Nothing,
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        path: PathBuf,
        error: std::io::Error,
    },
    /// A secret of an instance that cannot be read.
    #[error("instance {instance}: `{key}` {} cannot be read: {error}", path.display())]
    SecretFile {
        instance: String,
        key: &'static str,
        path: PathBuf,
        error: std::io::Error,
    },
    /// A value that makes no sense.
    #[error("instance {instance}: `{key}` is 0; it must be at least 1")]
    Zero { instance: String, key: &'static str },
    /// Two outputs write one file.
    #[error(
        "the outputs {first} and {second} write the same file {}: give each a `path` of its own",
        path.display()
    )]
    SameFile {
        first: String,
        second: String,
        path: PathBuf,
    },
    /// A file without a configuration.
    #[error("{} is empty: name at least one instance under `instances`", path.display())]
    Empty { path: PathBuf },
    /// More than one problem.
    #[error("{}", lines(problems))]
    Several { problems: Vec<ConfigError> },
    /// The file is no YAML, or a value does not fit.
    #[error("{path}: {text}")]
    Invalid { path: PathBuf, text: String },
    /// A key that does not exist.
    #[error("{path}: {key}")]
    UnknownKey { path: PathBuf, key: UnknownKey },
    /// A static field that no catalogue holds.
    #[error(
        "`static_fields`: there is no field `{field}`; `misp-ecs mapping fields` lists what there is"
    )]
    UnknownField { field: String },
    /// No key for an instance.
    #[error(
        "no API key for {instance}: give `api_key_file`, or set MISP_API_KEY or MISP_API_KEY_FILE"
    )]
    NoKey { instance: String },
    /// A key that cannot be one.
    #[error("the API key for {instance} cannot be used: {text}")]
    BadKey { instance: String, text: String },
    /// The headers for a feed cannot be used.
    #[error("the headers for {instance} cannot be used: {error}")]
    BadHeaders {
        instance: String,
        error: HeadersError,
    },
    /// A key that the instance's endpoint has no use for.
    #[error("`{key}` of {instance} has no meaning with {endpoint}: take it out")]
    NoMeaning {
        instance: String,
        key: &'static str,
        endpoint: &'static str,
    },
    /// A filter that MISP would ignore, or that can find nothing.
    #[error("`filters` of {instance}: {error}")]
    Filter {
        instance: String,
        error: FilterError,
    },
    /// `only` or `except` selects by what does not exist.
    #[error("`{key}` of {instance}: {text}")]
    Criteria {
        instance: String,
        key: &'static str,
        text: String,
    },
    /// Two instances share their state.
    #[error(
        "two instances are called {name}: give each a `name` of its own, its state is kept under it"
    )]
    SameName { name: String },
    /// Nothing to poll.
    #[error("{path}: `instances` is empty: name at least one")]
    NoInstances { path: PathBuf },
}

/// The configuration in a file.
pub(crate) fn from_file(
    path: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
        path: path.to_owned(),
        error,
    })?;
    let config = parse(path, &text)?;
    let directory = path
        .parent()
        .map(|parent| {
            if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            }
        })
        .map(Path::to_owned);
    finish(config, directory, environment)
}

fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let invalid = |text: String| ConfigError::Invalid {
        path: path.to_owned(),
        text,
    };
    let value: Value = serde_saphyr::from_str(text).map_err(|error| invalid(error.to_string()))?;
    if value.is_null() {
        return Err(ConfigError::Empty {
            path: path.to_owned(),
        });
    }
    let schema = schema_for!(Config);
    let unknown = unknown_keys::all(&value, schema.as_value()).into_iter();
    let mut problems: Vec<ConfigError> = unknown
        .map(|key| ConfigError::UnknownKey {
            path: path.to_owned(),
            key,
        })
        .collect();
    let config: Result<Config, _> = serde_path_to_error::deserialize(&value);
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            let text = in_plain_words(&error.inner().to_string());
            // An unknown key is named above, with the one that is meant.
            if problems.is_empty() || !text.starts_with("unknown field") {
                problems.push(invalid(match error.path().to_string().as_str() {
                    "." => text,
                    place => format!("`{place}`: {text}"),
                }));
            }
            return Err(all_of(problems));
        }
    };
    none_of(problems)?;
    let mut intervals = config.instances.iter().map(|instance| instance.interval);
    if let Some(place) = intervals.position(|interval| interval.is_zero()) {
        return Err(invalid(format!(
            "`instances[{place}].interval`: 0 would poll without a pause; give a time, such as 10m"
        )));
    }
    if config.instances.is_empty() {
        return Err(ConfigError::NoInstances {
            path: path.to_owned(),
        });
    }
    Ok(config)
}

/// The configuration that `MISP_URL` and the key's variables make.
pub(crate) fn from_environment(
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    let url = environment("MISP_URL").ok_or(ConfigError::Nothing)?;
    let only_url = BTreeMap::from([("url", url)]);
    let instance = Instance::deserialize(serde::de::value::MapDeserializer::<
        _,
        serde::de::value::Error,
    >::new(only_url.into_iter()))
    .map_err(|error| ConfigError::Invalid {
        path: PathBuf::from("MISP_URL"),
        text: in_plain_words(&error.to_string()),
    })?;
    let config = Config {
        instances: vec![instance],
        mapping: MappingConfig::default(),
        outputs: BTreeMap::new(),
        state: StateConfig::default(),
        dead_letters: DeadLetterOptions::default(),
        static_fields: StaticFields::default(),
        limits: Limits::default(),
        resend: Resend::default(),
    };
    finish(config, None, environment)
}

fn finish(
    mut config: Config,
    directory: Option<PathBuf>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    let mut names = std::collections::BTreeSet::new();
    let mut problems = Vec::new();
    for instance in &mut config.instances {
        while instance.endpoint != Endpoint::Feed && instance.url.ends_with('/') {
            instance.url.pop();
        }
        problems.extend(only_what_has_a_meaning(instance).err());
        problems.extend(zero(instance));
        if instance.name.is_none() {
            instance.name = Some(default_name(&instance.url));
        }
        problems.extend(selecting::check(instance).err());
        if !names.insert(instance.label().to_owned()) {
            problems.push(ConfigError::SameName {
                name: instance.label().to_owned(),
            });
        }
    }
    if let Some(directory) = &directory {
        config.resolve_paths(directory);
    }
    problems.extend(same_files(&config));
    let mut credentials = Vec::new();
    for instance in &config.instances {
        match credential_of(instance, &environment) {
            Ok(credential) => credentials.push(credential),
            Err(error) => problems.push(error),
        }
    }
    none_of(problems)?;
    Ok(Loaded {
        config,
        credentials,
        directory,
    })
}

/// A key that would do nothing is a mistake that nobody would see.
fn only_what_has_a_meaning(instance: &Instance) -> Result<(), ConfigError> {
    let feed = instance.endpoint == Endpoint::Feed;
    let without_meaning = if feed {
        [
            ("api_key_file", instance.api_key_file.is_some()),
            ("filters", !instance.filters.is_empty()),
            ("trace_file", instance.trace_file.is_some()),
            ("allow_unknown_filters", instance.allow_unknown_filters),
        ]
        .into_iter()
        .find_map(|(key, given)| given.then_some(key))
    } else {
        instance.headers_file.as_ref().map(|_| "headers_file")
    };
    match without_meaning {
        None => Ok(()),
        Some(key) => Err(ConfigError::NoMeaning {
            instance: instance.label().to_owned(),
            key,
            endpoint: if feed {
                "`endpoint: feed`"
            } else {
                "an endpoint of MISP's API"
            },
        }),
    }
}

fn credential_of(
    instance: &Instance,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Credential, ConfigError> {
    if instance.endpoint != Endpoint::Feed {
        return key_of(instance, environment).map(Credential::Key);
    }
    let headers = instance.headers_file.as_deref().map(Headers::from_file);
    let headers = headers
        .transpose()
        .map_err(|error| ConfigError::BadHeaders {
            instance: instance.label().to_owned(),
            error,
        })?;
    Ok(Credential::Headers(headers.unwrap_or_default()))
}

fn key_of(
    instance: &Instance,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ApiKey, ConfigError> {
    let file = instance
        .api_key_file
        .clone()
        .or_else(|| match environment("MISP_API_KEY") {
            Some(_) => None,
            None => environment("MISP_API_KEY_FILE").map(PathBuf::from),
        });
    let text = match &file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| ConfigError::SecretFile {
            instance: instance.label().to_owned(),
            key: match instance.api_key_file {
                Some(_) => "api_key_file",
                None => "MISP_API_KEY_FILE",
            },
            path: path.clone(),
            error,
        })?,
        None => environment("MISP_API_KEY").ok_or_else(|| ConfigError::NoKey {
            instance: instance.label().to_owned(),
        })?,
    };
    let key = ApiKey::new(text.trim()).map_err(|error| ConfigError::BadKey {
        instance: instance.label().to_owned(),
        text: error.to_string(),
    })?;
    Ok(match file {
        Some(path) => key.kept_in(path),
        None => key,
    })
}

impl Config {
    /// Paths in the file are relative to the file.
    fn resolve_paths(&mut self, directory: &Path) {
        let resolve = |path: &mut Option<PathBuf>| {
            if let Some(path) = path {
                *path = directory.join(&*path);
            }
        };
        for instance in &mut self.instances {
            if instance.endpoint == Endpoint::Feed
                && let FeedPlace::Folder(folder) = FeedPlace::from(instance.url.as_str())
            {
                instance.url = directory.join(folder).display().to_string();
            }
            resolve(&mut instance.api_key_file);
            resolve(&mut instance.headers_file);
            resolve(&mut instance.trace_file);
            resolve(&mut instance.tls.ca_file);
            resolve(&mut instance.tls.client_cert_file);
            resolve(&mut instance.tls.client_key_file);
        }
        resolve(&mut self.mapping.path);
        resolve(&mut self.state.path);
        resolve(&mut self.state.spool_path);
        resolve(&mut self.dead_letters.path);
        for output in self.outputs.values_mut() {
            for path in output.files_mut() {
                *path = directory.join(&*path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    const KEY: &str = "0123456789012345678901234567890123456789";

    fn parsed(text: &str) -> Result<Config, ConfigError> {
        parse(Path::new("misp-ecs.yaml"), text)
    }

    #[test]
    fn two_variables_are_a_configuration() {
        let loaded = from_environment(environment(&[
            ("MISP_URL", "https://misp.example.org/"),
            ("MISP_API_KEY", KEY),
        ]))
        .unwrap();
        let instance = &loaded.config.instances[0];
        assert_eq!(instance.label(), "misp.example.org");
        assert_eq!(instance.page_size, 50);
        assert!(!format!("{loaded:?}").contains(KEY));
    }

    #[test]
    fn nothing_at_all_says_what_to_set() {
        let error = from_environment(|_| None).unwrap_err().to_string();
        assert!(
            error.contains("MISP_URL") && error.contains("--config"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest_and_where() {
        let error = parsed("instances: [{url: u, page_sise: 3}]")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "misp-ecs.yaml: unknown key `page_sise` in `instances[0]`: did you mean `page_size`?"
        );
        let error =
            parsed("instances: [{url: u}]\noutputs: {out: {type: file, path: x, fsink: batch}}")
                .unwrap_err()
                .to_string();
        assert!(
            error.contains("`fsink` in `outputs.out`: did you mean `fsync`?"),
            "{error}"
        );
        let error = parsed("instances: [{url: u}]\nmappings: {}")
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `mapping`?"), "{error}");
    }

    #[test]
    fn filters_and_criteria_that_select_by_nothing_known_are_refused() {
        let refused = |keys: &str| {
            let config = parsed(&format!("instances: [{{name: lab, url: u, {keys}}}]"));
            let loaded = config.and_then(|config| {
                finish(config, None, environment(&[("MISP_API_KEY", KEY)])).map(|_| ())
            });
            loaded.unwrap_err().to_string()
        };
        for (keys, text) in [
            (
                "filters: {tagz: x}",
                "unknown filter `tagz`; did you mean `tags`?",
            ),
            (
                "filters: {type: [ip-src, ip-dest]}",
                "`ip-dest`; did you mean `ip-dst`?",
            ),
            (
                "filters: {to_ids: maybe}",
                "unknown value `maybe`; it takes 0, 1 and `exclude`",
            ),
            (
                "only: {types: [ip-dest]}",
                "`only` of lab: `types`: MISP has no attribute type",
            ),
            (
                "except: {categories: [Network]}",
                "did you mean `Network activity`?",
            ),
            ("only: {tlp: [gren]}", "`gren` is not a TLP marking"),
            ("only: {min_confidence: 101}", "more than 100"),
            ("only: {}", "no key is given"),
            ("only: {type: [url]}", "did you mean `types`?"),
        ] {
            let error = refused(keys);
            assert!(error.contains(text), "{keys}: {error}");
        }
        let passed_on =
            parsed("instances: [{url: u, filters: {new: 1}, allow_unknown_filters: true}]");
        finish(
            passed_on.unwrap(),
            None,
            environment(&[("MISP_API_KEY", KEY)]),
        )
        .unwrap();
    }

    #[test]
    fn a_value_that_does_not_fit_is_named() {
        let error = parsed("instances: [{url: u, interval: 0s}]")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`instances[0].interval`: 0 would"),
            "{error}"
        );
        let error = parsed("instances: [{url: u, interval: 10}]")
            .unwrap_err()
            .to_string();
        assert!(error.contains("instances[0].interval"), "{error}");
        let error = parsed("instances: [{url: u, lookback: someday}]")
            .unwrap_err()
            .to_string();
        assert!(error.contains("neither `all` nor a duration"), "{error}");
    }

    #[test]
    fn the_whole_shape_is_taken() {
        let config = parsed(
            r"
instances:
  - {name: lab, url: https://misp.example.org, api_key_file: key, endpoint: events, interval: 10m,
     lookback: 90d, page_size: 20, filters: {tags: ['tlp:green'], to_ids: 1}, tags: [lab]}
mapping: {name: ecs-1.12, settings: {preserve_original_event: false}}
outputs: {lines: {type: file, path: out.ndjson}, screen: {type: stdout, deletes: true}}
state: {path: state}
dead_letters: {path: dead.ndjson}
static_fields: {agent: false, cloud: {provider: example}}
",
        )
        .unwrap();
        assert_eq!(config.outputs.len(), 2);
    }

    fn finished(text: &str) -> Result<Loaded, ConfigError> {
        let directory = Some(PathBuf::from("/etc/misp-ecs"));
        finish(parsed(text)?, directory, environment(&[]))
    }

    #[test]
    fn a_feed_needs_no_key_and_its_folder_is_beside_the_file() {
        let loaded = finished("instances: [{url: feeds/lab, endpoint: feed}]").unwrap();
        let instance = &loaded.config.instances[0];
        assert_eq!(instance.url, "/etc/misp-ecs/feeds/lab");
        assert_eq!(instance.label(), "feeds/lab");
        let loaded = finished("instances: [{url: 'https://a.example/feed/', endpoint: feed}]");
        let loaded = loaded.unwrap();
        assert_eq!(loaded.config.instances[0].url, "https://a.example/feed/");
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        for (text, named) in [
            (
                "{url: f, endpoint: feed, filters: {to_ids: 1}}",
                "`filters` of f",
            ),
            (
                "{url: f, endpoint: feed, api_key_file: k}",
                "`api_key_file` of f",
            ),
            ("{url: f, headers_file: h}", "`headers_file` of f"),
        ] {
            let error = finished(&format!("instances: [{text}]")).unwrap_err();
            assert!(error.to_string().starts_with(named), "{error}");
        }
    }

    #[test]
    fn two_instances_of_one_name_would_share_their_state() {
        let config =
            parsed("instances: [{url: https://a.example}, {url: https://a.example/}]").unwrap();
        let error = finish(config, None, environment(&[("MISP_API_KEY", KEY)])).unwrap_err();
        assert!(matches!(error, ConfigError::SameName { .. }));
    }
}
