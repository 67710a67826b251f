//! Writes down what was refused: the input, the reason, the mapping, the time.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use splitter::Record;

use crate::batch::Broken;
use crate::record::{
    DeadLetter, Delivery, Mapped, MappingIdentity, Reason, RefusalKind, Refused, Verdict,
};

/// What a redacted value is replaced by.
const REDACTED: &str = "[redacted]";

/// Makes dead letters of one instance.
#[derive(Debug)]
pub(crate) struct Letters {
    pub(crate) instance: String,
    /// MISP attribute types whose `value` and `data` may not be written down.
    pub(crate) redact: Arc<BTreeSet<String>>,
}

impl Letters {
    /// Letters of what the mapping refused of one record.
    pub(crate) fn of_mapped(
        &self,
        record: &Record,
        mapped: &Mapped,
        mapping: &MappingIdentity,
        now_ms: i64,
    ) -> Vec<DeadLetter> {
        let letter = |attribute: Option<String>, reason: Reason, input: String| DeadLetter {
            time_ms: now_ms,
            instance: self.instance.clone(),
            event: Some(record.head.uuid.clone()).filter(|uuid| !uuid.is_empty()),
            attribute,
            reason,
            mapping: mapping.clone(),
            output: None,
            input,
        };
        match mapped {
            Err(reason) => vec![letter(None, reason.clone(), self.safe(&record.json))],
            Ok(outcome) if outcome.refused.is_empty() => Vec::new(),
            Ok(outcome) => {
                let tree = serde_json::from_slice::<Value>(&record.json).ok();
                outcome
                    .refused
                    .iter()
                    .map(|Refused { attribute, reason }| {
                        let input = match (attribute, &tree) {
                            (Some(uuid), Some(tree)) => find_attribute(tree, uuid)
                                .map(|attribute| self.safe_value(attribute.clone())),
                            _ => None,
                        };
                        let input = input.unwrap_or_else(|| self.safe(&record.json));
                        letter(attribute.clone(), reason.clone(), input)
                    })
                    .collect()
            }
        }
    }

    /// The letter of a part of a page that is no record.
    pub(crate) fn of_broken(
        &self,
        broken: &Broken,
        mapping: &MappingIdentity,
        now_ms: i64,
    ) -> DeadLetter {
        DeadLetter {
            time_ms: now_ms,
            instance: self.instance.clone(),
            event: None,
            attribute: None,
            reason: Reason {
                kind: RefusalKind::Malformed,
                text: broken.error.to_string(),
            },
            mapping: mapping.clone(),
            output: None,
            input: self.safe(&broken.input),
        }
    }

    /// The letter of a document that an output refused.
    pub(crate) fn of_verdict(
        &self,
        delivery: &Delivery,
        verdict: &Verdict,
        output: &str,
        now_ms: i64,
    ) -> Option<DeadLetter> {
        refused_by(&self.instance, output, delivery, verdict, now_ms, || {
            String::from_utf8_lossy(&delivery.document.body).into_owned()
        })
    }

    /// The input as text, without the values that may not be written down.
    fn safe(&self, json: &[u8]) -> String {
        let text = String::from_utf8_lossy(json);
        let sensitive = self.redact.iter().any(|kind| text.contains(kind.as_str()));
        if !sensitive {
            return text.into_owned();
        }
        match serde_json::from_slice::<Value>(json) {
            Ok(value) => self.safe_value(value),
            Err(_) => format!("[withheld: {} bytes that name a private type]", json.len()),
        }
    }

    fn safe_value(&self, mut value: Value) -> String {
        self.redact_in(&mut value);
        value.to_string()
    }

    fn redact_in(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                let private = object
                    .get("type")
                    .and_then(Value::as_str)
                    .is_some_and(|kind| self.redact.contains(kind));
                for (key, value) in object.iter_mut() {
                    if private && may_hold_value(key, value) {
                        *value = Value::from(REDACTED);
                    } else {
                        self.redact_in(value);
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.redact_in(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Can a member of a private attribute hold its value? Hits on warninglists, correlations and
/// complaints of the server repeat it.
fn may_hold_value(key: &str, value: &Value) -> bool {
    let is_nested = value.is_array() || value.is_object();
    matches!(
        key,
        "value" | "value1" | "value2" | "data" | "validationIssue"
    ) || (is_nested && !matches!(key, "Event" | "Object" | "Tag"))
}

/// The letter of a delete that an output refused; `None` if it did not.
pub(crate) fn of_delete(
    instance: &str,
    output: &str,
    delivery: &Delivery,
    verdict: &Verdict,
    now_ms: i64,
) -> Option<DeadLetter> {
    refused_by(instance, output, delivery, verdict, now_ms, || {
        let (id, version) = (&delivery.document.id, delivery.version);
        json!({"misp_ecs": {"id": id, "operation": "delete", "version": version}}).to_string()
    })
}

fn refused_by(
    instance: &str,
    output: &str,
    delivery: &Delivery,
    verdict: &Verdict,
    now_ms: i64,
    input: impl FnOnce() -> String,
) -> Option<DeadLetter> {
    let Verdict::Rejected { text } = verdict else {
        return None;
    };
    Some(DeadLetter {
        time_ms: now_ms,
        instance: instance.to_owned(),
        event: Some(delivery.event.to_string()).filter(|uuid| !uuid.is_empty()),
        attribute: delivery.document.attribute.clone(),
        reason: Reason {
            kind: RefusalKind::Output,
            text: text.clone(),
        },
        mapping: (*delivery.mapping).clone(),
        output: Some(output.to_owned()),
        input: input(),
    })
}

/// The object with this uuid that has a `type`: an attribute, at whatever depth.
fn find_attribute<'a>(value: &'a Value, uuid: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) => {
            let is_it = object.get("uuid").and_then(Value::as_str) == Some(uuid)
                && object.contains_key("type");
            if is_it {
                return Some(value);
            }
            object
                .values()
                .find_map(|value| find_attribute(value, uuid))
        }
        Value::Array(list) => list.iter().find_map(|value| find_attribute(value, uuid)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use splitter::EventHead;

    use super::*;
    use crate::record::Outcome;

    fn letters() -> Letters {
        Letters {
            instance: "lab".to_owned(),
            redact: Arc::new(BTreeSet::from(["pgp-private-key".to_owned()])),
        }
    }

    fn record(json: &str) -> Record {
        Record {
            json: Bytes::copy_from_slice(json.as_bytes()),
            head: EventHead::default(),
            attributes: 2,
            last: true,
        }
    }

    fn identity() -> MappingIdentity {
        MappingIdentity {
            name: "m".to_owned(),
            version: "1".to_owned(),
            digest: "0".repeat(64),
        }
    }

    fn reason() -> Reason {
        Reason {
            kind: RefusalKind::Invalid,
            text: "no".to_owned(),
        }
    }

    #[test]
    fn a_refused_attribute_brings_itself_and_not_its_event() {
        let record = record(
            r#"{"Event":{"uuid":"e","Attribute":[{"uuid":"a","type":"ip-src","value":"192.0.2.1"},{"uuid":"b","type":"domain","value":"example.org"}]}}"#,
        );
        let mapped = Ok(Outcome {
            refused: vec![Refused {
                attribute: Some("b".to_owned()),
                reason: reason(),
            }],
            ..Outcome::default()
        });
        let letters = letters().of_mapped(&record, &mapped, &identity(), 7);
        assert_eq!(letters.len(), 1);
        assert_eq!(
            letters[0].input,
            r#"{"type":"domain","uuid":"b","value":"example.org"}"#
        );
        assert_eq!(letters[0].attribute.as_deref(), Some("b"));
    }

    #[test]
    fn a_private_value_is_written_nowhere() {
        let whole = record(
            r#"{"Event":{"Attribute":[{"uuid":"k","type":"pgp-private-key","value":"CANARY","data":"CANARY"}]}}"#,
        );
        let repeated = record(
            r#"{"Event":{"Attribute":[{"type":"pgp-private-key","value":"x","warnings":[{"match":"CANARY"}],"validationIssue":"CANARY","RelatedAttribute":[{"type":"text","value":"CANARY"}]}]}}"#,
        );
        let cut = record(r#"{"Event":{"Attribute":[{"type":"pgp-private-key","value":"CANARY"#);
        for record in [whole, repeated, cut] {
            let letters = letters().of_mapped(&record, &Err(reason()), &identity(), 7);
            assert!(!letters[0].input.contains("CANARY"), "{}", letters[0].input);
            assert!(letters[0].input.contains("redacted") || letters[0].input.contains("withheld"));
        }
    }
}
