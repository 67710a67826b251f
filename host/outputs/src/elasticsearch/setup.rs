//! What has to be on the server before documents come: `misp-ecs setup elasticsearch`.

use std::fmt;

use pipeline::OutputError;
use reqwest::Method;
use serde_json::{Value, json};

use super::check::{OPEN_SEARCH, Server};
use super::encode::hash;
use super::error::ElasticError;
use super::names::indices_of;
use super::options::ElasticMode;
use super::output::{Core, ElasticsearchOutput};
use super::target::Target;

/// Above that of Elasticsearch's own template for `logs-*-*` (100) and those of its integrations
/// (200).
const PRIORITY: u32 = 500;
/// How long the version of a deleted document is kept (`index.gc_deletes`, 60 s by default): no
/// write is retried after so long a time without being newly made.
const KEEP_DELETES: &str = "2h";
/// Half the size of the default codec for documents of these mappings.
const CODEC: &str = "best_compression";
const OURS: &str = "misp-ecs";
/// What the component templates of the mappings say of themselves.
const CATALOGUE: &str = "Fields of misp-ecs";

/// How `setup` works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetupMode {
    /// Show what would be done, and change nothing. Needs no server.
    pub dry_run: bool,
    /// Delete an index that cannot be put right, and make it anew.
    pub recreate: bool,
}

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

/// One request, for a template, an index or an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupStep {
    /// `PUT`, `POST` or `DELETE`.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// Its body.
    pub body: Option<Value>,
    /// What it does.
    pub act: SetupAct,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupAct {
    /// Makes something new.
    Create,
    /// Puts something of ours in place of an earlier one, or adds to it.
    Replace,
    /// Nothing: it is there as it should be.
    Keep,
    /// Deletes an index.
    Delete,
}

impl SetupStep {
    fn put(path: String, body: Value, act: SetupAct) -> Self {
        Self {
            method: Method::PUT,
            path,
            body: Some(body),
            act,
        }
    }
}

impl fmt::Display for SetupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.product, self.version)?;
        for step in &self.steps {
            let act = match (self.dry_run, step.act) {
                (_, SetupAct::Keep) => "unchanged",
                (false, SetupAct::Create) => "created",
                (false, SetupAct::Replace) => "replaced",
                (false, SetupAct::Delete) => "deleted",
                (true, SetupAct::Create) => "would create",
                (true, SetupAct::Replace) => "would replace",
                (true, SetupAct::Delete) => "would delete",
            };
            writeln!(f, "{act} {}", step.path)?;
            if self.dry_run && step.act != SetupAct::Keep {
                writeln!(f, "{} {}", step.method, step.path)?;
                if let Some(body) = &step.body {
                    writeln!(f, "{body:#}")?;
                }
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl ElasticsearchOutput {
    /// Makes what documents of one mapping need: templates, and the index behind its write alias or
    /// the data stream. `component_template` is what `mapping fields --format template` prints,
    /// `_meta.mapping` in it names the mapping. What is there already is left as it is.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, is too old, has a template of such a name
    /// that is not ours, or an index that has to be deleted first: nothing is changed then.
    pub async fn setup(
        &self,
        component_template: &Value,
        mode: SetupMode,
    ) -> Result<SetupReport, OutputError> {
        let core = self.core().map_err(OutputError::new)?;
        core.setup(component_template, mode)
            .await
            .map_err(OutputError::new)
    }
}

impl Core {
    async fn setup(&self, component: &Value, mode: SetupMode) -> Result<SetupReport, ElasticError> {
        let mut notes = Vec::new();
        let (server, steps) = match self.server().await {
            Ok(server) => {
                let steps = self.steps(component, &server, mode, &mut notes).await?;
                (server, steps)
            }
            Err(error) if mode.dry_run && error.is_passing() => {
                notes.push(format!(
                    "the server was not asked, so all of it is shown as for Elasticsearch: {error}"
                ));
                let server = Server::unknown();
                let steps = self.steps_unasked(component, &server, &mut notes)?;
                (server, steps)
            }
            Err(error) => return Err(error),
        };
        if !mode.dry_run {
            for step in steps.iter().filter(|step| step.act != SetupAct::Keep) {
                let request = self
                    .client
                    .json(step.method.clone(), &step.path, step.body.as_ref());
                if request.await?.is_none() && step.act != SetupAct::Delete {
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
            dry_run: mode.dry_run,
            steps,
            notes,
        })
    }

    /// What is to be done, given what is there.
    async fn steps(
        &self,
        component: &Value,
        server: &Server,
        mode: SetupMode,
        notes: &mut Vec<String>,
    ) -> Result<Vec<SetupStep>, ElasticError> {
        let (mapping, fields) = parts_of(component)?;
        let mut steps = Vec::new();
        for (path, body) in self.templates(component, server, notes)? {
            let act = self.act_of_template(&path, &body).await?;
            steps.push(SetupStep::put(path, body, act));
        }
        let name = self.names.of_mapping(mapping)?;
        let fields = server.taken(fields.get("mappings").unwrap_or(&Value::Null));
        let target = self.look(&name).await?;
        let make = self.step_that_makes(&name);
        match target {
            Target::Nothing => steps.push(make),
            Target::Index if mode.recreate => {
                steps.push(Self::step_that_deletes(&name));
                steps.push(make);
            }
            Target::Index => return Err(ElasticError::NotAnAlias { name }),
            Target::Found { index, .. } | Target::Unnamed { index, .. } => {
                let differing = self.differing_from(&fields, &index).await?;
                match differing.wrong(self.names.mode, &index) {
                    Some(_) if self.names.mode == ElasticMode::Append => {
                        steps.push(SetupStep {
                            method: Method::POST,
                            path: format!("{name}/_rollover"),
                            body: None,
                            act: SetupAct::Replace,
                        });
                        return Ok(steps);
                    }
                    Some(_) if mode.recreate => {
                        steps.push(Self::step_that_deletes(&index));
                        steps.push(make);
                        return Ok(steps);
                    }
                    Some(error) => return Err(error),
                    None => {}
                }
                let act = match differing.missing(&index) {
                    // A data stream has them from its next rollover on.
                    Some(_) if self.names.mode == ElasticMode::Latest => SetupAct::Replace,
                    _ => SetupAct::Keep,
                };
                steps.push(SetupStep::put(format!("{index}/_mapping"), fields, act));
                steps.extend(self.step_that_names(&name, &index).await?);
            }
        }
        Ok(steps)
    }

    /// What is to be done where nothing is there.
    fn steps_unasked(
        &self,
        component: &Value,
        server: &Server,
        notes: &mut Vec<String>,
    ) -> Result<Vec<SetupStep>, ElasticError> {
        let (mapping, _) = parts_of(component)?;
        let templates = self.templates(component, server, notes)?.into_iter();
        let mut steps: Vec<SetupStep> = templates
            .map(|(path, body)| SetupStep::put(path, body, SetupAct::Create))
            .collect();
        steps.push(self.step_that_makes(&self.names.of_mapping(mapping)?));
        Ok(steps)
    }

    fn step_that_makes(&self, name: &str) -> SetupStep {
        let (path, body) = self.made(name);
        SetupStep {
            method: Method::PUT,
            path,
            body,
            act: SetupAct::Create,
        }
    }

    fn step_that_deletes(index: &str) -> SetupStep {
        SetupStep {
            method: Method::DELETE,
            path: index.to_owned(),
            body: None,
            act: SetupAct::Delete,
        }
    }

    /// Adds the aliases that an index lacks.
    async fn step_that_names(
        &self,
        name: &str,
        index: &str,
    ) -> Result<Option<SetupStep>, ElasticError> {
        let Target::Unnamed { .. } = self.look(name).await? else {
            return Ok(None);
        };
        let searched = &self.names.searched;
        let actions = json!([
            {"add": {"index": index, "alias": name, "is_write_index": true}},
            {"add": {"index": index, "alias": searched}},
        ]);
        Ok(Some(SetupStep {
            method: Method::POST,
            path: "_aliases".to_owned(),
            body: Some(json!({ "actions": actions })),
            act: SetupAct::Create,
        }))
    }

    /// The templates by path; what to know of them is noted.
    fn templates(
        &self,
        component: &Value,
        server: &Server,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(String, Value)>, ElasticError> {
        let (mapping, inside) = parts_of(component)?;
        let index = self.names.of_mapping(mapping)?;
        let name = format!("misp-ecs-{mapping}");
        let mut meta = component.get("_meta").cloned().unwrap_or_default();
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("managed_by".to_owned(), OURS.into());
        }
        let part = json!({"template": server.taken(inside), "_meta": meta});
        // The write alias has the name itself.
        let pattern = match self.names.mode {
            ElasticMode::Latest => indices_of(&index),
            ElasticMode::Append => index.clone(),
        };
        let mut whole = json!({
            "index_patterns": [pattern],
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
            (format!("_component_template/{name}"), with_hash(part)),
            (format!("_index_template/{index}"), with_hash(whole)),
        ])
    }

    fn inside(&self, server: &Server, notes: &mut Vec<String>) -> Value {
        if self.names.mode == ElasticMode::Latest {
            let searched = &self.names.searched;
            return json!({
                "settings": {"index": {"gc_deletes": KEEP_DELETES, "codec": CODEC}},
                "aliases": { searched: {} },
            });
        }
        notes.push("the stream has the new fields from its next rollover on".to_owned());
        // A data stream's time must be a time: the server refuses a template that lets it be none.
        let time = json!({"type": "date", "ignore_malformed": false});
        let mut inside = json!({
            "settings": {"index": {"codec": CODEC}},
            "mappings": {"properties": {"@timestamp": time}},
        });
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

    /// What putting a template does. An error if there is one of somebody else's.
    async fn act_of_template(&self, path: &str, wanted: &Value) -> Result<SetupAct, ElasticError> {
        let Some(found) = self.client.json(Method::GET, path, None).await? else {
            return Ok(SetupAct::Create);
        };
        let template = [
            "/component_templates/0/component_template",
            "/index_templates/0/index_template",
        ]
        .iter()
        .find_map(|at| found.pointer(at));
        let template = template.unwrap_or(&Value::Null);
        let text = |key: &str| template.get("_meta")?.get(key)?.as_str();
        if text("managed_by") != Some(OURS) && text("description") != Some(CATALOGUE) {
            return Err(ElasticError::ForeignTemplate {
                name: path.to_owned(),
            });
        }
        Ok(if holds(template, wanted) {
            SetupAct::Keep
        } else {
            SetupAct::Replace
        })
    }
}

/// The mapping's name and the `template` of its component template.
fn parts_of(component: &Value) -> Result<(&str, &Value), ElasticError> {
    let mapping = component.pointer("/_meta/mapping").and_then(Value::as_str);
    mapping
        .zip(component.get("template"))
        .ok_or_else(|| ElasticError::Options {
            reason: "this is not a component template of a mapping: `_meta.mapping` or `template` \
                     is missing"
                .to_owned(),
        })
}

/// With a hash of itself, so that a template from which something was taken out is not taken for
/// the same.
fn with_hash(mut template: Value) -> Value {
    let hash = hash(template.to_string().as_bytes());
    if let Some(meta) = template.get_mut("_meta").and_then(Value::as_object_mut) {
        meta.insert("hash".to_owned(), format!("{hash:016x}").into());
    }
    template
}

/// Does `found` say everything that `wanted` says? Servers add members, and write numbers and
/// booleans as texts.
fn holds(found: &Value, wanted: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| holds(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(one, other)| holds(one, other))
        }
        (found, wanted) => text(found) == text(wanted),
    }
}

impl Server {
    /// A catalogue's fields as this server takes them.
    fn taken(&self, fields: &Value) -> Value {
        let mut fields = fields.clone();
        if self.product == OPEN_SEARCH {
            for_open_search(&mut fields);
        }
        fields
    }
}

/// OpenSearch takes a `constant_keyword` with its value only, Elasticsearch learns it from the
/// first document: `keyword` finds the same. A `wildcard` can be sorted and aggregated by on
/// Elasticsearch, on OpenSearch only if `doc_values` says so.
fn for_open_search(at: &mut Value) {
    if let Some(fields) = at.as_object_mut() {
        let kind = fields.get("type").and_then(Value::as_str);
        if kind == Some("constant_keyword") && !fields.contains_key("value") {
            fields.insert("type".to_owned(), "keyword".into());
        } else if kind == Some("wildcard") {
            fields.insert("doc_values".to_owned(), true.into());
        }
        fields.values_mut().for_each(for_open_search);
    }
}
