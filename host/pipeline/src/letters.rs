//! Writes down what was refused: the input, the reason, the mapping, the time.

use std::collections::BTreeSet;
use std::sync::Arc;

use misp_model::redaction::{is_uuid, shown};
use misp_model::{Json, Object};
use serde_json::{Value, json};
use splitter::Record;

use crate::batch::Broken;
use crate::record::{
    DeadLetter, Delivery, Mapped, MappingIdentity, Reason, RefusalKind, Refused, Verdict,
};

/// The uuids of the attributes of a record, those of its objects among them.
pub(crate) fn attributes_of(record: &Record) -> Vec<String> {
    fn of(parent: &Value) -> impl Iterator<Item = &Value> {
        parent
            .get("Attribute")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }
    let Ok(record) = serde_json::from_slice::<Value>(&record.json) else {
        return Vec::new();
    };
    let is_loose = record.get("Attribute").is_none() && record.get("type").is_some();
    let event = record.get("Event").unwrap_or(&record);
    let objects = event.get("Object").and_then(Value::as_array);
    let of_objects = objects.into_iter().flatten().flat_map(of);
    let loose = is_loose.then_some(&record);
    of(event)
        .chain(of_objects)
        .chain(loose)
        .filter_map(|attribute| Some(attribute.get("uuid")?.as_str()?.to_owned()))
        .collect()
}

/// Makes dead letters of one instance.
#[derive(Debug)]
pub(crate) struct Letters {
    pub(crate) instance: String,
    /// MISP attribute types whose values may not be written down.
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
        let event = self.identifier(&record.head.uuid, &record.json);
        let letter = |attribute: Option<String>, reason: Reason, input: String| DeadLetter {
            time_ms: now_ms,
            instance: self.instance.clone(),
            event: event.clone(),
            attribute: attribute.and_then(|uuid| self.identifier(&uuid, &record.json)),
            reason,
            mapping: mapping.clone(),
            output: None,
            input,
        };
        match mapped {
            Err(reason) => vec![letter(None, reason.clone(), self.safe(&record.json))],
            Ok(outcome) if outcome.refused.is_empty() => Vec::new(),
            Ok(outcome) => {
                let tree = Json::parse(&record.json).ok();
                outcome
                    .refused
                    .iter()
                    .map(|Refused { attribute, reason }| {
                        let input = match (attribute, &tree) {
                            (Some(uuid), Some(tree)) => find_attribute(tree, uuid)
                                .and_then(|attribute| serde_json::to_vec(attribute).ok()),
                            _ => None,
                        };
                        let input = self.safe(input.as_deref().unwrap_or(&record.json));
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
            // Of the event itself: no private attribute gave it.
            event: broken.error.event().map(str::to_owned),
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
        shown(json, &|kind| self.redact.contains(kind))
    }

    /// A uuid that the input gives, unless a private attribute put another text in its place.
    fn identifier(&self, uuid: &str, input: &[u8]) -> Option<String> {
        let is_shown = || is_uuid(uuid) || self.safe(input).contains(uuid);
        (!uuid.is_empty() && is_shown()).then(|| uuid.to_owned())
    }
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
fn find_attribute<'j, 'a>(value: &'j Json<'a>, uuid: &str) -> Option<&'j Object<'a>> {
    match value {
        Json::Object(object) => {
            let is_it = matches!(object.get("uuid"), Some(Json::String(text)) if **text == *uuid)
                && object.has("type");
            if is_it {
                return Some(object);
            }
            object
                .iter()
                .find_map(|(_, value)| find_attribute(value, uuid))
        }
        Json::Array(list) => list.iter().find_map(|value| find_attribute(value, uuid)),
        _ => None,
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
            settings: String::new(),
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

    /// Records of every shape, refused as a whole, by attribute and as broken input, whole and
    /// cut off.
    #[test]
    fn a_private_value_is_in_no_letter() {
        let letters = letters();
        let mut count = 0;
        for text in misp_ecs_events::with_canary("pgp-private-key", "CANARY") {
            let mut record = record(&text);
            record.head.uuid = "CANARY".to_owned();
            let refused = |attribute: &str| Refused {
                attribute: Some(attribute.to_owned()),
                reason: reason(),
            };
            let by_attribute = Ok(Outcome {
                refused: vec![
                    refused("8a6a5ea4-27b6-4a5b-9d3a-0123456789ab"),
                    refused("CANARY"),
                ],
                ..Outcome::default()
            });
            let mut all = letters.of_mapped(&record, &Err(reason()), &identity(), 7);
            all.extend(letters.of_mapped(&record, &by_attribute, &identity(), 7));
            for cut in [text.len(), text.len() - 1] {
                let broken = Broken {
                    error: splitter::SplitError::NotARecord {
                        offset: 0,
                        skipped: 0..0,
                    },
                    input: text.as_bytes()[..cut].to_vec(),
                };
                all.push(letters.of_broken(&broken, &identity(), 7));
            }
            for letter in all {
                count += 1;
                let letter = format!("{letter:?}");
                assert!(!letter.contains("CANARY"), "{letter}");
            }
        }
        assert!(count > 500, "{count}");
    }
}
