//! What the server holds: indices with versions and tombstones, templates, and a log.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::bulk::{Action, Operation, failed};
use super::faults::ElasticHabits;
use super::scroll::Scroll;

/// A document, or what is left of a deleted one.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its version.
    pub version: u64,
    /// The document; `None` once it is deleted.
    pub source: Option<Value>,
    /// Its text as it came; empty if that is what `source` writes.
    pub text: String,
}

impl Entry {
    /// The document as it is answered.
    pub(super) fn answered(&self) -> Option<Box<RawValue>> {
        let source = self.source.as_ref()?;
        let came: Option<Value> = serde_json::from_str(&self.text).ok();
        // What was changed behind everybody's back has no text of its own.
        let text = match came.as_ref() == Some(source) {
            true => self.text.clone(),
            false => source.to_string(),
        };
        RawValue::from_string(text).ok()
    }
}

/// An index or a data stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index {
    /// Its own, different from that of any other index there ever was.
    pub uuid: String,
    /// Is it a data stream, which takes `create` only?
    pub data_stream: bool,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Its mappings: those of its template, what was put, and what was guessed.
    pub fields: Value,
    /// By id.
    pub entries: BTreeMap<String, Entry>,
}

impl Index {
    /// What a search would find, by id.
    pub fn documents(&self) -> BTreeMap<&str, &Value> {
        let live = self.entries.iter();
        live.filter_map(|(id, entry)| Some((id.as_str(), entry.source.as_ref()?)))
            .collect()
    }
}

/// One write that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// `index`, `create` or `delete`.
    pub action: &'static str,
    /// Where.
    pub index: String,
    /// Whose.
    pub id: String,
    /// The version it has now.
    pub version: u64,
    /// The document, null for a delete.
    pub source: Value,
}

/// Everything the server holds.
#[derive(Debug, Default)]
pub struct ElasticStore {
    /// The cluster's number: another one is another cluster.
    pub cluster: u64,
    /// Is it an OpenSearch, which brings no template for `logs-*-*`?
    pub(super) open_search: bool,
    /// Indices made so far.
    made: u64,
    /// By name.
    pub indices: BTreeMap<String, Index>,
    /// By name, as they were put.
    pub component_templates: BTreeMap<String, Value>,
    /// By name, as they were put.
    pub index_templates: BTreeMap<String, Value>,
    /// Every write in the order it was done.
    pub applied: Vec<Applied>,
    /// Walks that have begun.
    pub scrolls: BTreeMap<String, Scroll>,
}

impl ElasticStore {
    /// The documents of an index or behind an alias, by id; none if there is no such index.
    pub fn documents(&self, index: &str) -> BTreeMap<String, Value> {
        let documents = self
            .resolved(index)
            .and_then(|name| self.indices.get(&name));
        let documents = documents.map(Index::documents);
        documents
            .unwrap_or_default()
            .into_iter()
            .map(|(id, source)| (id.to_owned(), source.clone()))
            .collect()
    }

    /// The indices behind a name, an alias or a pattern.
    pub fn behind<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a String, &'a Index)> {
        self.indices.iter().filter(move |(index, held)| {
            matches(name, index) || held.aliases.iter().any(|alias| alias == name)
        })
    }

    /// The index that an index's, a backing index's or a write alias's name means.
    pub(super) fn resolved(&self, name: &str) -> Option<String> {
        if self.indices.contains_key(name) {
            return Some(name.to_owned());
        }
        let stream = name
            .strip_prefix(".ds-")
            .and_then(|name| name.strip_suffix("-000001"));
        if let Some(stream) = stream.filter(|stream| self.indices.contains_key(*stream)) {
            return Some(stream.to_owned());
        }
        let named = |index: &Index| index.aliases.iter().any(|alias| alias == name);
        let mut behind = self.indices.iter().filter(|(_, index)| named(index));
        behind.next_back().map(|(name, _)| name.clone())
    }

    /// Makes an index, or a data stream, as its template has it.
    pub fn make(&mut self, name: &str, aliases: &[&str]) {
        let mut made = self.made(name);
        made.aliases
            .extend(aliases.iter().map(|&alias| alias.to_owned()));
        self.made += 1;
        made.uuid = format!("index-{}", self.made);
        self.indices.insert(name.to_owned(), made);
    }

    /// Does one write; the fields of its item.
    pub(super) fn apply(&mut self, operation: &Operation, habits: &ElasticHabits) -> Value {
        let resolved = self.resolved(&operation.index);
        let is_alias = resolved
            .as_ref()
            .is_some_and(|name| *name != operation.index);
        if operation.require_alias && !is_alias && operation.action != Action::Delete {
            let reason = "[require_alias] request flag is [true] and this is not an alias";
            return failed(404, "index_not_found_exception", reason);
        }
        let name = resolved.unwrap_or_else(|| operation.index.clone());
        if !self.indices.contains_key(&name) {
            let external_delete = operation.action == Action::Delete && operation.version.is_none();
            if !habits.auto_create || external_delete {
                return failed(404, "index_not_found_exception", "no such index");
            }
            self.make(&name, &[]);
        }
        let Some(index) = self.indices.get_mut(&name) else {
            return failed(404, "index_not_found_exception", "no such index");
        };
        if index.data_stream && operation.action != Action::Create {
            return failed(
                400,
                "illegal_argument_exception",
                "only write ops with an op_type of create are allowed in data streams",
            );
        }
        if operation.action != Action::Delete
            && let Some(reason) = mapping_error(operation, habits, index.data_stream)
        {
            return failed(400, "document_parsing_exception", &reason);
        }
        let found = index.entries.get(&operation.id);
        let live = found.is_some_and(|entry| entry.source.is_some());
        let last = found.map_or(0, |entry| entry.version);
        let conflict = match operation.version {
            Some(version) => found.is_some() && last > version,
            None => operation.action == Action::Create && live,
        };
        if conflict {
            let id = &operation.id;
            let reason = format!("[{id}]: version conflict, current version [{last}]");
            return failed(409, "version_conflict_engine_exception", &reason);
        }
        let version = operation.version.unwrap_or(last + 1);
        let source = operation.source.clone();
        let (status, result) = match (operation.action, live) {
            (Action::Delete, false) => (404, "not_found"),
            (Action::Delete, true) => (200, "deleted"),
            (_, false) => (201, "created"),
            (_, true) => (200, "updated"),
        };
        self.applied.push(Applied {
            action: operation.action.name(),
            index: operation.index.clone(),
            id: operation.id.clone(),
            version,
            source: source.clone().unwrap_or_default(),
        });
        if let Some(source) = &source {
            guess(&mut index.fields, source);
        }
        let text = operation.text.clone();
        let entry = Entry {
            version,
            source,
            text,
        };
        index.entries.insert(operation.id.clone(), entry);
        json!({"_version": version, "result": result, "status": status,
               "_shards": {"total": 1, "successful": 1, "failed": 0}})
    }

    /// An index as its template has it. Elasticsearch brings one for `logs-*-*` that makes data
    /// streams.
    fn made(&self, name: &str) -> Index {
        let templates = self.index_templates.values();
        let best = templates
            .filter(|template| patterns(template).any(|pattern| matches(pattern, name)))
            .max_by_key(|template| template.get("priority").and_then(Value::as_u64));
        let Some(template) = best else {
            return Index {
                data_stream: !self.open_search && matches("logs-*-*", name),
                ..Index::default()
            };
        };
        let parts = template.get("composed_of").and_then(Value::as_array);
        let parts = parts.into_iter().flatten().filter_map(Value::as_str);
        let parts = parts.filter_map(|part| self.component_templates.get(part));
        let mut fields = Value::Null;
        for part in parts.chain([template]) {
            if let Some(mappings) = part.pointer("/template/mappings") {
                // A template is taken as it is.
                let _ = merge(&mut fields, mappings);
            }
        }
        Index {
            data_stream: template.get("data_stream").is_some(),
            fields,
            aliases: template
                .pointer("/template/aliases")
                .and_then(Value::as_object)
                .map(|aliases| aliases.keys().cloned().collect())
                .unwrap_or_default(),
            ..Index::default()
        }
    }
}

/// Adds mappings to those of an index; the reason where one cannot be changed.
pub(super) fn merge(held: &mut Value, put: &Value) -> Result<(), String> {
    let (Value::Object(_) | Value::Null, Some(put)) = (&held, put.as_object()) else {
        *held = put.clone();
        return Ok(());
    };
    for (key, put) in put {
        let kept = &mut held[key];
        let fixed = matches!(key.as_str(), "type" | "index" | "doc_values");
        if fixed && !kept.is_null() && kept != put && !put.is_object() {
            return Err(format!(
                "Cannot update parameter [{key}] from [{kept}] to [{put}]"
            ));
        }
        merge(kept, put)?;
    }
    Ok(())
}

/// Adds fields for what a document has, as a server does that was told nothing of them.
#[expect(clippy::indexing_slicing, reason = "mappings are null or an object")]
fn guess(fields: &mut Value, document: &Value) {
    if fields.get("dynamic").is_some_and(|dynamic| dynamic != true) {
        return;
    }
    for (name, value) in document.as_object().into_iter().flatten() {
        let field = &mut fields["properties"][name];
        match value {
            Value::Object(_) => guess(field, value),
            _ if !field.is_null() => {}
            Value::Number(_) => *field = json!({"type": "long"}),
            Value::Bool(_) => *field = json!({"type": "boolean"}),
            _ => *field = json!({"type": "text"}),
        }
    }
}

fn patterns(template: &Value) -> impl Iterator<Item = &str> {
    let patterns = template.get("index_patterns").and_then(Value::as_array);
    patterns.into_iter().flatten().filter_map(Value::as_str)
}

/// Why a document cannot be taken.
fn mapping_error(
    operation: &Operation,
    habits: &ElasticHabits,
    data_stream: bool,
) -> Option<String> {
    let Some(source) = &operation.source else {
        return Some("failed to parse".to_owned());
    };
    if data_stream && source.get("@timestamp").is_none() {
        return Some("data stream timestamp field [@timestamp] is missing".to_owned());
    }
    habits.numbers.iter().find_map(|field| {
        let value = field.split('.').try_fold(source, |at, key| at.get(key))?;
        (!value.is_number()).then(|| {
            format!(
                "failed to parse field [{field}] of type [long] in document with id '{}'",
                operation.id
            )
        })
    })
}

/// Does a name match a pattern whose `*` stand for anything?
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|at| name.get(at..).is_some_and(|name| matches(rest, name)))
        }),
    }
}
