//! Deliveries as the actions of a bulk.

use bytes::Bytes;
use pipeline::{Delivery, Operation};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::envelope::BodyError;

use super::error::ElasticError;
use super::names::Names;
use super::options::ElasticMode;
use super::strip::{with_member, without_data_stream};

/// What an action does.
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

/// One action, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Which delivery of the batch it is for.
    pub(super) place: usize,
    pub(super) action: Action,
    pub(super) index: String,
    pub(super) id: String,
    header: Vec<u8>,
    body: Option<Bytes>,
}

#[derive(Serialize)]
struct Header<'a> {
    _index: &'a str,
    _id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_type: Option<&'a str>,
}

impl Step {
    fn new(
        place: usize,
        action: Action,
        (index, id): (String, String),
        version: Option<u64>,
        body: Option<Bytes>,
    ) -> Self {
        let fields = Header {
            _index: &index,
            _id: &id,
            version,
            version_type: version.map(|_| "external_gte"),
        };
        let mut header = format!("{{\"{}\":", action.name()).into_bytes();
        // Strings and a number into memory cannot fail.
        let _infallible = serde_json::to_writer(&mut header, &fields);
        header.extend_from_slice(b"}\n");
        Self {
            place,
            action,
            index,
            id,
            header,
            body,
        }
    }

    /// Bytes in a bulk.
    pub(super) fn len(&self) -> usize {
        self.header.len() + self.body.as_ref().map_or(0, |body| body.len() + 1)
    }

    /// Appends its lines.
    pub(super) fn write(&self, bulk: &mut Vec<u8>) {
        bulk.extend_from_slice(&self.header);
        if let Some(body) = &self.body {
            bulk.extend_from_slice(body);
            bulk.push(b'\n');
        }
    }
}

/// Why a delivery cannot become an action.
#[derive(Debug)]
pub(super) enum NoStep {
    /// This document's own fault.
    Body(BodyError),
    /// Nothing of this mapping can be written.
    Name(ElasticError),
}

/// What a delivery asks for first.
pub(super) fn step(names: &Names, place: usize, delivery: &Delivery) -> Result<Step, NoStep> {
    let index = names
        .of_mapping(&delivery.mapping.name)
        .map_err(NoStep::Name)?;
    let document = &delivery.document;
    let version = Some(delivery.version);
    match (names.mode, document.operation) {
        (ElasticMode::Latest, Operation::Put) => {
            let body = latest_body(delivery).map_err(NoStep::Body)?;
            let at = (index, document.id.clone());
            Ok(Step::new(place, Action::Index, at, version, Some(body)))
        }
        (ElasticMode::Latest, Operation::Delete) => {
            let at = (index, document.id.clone());
            Ok(Step::new(place, Action::Delete, at, version, None))
        }
        (ElasticMode::Append, Operation::Put) => {
            let body = without_data_stream(&document.body).map_err(NoStep::Body)?;
            let body = with_member(&body, "data_stream", &data_stream(names));
            let envelope = json!({"id": document.id, "operation": document.operation,
                "version": delivery.version});
            let body = with_member(&body, "misp_ecs", &envelope.to_string());
            let (id, revision) = (&document.id, delivery.revision);
            let id = format!("{id}-{revision}-{:016x}", document.fingerprint);
            Ok(Step::new(
                place,
                Action::Create,
                (index, id),
                None,
                Some(body),
            ))
        }
        (ElasticMode::Append, Operation::Delete) => {
            // Never the id of a put, whose conflict would pass for a tombstone that is there.
            let id = format!("{}-{}-delete", document.id, delivery.revision);
            let body = tombstone(names, delivery);
            Ok(Step::new(
                place,
                Action::Create,
                (index, id),
                None,
                Some(body),
            ))
        }
    }
}

/// What is stored of a put where each document is there once.
fn latest_body(delivery: &Delivery) -> Result<Bytes, BodyError> {
    let Delivery {
        document, version, ..
    } = delivery;
    let body = without_data_stream(&document.body)?;
    let envelope = json!({"id": document.id, "version": version});
    Ok(with_member(&body, "misp_ecs", &envelope.to_string()))
}

/// The hash of what a put of this delivery stores where each document is there once.
pub(super) fn stored_hash(delivery: &Delivery) -> Option<u64> {
    latest_body(delivery).ok().map(|body| hash(&body))
}

/// The first 64 bits of the SHA-256 of what is stored.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

/// Where the document may be under other mappings, taken away.
pub(super) fn steps_before(
    names: &Names,
    place: usize,
    delivery: &Delivery,
) -> Result<Vec<Step>, ElasticError> {
    let mut indices: Vec<String> = Vec::new();
    if names.mode == ElasticMode::Latest {
        let own = names.of_mapping(&delivery.mapping.name)?;
        // One whose name nobody knows is of a state that knew no names: its index was not ours.
        let named = delivery
            .before
            .iter()
            .filter(|before| !before.name.is_empty());
        for before in named {
            let index = names.of_mapping(&before.name)?;
            if index != own && !indices.contains(&index) {
                indices.push(index);
            }
        }
    }
    let id = &delivery.document.id;
    let steps = indices.into_iter().map(|index| {
        let at = (index, id.clone());
        Step::new(place, Action::Delete, at, Some(delivery.version), None)
    });
    Ok(steps.collect())
}

/// The constant fields of the stream's own name.
fn data_stream(names: &Names) -> String {
    let mut parts = names.searched.splitn(3, '-');
    let standard = match (parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(dataset), Some(namespace)) => json!({
            "type": kind, "dataset": dataset, "namespace": namespace,
        }),
        _ => json!({
            "type": "logs", "dataset": "ti_misp_ecs.threat", "namespace": names.namespace,
        }),
    };
    standard.to_string()
}

/// What stands for a document that MISP has no longer. The write version is the time of
/// observation, UNIX milliseconds.
fn tombstone(names: &Names, delivery: &Delivery) -> Bytes {
    let (id, version) = (&delivery.document.id, delivery.version);
    let body = json!({
        "@timestamp": version,
        "misp_ecs": {"id": id, "operation": "delete", "version": version},
    });
    with_member(
        body.to_string().as_bytes(),
        "data_stream",
        &data_stream(names),
    )
}
