//! What has to be on the server before documents come: `misp-ecs setup elasticsearch`.

use std::fmt;

use pipeline::OutputError;
use reqwest::Method;
use serde_json::{Value, json};

use super::check::{OPEN_SEARCH, Server};
use super::error::ElasticError;
use super::options::ElasticMode;
use super::output::{Core, ElasticsearchOutput};

/// Above that of Elasticsearch's own template for `logs-*-*` (100) and those of its integrations
/// (200).
const PRIORITY: u32 = 500;
/// How long the version of a deleted document is kept (`index.gc_deletes`, 60 s by default): no
/// write is retried after so long a time without being newly made.
const KEEP_DELETES: &str = "2h";
const OURS: &str = "misp-ecs";
/// What the component templates of the mappings say of themselves.
const CATALOGUE: &str = "Fields of misp-ecs";

/// What `setup` did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupReport {
    /// `Elasticsearch` or `OpenSearch`.
    pub product: &'static str,
    /// The server's version.
    pub version: String,
    /// Was nothing changed?
    pub dry_run: bool,
    /// In the order they were, or would be, done.
    pub steps: Vec<SetupStep>,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// One template, or the fields of an index that is there, that is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupStep {
    /// The path of the `PUT`.
    pub path: String,
    /// Its body.
    pub body: Value,
    /// Is there one of ours already, which this one replaces, or an index to add fields to?
    pub replaces: bool,
}

impl fmt::Display for SetupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.product, self.version)?;
        for step in &self.steps {
            let act = match (self.dry_run, step.replaces) {
                (false, false) => "created",
                (false, true) => "replaced",
                (true, false) => "would create",
                (true, true) => "would replace",
            };
            writeln!(f, "{act} {}", step.path)?;
            if self.dry_run {
                writeln!(f, "PUT {}\n{:#}", step.path, step.body)?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl ElasticsearchOutput {
    /// Puts the templates for documents of one mapping: `component_template` is what `mapping
    /// fields --format template` prints, `_meta.mapping` in it names the mapping. The same again
    /// changes nothing; `dry_run` changes nothing at all.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, is too old, or has a template of such a name
    /// that is not ours: nothing is changed then.
    pub async fn setup(
        &self,
        component_template: &Value,
        dry_run: bool,
    ) -> Result<SetupReport, OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        core.setup(component_template, dry_run)
            .await
            .map_err(OutputError::new)
    }
}

impl Core {
    async fn setup(&self, component: &Value, dry_run: bool) -> Result<SetupReport, ElasticError> {
        let server = self.server().await?;
        let mut notes = Vec::new();
        let wanted = self.templates(component, &server, &mut notes)?;
        let mut steps = Vec::with_capacity(wanted.len());
        for (path, body) in wanted {
            let replaces = self.ours(&path).await?;
            steps.push(SetupStep {
                path,
                body,
                replaces,
            });
        }
        steps.extend(self.fields_of_index(component, &server).await?);
        if !dry_run {
            for step in &steps {
                let put = self.client.json(Method::PUT, &step.path, Some(&step.body));
                if put.await?.is_none() {
                    return Err(ElasticError::Refused {
                        status: 404,
                        reason: format!("{} is not known here", step.path),
                    });
                }
            }
        }
        Ok(SetupReport {
            product: server.product,
            version: server.version,
            dry_run,
            steps,
            notes,
        })
    }

    /// The templates by path; what to know of them is noted.
    fn templates(
        &self,
        component: &Value,
        server: &Server,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(String, Value)>, ElasticError> {
        let mapping = component.pointer("/_meta/mapping").and_then(Value::as_str);
        let (Some(mapping), Some(inside)) = (mapping, component.get("template")) else {
            return Err(ElasticError::Options {
                reason: "this is no component template of a mapping: `_meta.mapping` or \
                         `template` is missing"
                    .to_owned(),
            });
        };
        let index = self.names.of_mapping(mapping)?;
        let name = format!("misp-ecs-{mapping}");
        let mut meta = component.get("_meta").cloned().unwrap_or_default();
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("managed_by".to_owned(), OURS.into());
        }
        let part = json!({"template": server.taken(inside), "_meta": meta});
        let mut whole = json!({
            "index_patterns": [index],
            "priority": PRIORITY,
            "composed_of": [name],
            "template": self.inside(server, notes),
            "_meta": {
                "description": "Where misp-ecs puts its documents",
                "managed_by": OURS,
                "mapping": mapping,
            },
        });
        if let (ElasticMode::Append, Some(whole)) = (self.names.mode, whole.as_object_mut()) {
            whole.insert("data_stream".to_owned(), json!({}));
        }
        Ok(vec![
            (format!("_component_template/{name}"), part),
            (format!("_index_template/{index}"), whole),
        ])
    }

    fn inside(&self, server: &Server, notes: &mut Vec<String>) -> Value {
        if self.names.mode == ElasticMode::Latest {
            let searched = &self.names.searched;
            return json!({
                "settings": {"index": {"gc_deletes": KEEP_DELETES}},
                "aliases": { searched: {} },
            });
        }
        notes.push("the stream has the new fields from its next rollover on".to_owned());
        // A data stream's time must be a time: the server refuses a template that lets it be none.
        let time = json!({"type": "date", "ignore_malformed": false});
        let mut inside = json!({"mappings": {"properties": {"@timestamp": time}}});
        if server.has_lifecycle() {
            let kept = self.options.retention.get().as_secs();
            let lifecycle = match kept {
                0 => json!({}),
                kept => json!({"data_retention": format!("{kept}s")}),
            };
            if let Some(inside) = inside.as_object_mut() {
                inside.insert("lifecycle".to_owned(), lifecycle);
            }
        } else {
            let (product, version) = (server.product, &server.version);
            notes.push(format!(
                "{product} {version} has no lifecycle of data streams: give the stream a policy \
                 of yours (ISM, ILM) that rolls it over and deletes what is old"
            ));
        }
        inside
    }

    /// A template is for indices to come: one that is there gets its new fields by itself. What
    /// it has keeps its type, or the server refuses.
    async fn fields_of_index(
        &self,
        component: &Value,
        server: &Server,
    ) -> Result<Option<SetupStep>, ElasticError> {
        let mapping = component.pointer("/_meta/mapping").and_then(Value::as_str);
        let fields = component.pointer("/template/mappings");
        let (ElasticMode::Latest, Some(mapping), Some(fields)) = (self.names.mode, mapping, fields)
        else {
            return Ok(None);
        };
        let path = format!("{}/_mapping", self.names.of_mapping(mapping)?);
        if self.client.json(Method::GET, &path, None).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(SetupStep {
            path,
            body: server.taken(fields),
            replaces: true,
        }))
    }

    /// Is there a template of ours? An error if there is one of somebody else's.
    async fn ours(&self, path: &str) -> Result<bool, ElasticError> {
        let Some(found) = self.client.json(Method::GET, path, None).await? else {
            return Ok(false);
        };
        let meta = [
            "/component_templates/0/component_template/_meta",
            "/index_templates/0/index_template/_meta",
        ]
        .iter()
        .find_map(|at| found.pointer(at));
        let text = |key: &str| meta.and_then(|meta| meta.get(key)).and_then(Value::as_str);
        if text("managed_by") == Some(OURS) || text("description") == Some(CATALOGUE) {
            return Ok(true);
        }
        Err(ElasticError::ForeignTemplate {
            name: path.to_owned(),
        })
    }
}

impl Server {
    /// A catalogue's fields as this server takes them.
    fn taken(&self, fields: &Value) -> Value {
        let mut fields = fields.clone();
        if self.product == OPEN_SEARCH {
            without_constants(&mut fields);
        }
        fields
    }
}

/// OpenSearch takes a `constant_keyword` with its value only, Elasticsearch learns it from the
/// first document: `keyword` finds the same.
fn without_constants(at: &mut Value) {
    if let Some(fields) = at.as_object_mut() {
        let learns = fields.get("type").and_then(Value::as_str) == Some("constant_keyword")
            && !fields.contains_key("value");
        if learns {
            fields.insert("type".to_owned(), "keyword".into());
        }
        fields.values_mut().for_each(without_constants);
    }
}
