//! What a bulk's answer says of each action.

use pipeline::Verdict;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use super::client::Client;
use super::encode::{Action, Step};
use super::error::ElasticError;

/// An answer, as far as it is asked for (`filter_path`).
#[derive(Deserialize)]
struct Reply {
    items: Vec<BTreeMap<String, Item>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "_id")]
    id: Option<String>,
    status: u16,
    error: Option<Failure>,
}

/// Elasticsearch writes an object, some proxies and old versions a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Failure {
    Full {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(default)]
        reason: Option<String>,
        #[serde(default)]
        caused_by: Option<Value>,
    },
    Text(String),
}

/// What became of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Became {
    /// Settled.
    Done(Verdict),
    /// Not now: to be sent again.
    Again { status: u16, reason: String },
}

/// One entry an action, in order.
///
/// # Errors
/// When the answer is not whole, not about these actions, or says that none can be written.
pub(super) fn read(
    client: &Client,
    steps: &[&Step],
    body: &[u8],
) -> Result<Vec<Became>, ElasticError> {
    let reply: Reply =
        serde_json::from_slice(body).map_err(|error| client.unreadable(body, &error))?;
    if reply.items.len() != steps.len() {
        let reason = format!("{} items for {} actions", reply.items.len(), steps.len());
        return Err(ElasticError::Unreadable { reason });
    }
    let pairs = steps.iter().zip(reply.items);
    pairs
        .enumerate()
        .map(|(place, (step, mut item))| {
            let item = item.remove(step.action.name());
            match item {
                Some(item) if item.id.as_deref().is_none_or(|id| id == step.id) => {
                    became(client, step, item)
                }
                _ => Err(ElasticError::Unreadable {
                    reason: format!("item {place} is not about the action that was sent"),
                }),
            }
        })
        .collect()
}

fn became(client: &Client, step: &Step, item: Item) -> Result<Became, ElasticError> {
    let (kind, reason) = item.error.map(Failure::text).unwrap_or_default();
    let reason = client.clean(&reason);
    let done = |verdict| Ok(Became::Done(verdict));
    match (item.status, step.action) {
        (200..300, _) | (404, Action::Delete) => done(Verdict::Stored),
        (409, Action::Create) => done(Verdict::Duplicate),
        (409, _) => done(Verdict::Stale),
        (404, _) => Err(ElasticError::NoIndex {
            index: step.index.clone(),
        }),
        (401, _) => Err(ElasticError::Credentials { reason }),
        // The index's doing (a block, a missing privilege), not the document's.
        (403, _) => Err(ElasticError::Forbidden { reason }),
        (status @ (429 | 500..600), _) => Ok(Became::Again { status, reason }),
        (status, _) => done(Verdict::Rejected {
            text: format!("{status} {}: {reason}", client.clean(&kind)),
        }),
    }
}

impl Failure {
    /// The type, and the reason with its cause.
    fn text(self) -> (String, String) {
        match self {
            Self::Text(text) => (String::new(), text),
            Self::Full {
                kind,
                reason,
                caused_by,
            } => {
                let mut text = reason.unwrap_or_default();
                let cause = caused_by.as_ref().and_then(|cause| cause.get("reason"));
                if let Some(cause) = cause.and_then(Value::as_str) {
                    text = format!("{text}: {cause}");
                }
                (kind, text)
            }
        }
    }
}
