//! What is published for a delivery.

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use bytes::Bytes;
use pipeline::{Delivery, Verdict};

use super::subject::{Subject, operation};
use crate::lines::Lines;

/// A message to be published.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// The messages of a batch: one for each delivery whose verdict is yet `Stored`.
pub(super) fn messages(
    batch: &[Delivery],
    verdicts: &[Verdict],
    lines: Lines,
    subject: &Subject,
    stream: Option<&str>,
) -> Vec<Message> {
    let payloads = lines.into_each();
    let sent = batch.iter().zip(verdicts);
    sent.filter(|(_, verdict)| **verdict == Verdict::Stored)
        .zip(payloads)
        .map(|((delivery, _), payload)| Message {
            id: delivery.document.id.clone(),
            subject: subject.of(delivery),
            headers: headers(delivery, stream),
            payload,
        })
        .collect()
}

fn headers(delivery: &Delivery, stream: Option<&str>) -> HeaderMap {
    let document = &delivery.document;
    let id = header_value(&document.id);
    let operation = operation(document.operation);
    let version = delivery.version;
    let mapping = &delivery.mapping;
    let mut headers = HeaderMap::new();
    // The version is that of a page, in which an id may come twice.
    let fingerprint = document.fingerprint;
    let message_id = format!("{id}-{version}-{operation}-{fingerprint:016x}");
    headers.insert(NATS_MESSAGE_ID, message_id.as_str());
    if let Some(stream) = stream {
        let stream = header_value(stream);
        headers.insert(NATS_EXPECTED_STREAM, stream.as_str());
    }
    headers.insert("Misp-Ecs-Id", id.as_str());
    headers.insert("Misp-Ecs-Operation", operation);
    headers.insert("Misp-Ecs-Version", version.to_string());
    let mapping = header_value(&format!("{}@{}", mapping.name, mapping.version));
    headers.insert("Misp-Ecs-Mapping", mapping.as_str());
    headers
}

/// A text as a header can hold it: what is not visible ASCII, and `%`, as `%XX`.
fn header_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    value
}
