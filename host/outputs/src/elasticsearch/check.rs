//! What `check` asks: is it a server we know, are we let in, are the templates there.

use reqwest::Method;
use serde_json::{Value, json};

use super::error::ElasticError;
use super::options::ElasticMode;
use super::output::Core;
use super::target::Target;

pub(super) const OPEN_SEARCH: &str = "OpenSearch";

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) product: &'static str,
    pub(super) version: String,
    numbers: (u32, u32),
    serverless: bool,
}

impl Server {
    /// Reads the answer of `GET /`. An OpenSearch that is told to pass for Elasticsearch 7.10.2
    /// still names its distribution.
    fn read(root: &Value) -> Result<Self, ElasticError> {
        let text = |at: &str| root.pointer(at).and_then(Value::as_str);
        let Some(version) = text("/version/number") else {
            let reason = "it names no version".to_owned();
            return Err(ElasticError::Unreadable { reason });
        };
        let open_search = text("/version/distribution") == Some("opensearch");
        let mut numbers = version.split(['.', '-']).map(str::parse);
        let mut number = || numbers.next().and_then(Result::ok).unwrap_or(0);
        let numbers = (number(), number());
        let server = Self {
            product: if open_search {
                OPEN_SEARCH
            } else {
                "Elasticsearch"
            },
            version: version.to_owned(),
            numbers,
            serverless: text("/version/build_flavor") == Some("serverless"),
        };
        let (least, passes) = if open_search {
            (2, numbers == (7, 10))
        } else {
            (8, false)
        };
        if numbers.0 < least && !passes {
            return Err(ElasticError::Version {
                product: server.product,
                version: server.version,
            });
        }
        Ok(server)
    }

    /// A server that was not asked.
    pub(super) fn unknown() -> Self {
        Self {
            product: "Elasticsearch",
            version: "(not asked)".to_owned(),
            numbers: (9, 0),
            serverless: false,
        }
    }

    /// Has it lifecycles of data streams in its templates? Elasticsearch has them for use since
    /// 8.14.
    pub(super) fn has_lifecycle(&self) -> bool {
        self.product == "Elasticsearch" && (self.serverless || self.numbers >= (8, 14))
    }
}

impl Core {
    /// Asks who answers.
    pub(super) async fn server(&self) -> Result<Server, ElasticError> {
        match self.client.json(Method::GET, "", None).await? {
            Some(root) => Server::read(&root),
            None => Err(ElasticError::Refused {
                status: 404,
                reason: "there is nothing at this address".to_owned(),
            }),
        }
    }

    pub(super) async fn check(&self) -> Result<(), ElasticError> {
        match self.server().await {
            Ok(server) => tracing::debug!(product = server.product, version = server.version),
            // Enough to write with, if they are known at all.
            Err(ElasticError::Forbidden { .. }) => {
                let path = "_security/_authenticate";
                self.client.json(Method::GET, path, None).await?;
                tracing::warn!("the credentials may not ask for the server's version (`monitor`)");
            }
            Err(error) => return Err(error),
        }
        if !self.options.require_templates {
            return Ok(());
        }
        match self.check_targets().await {
            Err(ElasticError::Forbidden { .. }) => {
                tracing::warn!("the credentials may not look at templates and indices");
                Ok(())
            }
            checked => checked,
        }
    }

    /// Is there a template, and is what was made from each as it says? Which mapping comes is not
    /// known here.
    async fn check_targets(&self) -> Result<(), ElasticError> {
        let pattern = match self.names.mode {
            ElasticMode::Latest => format!("{}-*", self.names.searched),
            ElasticMode::Append => self.names.searched.clone(),
        };
        let path = format!("_index_template/{pattern}");
        let found = self.client.json(Method::GET, &path, None).await?;
        let templates = found
            .as_ref()
            .and_then(|found| found.get("index_templates")?.as_array());
        let mut is_any = false;
        let mut missing = None;
        for template in templates.into_iter().flatten() {
            is_any = true;
            let mapping = template.pointer("/index_template/_meta/mapping");
            let Some(mapping) = mapping.and_then(Value::as_str) else {
                continue;
            };
            let name = self.names.of_mapping(mapping)?;
            match self.look(&name).await? {
                Target::Index => return Err(ElasticError::NotAnAlias { name }),
                Target::Unnamed { index, alias } => {
                    return Err(ElasticError::NoAlias { index, alias });
                }
                // The host makes it from its template.
                Target::Nothing => {}
                Target::Found { index, .. } => {
                    let fields = self.differing(mapping, &index).await?.unwrap_or_default();
                    if let Some(error) = fields.wrong(self.names.mode, &index) {
                        return Err(error);
                    }
                    missing = missing.or_else(|| fields.missing(&index));
                }
            }
        }
        match missing {
            // A data stream has them from its next rollover on.
            Some(error) if self.names.mode == ElasticMode::Latest => Err(error),
            _ if !is_any => Err(ElasticError::NoTemplate {
                name: pattern,
                mapping: None,
            }),
            _ => Ok(()),
        }
    }
}

impl Core {
    /// How many documents of those that are there say that they are older than 30 days
    /// (`@timestamp`): Elastic's indicator match rules do not look at these.
    pub(super) async fn old_indicators(&self) -> Result<(u64, u64), ElasticError> {
        let old = json!({"query": {"range": {"@timestamp": {"lt": "now-30d/d"}}}});
        let all = json!({"query": {"match_all": {}}});
        Ok((self.count(&old).await?, self.count(&all).await?))
    }

    async fn count(&self, query: &Value) -> Result<u64, ElasticError> {
        let path = format!("{}/_count?ignore_unavailable=true", self.names.searched);
        let counted = self.client.json(Method::POST, &path, Some(query)).await?;
        // 404: there is nothing yet.
        let count = counted.map_or(Some(0), |counted| counted.get("count")?.as_u64());
        count.ok_or_else(|| ElasticError::Unreadable {
            reason: "there is no count in it".to_owned(),
        })
    }

    pub(super) async fn advice(&self) -> Result<Vec<String>, ElasticError> {
        let (old, all) = self.old_indicators().await?;
        if old == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "{old} of {all} documents have an @timestamp of more than 30 days ago, which Elastic's \
             prebuilt indicator match rules do not look at; `mapping.settings: {{timestamp: \
             publish}}` makes it the last publication of the event, `observed` the time of \
             mapping (ecs-9); then run `misp-ecs reprocess --all`"
        )])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_products_are_known_by_their_own_word() {
        for (root, product, lifecycle) in [
            (
                json!({"version": {"number": "8.14.0"}}),
                "Elasticsearch",
                true,
            ),
            (
                json!({"version": {"number": "8.13.4"}}),
                "Elasticsearch",
                false,
            ),
            (
                json!({"version": {"number": "9.0.0-SNAPSHOT"}}),
                "Elasticsearch",
                true,
            ),
            (
                json!({"version": {"number": "8.11.0", "build_flavor": "serverless"}}),
                "Elasticsearch",
                true,
            ),
            (
                json!({"version": {"number": "2.19.6", "distribution": "opensearch"}}),
                "OpenSearch",
                false,
            ),
            (
                json!({"version": {"number": "7.10.2", "distribution": "opensearch"}}),
                "OpenSearch",
                false,
            ),
        ] {
            let server = Server::read(&root).unwrap();
            assert_eq!(
                (server.product, server.has_lifecycle()),
                (product, lifecycle)
            );
        }
        for old in [
            json!({"version": {"number": "7.17.9"}}),
            json!({"version": {"number": "1.3.0", "distribution": "opensearch"}}),
            json!({"version": "2.5"}),
            json!([]),
        ] {
            Server::read(&old).unwrap_err();
        }
    }
}
