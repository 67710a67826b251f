//! What the host knows of a document, written beside the mapping's fields under
//! `misp_ecs`, so that a receiver can order, replace and delete by it.
//!
//! The body of a document is never parsed and never changed: the field is spliced in
//! before its last brace.

use pipeline::{Delivery, MappingIdentity, Operation};
use serde::Serialize;

/// The value of `misp_ecs`.
#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    operation: Operation,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
}

/// Why bytes cannot go out as the line of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It does not begin with `{` and end with `}`.
    #[error("the document is not one JSON object")]
    NotAnObject,
    /// A newline would make two lines of it.
    #[error("the document holds a newline")]
    Newline,
}

/// Appends a document's body as it is, without a newline after it.
///
/// # Errors
/// When the body cannot be one line of NDJSON. Nothing is appended then.
pub fn append_body(line: &mut Vec<u8>, body: &[u8]) -> Result<(), BodyError> {
    line.extend_from_slice(checked(body)?);
    Ok(())
}

/// Appends the body of a delivery with `misp_ecs.{id,operation,version,mapping,digest}`
/// in it, without a newline after it. `mapping` is `name@version`, `digest` that of its bytes.
///
/// # Errors
/// When the body cannot be one line of NDJSON. Nothing is appended then.
pub fn append_with_field(line: &mut Vec<u8>, delivery: &Delivery) -> Result<(), BodyError> {
    let body = checked(&delivery.document.body)?;
    let MappingIdentity {
        name,
        version,
        digest,
        ..
    } = delivery.mapping.as_ref();
    let mapping = format!("{name}@{version}");
    let envelope = Envelope {
        id: &delivery.document.id,
        operation: delivery.document.operation,
        version: delivery.version,
        mapping: Some(&mapping),
        digest: Some(digest),
    };
    let open = body.strip_suffix(b"}").unwrap_or(body).trim_ascii_end();
    line.extend_from_slice(open);
    if open != b"{" {
        line.push(b',');
    }
    line.extend_from_slice(br#""misp_ecs":"#);
    append_json(line, &envelope);
    line.push(b'}');
    Ok(())
}

/// Appends `{"misp_ecs":{"id":..,"operation":"delete","version":..}}`: what stands for
/// a document that is to be removed. No newline after it.
pub fn append_tombstone(line: &mut Vec<u8>, id: &str, version: u64) {
    let envelope = Envelope {
        id,
        operation: Operation::Delete,
        version,
        mapping: None,
        digest: None,
    };
    line.extend_from_slice(br#"{"misp_ecs":"#);
    append_json(line, &envelope);
    line.push(b'}');
}

pub(crate) fn checked(body: &[u8]) -> Result<&[u8], BodyError> {
    let body = body.trim_ascii();
    if body.len() < 2 || !body.starts_with(b"{") || !body.ends_with(b"}") {
        return Err(BodyError::NotAnObject);
    }
    match memchr::memchr(b'\n', body) {
        None => Ok(body),
        Some(_) => Err(BodyError::Newline),
    }
}

fn append_json(line: &mut Vec<u8>, envelope: &Envelope<'_>) {
    // Strings and a number into memory: there is nothing here that can fail.
    let _infallible = serde_json::to_writer(line, envelope);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::fixtures;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn spliced(body: &[u8], id: &str) -> Result<Value, BodyError> {
        let mut delivery = fixtures::put(id, 7);
        delivery.document.body = body.to_vec().into();
        let mut line = Vec::new();
        append_with_field(&mut line, &delivery)?;
        assert!(!line.contains(&b'\n'));
        Ok(serde_json::from_slice(&line).unwrap())
    }

    #[test]
    fn the_field_is_added_to_whatever_the_object_holds() {
        let digest = fixtures::put("a", 7).mapping.digest.clone();
        assert_eq!(digest.len(), 64);
        let field = json!({"id": "a\"b", "operation": "put", "version": 7,
            "mapping": "ecs-1.12@1.0.0", "digest": digest});
        for (body, rest) in [
            (&b"{}"[..], json!({})),
            (b"{ }", json!({})),
            (b" {\"a\":{}} ", json!({"a": {}})),
            (b"{\"a\":\"}\" }", json!({"a": "}"})),
        ] {
            let mut expected = rest;
            expected["misp_ecs"] = field.clone();
            assert_eq!(spliced(body, "a\"b"), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_be_one_line_is_refused() {
        for (body, error) in [
            (&b""[..], BodyError::NotAnObject),
            (b"{", BodyError::NotAnObject),
            (b"}", BodyError::NotAnObject),
            (b"[]", BodyError::NotAnObject),
            (b"{\"a\":\n1}", BodyError::Newline),
        ] {
            assert_eq!(spliced(body, "a"), Err(error));
            let mut line = b"before".to_vec();
            assert_eq!(append_body(&mut line, body), Err(error));
            assert_eq!(line, b"before");
        }
    }

    #[test]
    fn a_tombstone_holds_the_id_and_the_version() {
        let mut line = Vec::new();
        append_tombstone(&mut line, "\u{1F600}\"", 9);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"misp_ecs\":{\"id\":\"\u{1F600}\\\"\",\"operation\":\"delete\",\"version\":9}}"
        );
    }

    proptest! {
        #[test]
        fn any_object_keeps_its_own_fields(
            fields in prop::collection::btree_map("[a-z]{1,8}", ".*", 0..5), id in ".*"
        ) {
            let body = serde_json::to_vec(&fields).unwrap();
            let mut value = spliced(&body, &id).unwrap();
            let envelope = value.as_object_mut().unwrap().remove("misp_ecs").unwrap();
            prop_assert_eq!(envelope["id"].as_str(), Some(id.as_str()));
            prop_assert_eq!(value, serde_json::to_value(&fields).unwrap());
        }

        #[test]
        fn no_bytes_panic(body: Vec<u8>) {
            let mut line = Vec::new();
            let _ = append_body(&mut line, &body);
        }
    }
}
