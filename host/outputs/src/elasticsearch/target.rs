//! What is behind the name that documents are written to, and whether it is what `setup` makes.

use std::collections::BTreeMap;

use pipeline::TargetIdentity;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ElasticError;
use super::fields::Fields;
use super::names::{first_index, indices_of};
use super::options::ElasticMode;
use super::output::Core;

/// What is asked of the cluster's state: who it is, and which indices there are under which names.
const FILTER: &str =
    "filter_path=cluster_uuid,metadata.indices.*.settings.index.uuid,metadata.indices.*.aliases";

/// The answer, as far as it is asked for.
#[derive(Deserialize)]
struct Answer {
    cluster_uuid: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    indices: BTreeMap<String, IndexMetadata>,
}

#[derive(Deserialize)]
struct IndexMetadata {
    settings: Settings,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Settings {
    index: IndexSettings,
}

#[derive(Deserialize)]
struct IndexSettings {
    uuid: String,
}

/// What is behind a write alias or a data stream.
pub(super) enum Target {
    /// Nothing: there is no index.
    Nothing,
    /// An index has the name itself.
    Index,
    /// An index that lacks an alias.
    Unnamed {
        /// The index.
        index: String,
        /// The alias.
        alias: String,
    },
    /// Indices, as they should be.
    Found {
        /// The one that takes documents.
        index: String,
        /// What they are.
        identity: TargetIdentity,
    },
}

impl Core {
    /// Asks, in one request, what is behind a name.
    pub(super) async fn look(&self, name: &str) -> Result<Target, ElasticError> {
        let latest = self.names.mode == ElasticMode::Latest;
        let names = if latest {
            format!("{name},{}", indices_of(name))
        } else {
            name.to_owned()
        };
        let path = format!("_cluster/state/metadata/{names}?{FILTER}");
        let answer = self.client.json(Method::GET, &path, None).await?;
        let Answer {
            cluster_uuid,
            metadata,
        } = serde_json::from_value(answer.unwrap_or_default()).map_err(|error| {
            ElasticError::Unreadable {
                reason: format!("the state of the cluster: {error}"),
            }
        })?;
        if metadata.indices.contains_key(name) {
            return Ok(Target::Index);
        }
        let named =
            |index: &IndexMetadata, alias: &str| index.aliases.iter().any(|one| one == alias);
        let mut behind = metadata.indices.iter();
        // The last one is that of the last rollover.
        let newest = match (
            latest,
            behind.clone().rfind(|(_, index)| named(index, name)),
        ) {
            (true, Some(found)) => Some(found),
            (_, _) => behind.next_back(),
        };
        let Some((index, newest)) = newest else {
            return Ok(Target::Nothing);
        };
        let searched = &self.names.searched;
        for alias in [name, searched.as_str()] {
            if latest && !named(newest, alias) {
                return Ok(Target::Unnamed {
                    index: index.clone(),
                    alias: alias.to_owned(),
                });
            }
        }
        let others = metadata.indices.iter().filter(|(other, _)| *other != index);
        Ok(Target::Found {
            index: index.clone(),
            identity: TargetIdentity {
                cluster: cluster_uuid,
                index: newest.settings.index.uuid.clone(),
                earlier: others
                    .map(|(_, other)| other.settings.index.uuid.clone())
                    .collect(),
            },
        })
    }

    /// Is there anything to delete from? `true` where the credentials may not ask.
    pub(super) async fn is_there(&self, name: &str) -> Result<bool, ElasticError> {
        match self.look(name).await {
            Ok(target) => Ok(!matches!(target, Target::Nothing)),
            Err(error) if cannot_be_asked(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Makes a target ready for documents of a mapping: finds the index, or makes it if it is
    /// missing and its templates are there. `known`: what was found before, an index that is not
    /// looked into again. `None`: the credentials may not ask.
    pub(super) async fn ready(
        &self,
        mapping: &str,
        known: Option<&Option<String>>,
    ) -> Result<Option<TargetIdentity>, ElasticError> {
        let name = self.names.of_mapping(mapping)?;
        let managed = self.options.require_templates;
        let mut target = match self.look(&name).await {
            Err(error) if cannot_be_asked(&error) => {
                if known.is_none() {
                    tracing::warn!(
                        target = name,
                        %error,
                        "the credentials may not ask which index this is (`monitor`): a deleted \
                         or replaced one will not be noticed"
                    );
                }
                if managed && known.is_none() {
                    self.template(&name, mapping)
                        .await
                        .or_else(unless_forbidden)?;
                }
                return Ok(None);
            }
            target => target?,
        };
        if managed && matches!(target, Target::Nothing) {
            self.template(&name, mapping)
                .await
                .or_else(unless_forbidden)?;
            self.make(&name).await?;
            tracing::warn!(target = name, "made the missing index from its template");
            target = self.look(&name).await?;
        }
        match target {
            Target::Nothing if managed => Err(ElasticError::NoIndex { index: name }),
            Target::Index if managed => Err(ElasticError::NotAnAlias { name }),
            Target::Unnamed { index, alias } if managed => {
                Err(ElasticError::NoAlias { index, alias })
            }
            Target::Nothing | Target::Index | Target::Unnamed { .. } => Ok(None),
            Target::Found { index, identity } => {
                let seen = known.and_then(Option::as_ref);
                if managed && seen != Some(&identity.index) {
                    self.template(&name, mapping)
                        .await
                        .or_else(unless_forbidden)?;
                    let differing = self.differing(mapping, &index).await;
                    let differing = differing.or_else(|error| match error {
                        ElasticError::Forbidden { .. } => Ok(None),
                        error => Err(error),
                    })?;
                    // A data stream holds the documents of every mapping that was active, so their
                    // types may differ: `check` and `setup` report it, and writing goes on.
                    let differing = differing.filter(|_| self.names.mode == ElasticMode::Latest);
                    if let Some(error) =
                        differing.and_then(|fields| fields.wrong(self.names.mode, &index))
                    {
                        return Err(error);
                    }
                }
                Ok(Some(identity))
            }
        }
    }

    /// Makes an index behind its write alias, or a data stream, from the templates.
    async fn make(&self, name: &str) -> Result<(), ElasticError> {
        let (path, body) = self.made(name);
        match self.client.json(Method::PUT, &path, body.as_ref()).await {
            // Another instance was faster, if it is there now.
            Err(ElasticError::Refused { status: 400, .. })
                if matches!(self.look(name).await, Ok(Target::Found { .. })) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// The request that makes an index behind its write alias, or a data stream.
    pub(super) fn made(&self, name: &str) -> (String, Option<Value>) {
        match self.names.mode {
            ElasticMode::Latest => {
                let body = json!({"aliases": {name: {"is_write_index": true}}});
                (first_index(name), Some(body))
            }
            ElasticMode::Append => (format!("_data_stream/{name}"), None),
        }
    }

    /// Where the fields of an index are not those of its mapping's component template.
    pub(super) async fn differing(
        &self,
        mapping: &str,
        index: &str,
    ) -> Result<Option<Fields>, ElasticError> {
        let path = format!("_component_template/misp-ecs-{mapping}");
        let template = self.client.json(Method::GET, &path, None).await?;
        let at = "/component_templates/0/component_template/template/mappings";
        let wanted = template.as_ref().and_then(|found| found.pointer(at));
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        self.differing_from(wanted, index).await.map(Some)
    }

    /// Where the fields of an index are not these.
    pub(super) async fn differing_from(
        &self,
        wanted: &Value,
        index: &str,
    ) -> Result<Fields, ElasticError> {
        let path = format!("{index}/_mapping");
        let found = self.client.json(Method::GET, &path, None).await?;
        let found = found
            .as_ref()
            .and_then(|found| found.get(index)?.get("mappings"));
        Ok(Fields::compare(wanted, found.unwrap_or(&Value::Null)))
    }
}

/// 403, or a service that has no such question.
fn cannot_be_asked(error: &ElasticError) -> bool {
    matches!(
        error,
        ElasticError::Forbidden { .. } | ElasticError::Refused { .. }
    )
}

fn unless_forbidden(error: ElasticError) -> Result<(), ElasticError> {
    match error {
        ElasticError::Forbidden { .. } => Ok(()),
        error => Err(error),
    }
}
