//! What proves who we are. Nothing shows it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderValue;

use super::error::ElasticError;
use super::options::ElasticsearchOptions;
use crate::secret::Secret;

const KEY_VARIABLE: &str = "MISP_ECS_ELASTICSEARCH_API_KEY";
const PASSWORD_VARIABLE: &str = "MISP_ECS_ELASTICSEARCH_PASSWORD";
/// Shorter texts are too common to be looked for in what a server says.
const SHORTEST_REDACTED: usize = 6;

/// Reads an environment variable.
pub(super) type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where the credentials are kept: files are read again when they were refused.
pub(super) struct Source {
    kind: Kind,
    environment: Environment,
}

enum Kind {
    Nobody,
    ApiKey(Option<PathBuf>),
    Basic(String, Option<PathBuf>),
    Bearer(PathBuf),
}

/// The header, and the texts in it that must not be seen.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) header: Option<HeaderValue>,
    secrets: Vec<String>,
}

impl Source {
    /// The one way that the options name.
    pub(super) fn new(
        options: &ElasticsearchOptions,
        environment: Environment,
    ) -> Result<Self, ElasticError> {
        let api_key = options.api_key_file.clone();
        let kind = match (api_key, &options.username, &options.bearer_file) {
            (Some(file), None, None) => Kind::ApiKey(Some(file)),
            (None, Some(user), None) => Kind::Basic(user.clone(), options.password_file.clone()),
            (None, None, Some(file)) => Kind::Bearer(file.clone()),
            (None, None, None) if environment(KEY_VARIABLE).is_some() => Kind::ApiKey(None),
            (None, None, None) => Kind::Nobody,
            _ => {
                return refuse(
                    "more than one of `api_key_file`, `username` and `bearer_file` is given: \
                     keep one",
                );
            }
        };
        if options.password_file.is_some() && options.username.is_none() {
            return refuse("`password_file` is given without `username`");
        }
        Ok(Self { kind, environment })
    }

    /// Reads them, now.
    pub(super) fn read(&self) -> Result<Credentials, ElasticError> {
        let variable = |name: &str| (self.environment)(name).map(|text| text.trim().to_owned());
        match &self.kind {
            Kind::Nobody => Ok(Credentials {
                header: None,
                secrets: Vec::new(),
            }),
            Kind::ApiKey(file) => {
                let key = match file {
                    Some(file) => read(file)?,
                    None => variable(KEY_VARIABLE).unwrap_or_default(),
                };
                // `id:key` is what the API answers, and base64 of it what the header takes.
                let encoded = if key.contains(':') {
                    BASE64.encode(&key)
                } else {
                    key.clone()
                };
                let mut secrets = vec![encoded.clone(), key.clone()];
                secrets.extend(key.split_once(':').map(|(_, secret)| secret.to_owned()));
                Credentials::new("ApiKey", &encoded, secrets)
            }
            Kind::Basic(user, file) => {
                let password = match file {
                    Some(file) => read(file)?,
                    None => variable(PASSWORD_VARIABLE).ok_or_else(|| ElasticError::Options {
                        reason: format!(
                            "`username` is given without a password: give `password_file` or set \
                             {PASSWORD_VARIABLE}"
                        ),
                    })?,
                };
                let encoded = BASE64.encode(format!("{user}:{password}"));
                Credentials::new("Basic", &encoded.clone(), vec![encoded, password])
            }
            Kind::Bearer(file) => {
                let token = read(file)?;
                Credentials::new("Bearer", &token.clone(), vec![token])
            }
        }
    }
}

impl Credentials {
    fn new(scheme: &str, text: &str, secrets: Vec<String>) -> Result<Self, ElasticError> {
        if text.is_empty() {
            return refuse("the API key, password or token is empty");
        }
        let Ok(mut header) = HeaderValue::from_str(&format!("{scheme} {text}")) else {
            return refuse("the API key or token holds a character that no header takes");
        };
        header.set_sensitive(true);
        Ok(Self {
            header: Some(header),
            secrets,
        })
    }

    /// A text of the other side with the secrets taken out, should they be in there.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = self.secrets.iter();
        secrets
            .filter(|secret| secret.len() >= SHORTEST_REDACTED)
            .fold(text.to_owned(), |text, secret| {
                text.replace(secret.as_str(), "[redacted]")
            })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

fn read(path: &Path) -> Result<String, ElasticError> {
    let secret = Secret::read(path).map_err(|error| ElasticError::Options {
        reason: error.to_string(),
    })?;
    Ok(secret.expose().to_owned())
}

fn refuse<T>(reason: &str) -> Result<T, ElasticError> {
    Err(ElasticError::Options {
        reason: reason.to_owned(),
    })
}
