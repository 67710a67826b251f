//! `_bulk`: reads the lines, writes what they say, answers item by item.

use serde_json::{Value, json};

use super::faults::{ElasticFault, ElasticHabits};
use super::store::ElasticStore;

/// What a bulk may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Index,
    Create,
    Delete,
}

impl Action {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Delete => "delete",
        }
    }
}

/// One action with its document.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) action: Action,
    pub(super) index: String,
    pub(super) id: String,
    /// The external version (`external_gte`); `None` for the server's own count.
    pub(super) version: Option<u64>,
    /// `None`: no JSON object.
    pub(super) source: Option<Value>,
    /// Its text.
    pub(super) text: String,
    /// Is a put refused if `index` is not an alias?
    pub(super) require_alias: bool,
}

/// The actions of a body.
pub(super) fn operations(body: &[u8]) -> Result<Vec<Operation>, String> {
    if !body.ends_with(b"\n") {
        return Err("The bulk request must be terminated by a newline [\\n]".to_owned());
    }
    let mut lines = body.split(|byte| *byte == b'\n');
    let mut operations = Vec::new();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let header: Value = serde_json::from_slice(line)
            .map_err(|_| format!("Malformed action/metadata line [{}]", operations.len() + 1))?;
        let (action, fields) = [Action::Index, Action::Create, Action::Delete]
            .into_iter()
            .find_map(|action| Some((action, header.get(action.name())?)))
            .ok_or_else(|| "Malformed action/metadata line, unknown action".to_owned())?;
        let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
        let version = match (fields.get("version_type").and_then(Value::as_str), action) {
            (None, _) => None,
            (Some("external_gte"), Action::Index | Action::Delete) => Some(
                fields
                    .get("version")
                    .and_then(Value::as_u64)
                    .ok_or("no version")?,
            ),
            (Some(other), _) => return Err(format!("version type [{other}] is not taken here")),
        };
        let id = text("_id").ok_or("an action without an id")?;
        if id.len() > 512 {
            return Err(format!(
                "id is too long, must be no longer than 512 bytes but was: {}",
                id.len()
            ));
        }
        let (source, written) = match action {
            Action::Delete => (None, String::new()),
            _ => {
                let line = lines.next().ok_or("an action without its source")?;
                let source = serde_json::from_slice(line).ok().filter(Value::is_object);
                (source, String::from_utf8_lossy(line).into_owned())
            }
        };
        operations.push(Operation {
            action,
            index: text("_index").ok_or("an action without an index")?,
            id,
            version,
            source,
            text: written,
            require_alias: false,
        });
    }
    Ok(operations)
}

/// Writes what a bulk says; the items of its answer.
pub(super) fn write(
    store: &mut ElasticStore,
    habits: &ElasticHabits,
    operations: &[Operation],
    fault: &ElasticFault,
) -> Vec<Value> {
    operations
        .iter()
        .enumerate()
        .map(|(position, operation)| {
            let fields = match fault.of_item(position) {
                Some((status, done)) => {
                    if done {
                        store.apply(operation, habits);
                    }
                    failed(status, kind_of(status), "on purpose")
                }
                None => store.apply(operation, habits),
            };
            let mut item = json!({"_index": operation.index, "_id": operation.id});
            if let (Some(item), Value::Object(fields)) = (item.as_object_mut(), fields) {
                item.extend(fields);
            }
            json!({ operation.action.name(): item })
        })
        .collect()
}

/// The fields of an item that failed.
pub(super) fn failed(status: u16, kind: &str, reason: &str) -> Value {
    json!({"status": status, "error": {"type": kind, "reason": reason}})
}

fn kind_of(status: u16) -> &'static str {
    match status {
        400 => "document_parsing_exception",
        403 => "security_exception",
        409 => "version_conflict_engine_exception",
        429 => "es_rejected_execution_exception",
        503 => "unavailable_shards_exception",
        _ => "made_up_exception",
    }
}
