//! Takes the answer of a component apart and holds it against the contract.

use std::sync::Arc;

use bytes::Bytes;
use pipeline::{
    Document, Facts, Mapped, Note, NoteKind, Operation, Outcome, Reason, RefusalKind, Refused,
    Tally, Tlp,
};

use crate::bindings::wit;
use crate::error::Fault;

/// The result of a record with `attributes` (at least), if it keeps the contract.
pub(crate) fn mapped(
    attributes: u32,
    result: Result<wit::Outcome, wit::Rejection>,
) -> Result<Mapped, Fault> {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(rejection) => return Ok(Err(reason(rejection))),
    };
    let came = outcome.documents.len() + outcome.refused.len();
    let went = usize::try_from(attributes).unwrap_or(usize::MAX);
    if came < went {
        return Err(Fault::Contract {
            text: format!("{went} attributes in, {came} documents and refusals out"),
        });
    }
    let facts: Vec<_> = outcome.facts.into_iter().map(facts).collect();
    let documents = outcome
        .documents
        .into_iter()
        .map(|one| document(one, &facts))
        .collect::<Result<_, _>>()?;
    Ok(Ok(Outcome {
        event: outcome.event,
        documents,
        refused: outcome
            .refused
            .into_iter()
            .map(|refused| Refused {
                attribute: refused.attribute,
                reason: reason(refused.reason),
            })
            .collect(),
        tallies: outcome
            .tallies
            .into_iter()
            .map(|tally| Tally {
                attribute_type: tally.attribute_type,
                indicator_type: tally.indicator_type,
                count: tally.count,
            })
            .collect(),
    }))
}

fn facts(facts: wit::Facts) -> Arc<Facts> {
    Arc::new(Facts {
        attribute_type: facts.attribute_type,
        category: facts.category,
        to_ids: facts.to_ids,
        tags: facts.tags,
        tlp: facts.tlp.map(|tlp| match tlp {
            wit::Tlp::Clear => Tlp::Clear,
            wit::Tlp::Green => Tlp::Green,
            wit::Tlp::Amber => Tlp::Amber,
            wit::Tlp::AmberStrict => Tlp::AmberStrict,
            wit::Tlp::Red => Tlp::Red,
        }),
        organisation: facts.organisation,
        organisation_uuid: facts.organisation_uuid,
        confidence: facts.confidence,
    })
}

fn document(document: wit::Document, facts: &[Arc<Facts>]) -> Result<Document, Fault> {
    let broken = |text: &str| Fault::Contract {
        text: format!("the document {:?} {text}", document.id),
    };
    if document.id.is_empty() {
        return Err(broken("has no id"));
    }
    let body = &document.body;
    if body.first() != Some(&b'{') || body.last() != Some(&b'}') {
        return Err(broken("is no JSON object"));
    }
    if memchr::memchr(b'\n', body).is_some() {
        return Err(broken("holds a newline"));
    }
    if std::str::from_utf8(body).is_err() {
        return Err(broken("is not UTF-8"));
    }
    let Some(facts) = usize::try_from(document.facts)
        .ok()
        .and_then(|index| facts.get(index))
    else {
        return Err(broken(&format!(
            "refers to facts {}, but the outcome has {}",
            document.facts,
            facts.len()
        )));
    };
    Ok(Document {
        facts: Arc::clone(facts),
        id: document.id,
        attribute: document.attribute,
        attribute_timestamp: document.attribute_timestamp,
        operation: match document.operation {
            wit::Operation::Put => Operation::Put,
            wit::Operation::Delete => Operation::Delete,
        },
        dataset: document.dataset,
        timestamp_ms: document.timestamp_ms,
        modified_ms: document.modified_ms,
        expires_ms: document.expires_ms,
        fingerprint: document.fingerprint,
        body: Bytes::from(document.body),
        notes: document
            .notes
            .into_iter()
            .map(|note| Note {
                kind: match note.kind {
                    wit::NoteKind::UnmappedType => NoteKind::UnmappedType,
                    wit::NoteKind::BadValue => NoteKind::BadValue,
                    wit::NoteKind::Redacted => NoteKind::Redacted,
                    wit::NoteKind::Truncated => NoteKind::Truncated,
                    wit::NoteKind::Other => NoteKind::Other,
                },
                field: note.field,
                text: note.text,
            })
            .collect(),
    })
}

fn reason(rejection: wit::Rejection) -> Reason {
    let (kind, text) = match rejection {
        wit::Rejection::Malformed(text) => (RefusalKind::Malformed, text),
        wit::Rejection::Unsupported(text) => (RefusalKind::Unsupported, text),
        wit::Rejection::Invalid(text) => (RefusalKind::Invalid, text),
        wit::Rejection::Other(text) => (RefusalKind::Other, text),
    };
    Reason { kind, text }
}
