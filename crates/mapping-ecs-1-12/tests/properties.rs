//! What holds for any input: no panic, valid documents, nothing uncounted, and the
//! slices of an event give what the event gives.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests are here"
)]

mod common;

use common::support::any::{anything, attributes_in, event, slices};
use common::{NOW_MS, checker, mapper};
use mapping::{Document, Mapping, Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};

const TYPES: [&str; 14] = [
    "md5",
    "filename|sha1",
    "ip-dst",
    "ip-src|port",
    "domain|ip",
    "url",
    "uri",
    "AS",
    "size-in-bytes",
    "regkey|value",
    "email-src",
    "pgp-private-key",
    "text",
    "",
];

fn map(record: &Value) -> Outcome {
    mapper()
        .transform(record.to_string().as_bytes(), NOW_MS)
        .unwrap()
}

proptest! {
    #[test]
    fn any_bytes_are_mapped_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = mapper().transform(&bytes, NOW_MS);
    }

    #[test]
    fn any_json_gives_valid_documents(json in anything(&TYPES)) {
        let text = json.to_string();
        if let Ok(outcome) = mapper().transform(text.as_bytes(), NOW_MS) {
            for document in outcome.documents {
                prop_assert!(checker().check(&document.body).is_ok(), "{text}");
                prop_assert!(!document.id.is_empty());
            }
        }
    }

    #[test]
    fn each_attribute_is_a_document_or_refused(event in event(&TYPES)) {
        let outcome = map(&event);
        let counted = outcome.documents.len() + outcome.refused.len();
        prop_assert_eq!(counted, attributes_in(&event).max(1));
        let tallied: u32 = outcome.tallies.iter().map(|tally| tally.count).sum();
        prop_assert_eq!(tallied as usize, outcome.documents.len());
        for document in &outcome.documents {
            let found = checker().check(&document.body);
            prop_assert!(found.is_ok(), "{:?} {}", found, event);
        }
    }

    #[test]
    fn slices_give_what_the_event_gives(event in event(&TYPES), size in 1..4_usize) {
        prop_assume!(attributes_in(&event) > 0);
        let whole = map(&event);
        let parts: Vec<Outcome> = slices(&event, size).iter().map(map).collect();
        let documents: Vec<Document> = parts.iter().flat_map(|part| part.documents.clone()).collect();
        prop_assert_eq!(&whole.documents, &documents, "{}", event);
        let refused: Vec<_> = parts.iter().flat_map(|part| part.refused.clone()).collect();
        prop_assert_eq!(whole.refused, refused);
    }

    #[test]
    fn no_secret_value_is_in_a_body(event in event(&TYPES)) {
        let mut event = event;
        let secret = "-----a made-up secret-----";
        let key = json!({"type": "pgp-private-key", "value": secret, "data": secret});
        event["Event"]["Attribute"] = json!([key, {"type": "text", "value": "x"}]);
        event["Event"]["Object"] = json!([{"Attribute": [key, {"type": "text", "value": "x"}]}]);
        for record in [event.clone(), json!({"Event": {
            "info": "x", "Attribute": key, "Object": {"Attribute": {"type": "text", "value": "x"}},
        }})] {
            for document in map(&record).documents {
                let body = String::from_utf8(document.body).unwrap();
                prop_assert!(!body.contains(secret), "{}", body);
            }
        }
    }
}
