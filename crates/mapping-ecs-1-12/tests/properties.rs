//! What holds for any input: no panic, valid documents, nothing uncounted, and the
//! slices of an event give what the event gives.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "only tests are here"
)]

mod common;

use common::support::any::{anything, attributes_in, event, slices};
use common::support::{no_canary, with_facts};
use common::{NOW_MS, checker, mapper, mapper_with};
use mapping::{Mapping, Outcome};
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
        let documents: Vec<_> = parts.iter().flat_map(with_facts).collect();
        prop_assert_eq!(with_facts(&whole), documents, "{}", event);
        let refused: Vec<_> = parts.iter().flat_map(|part| part.refused.clone()).collect();
        prop_assert_eq!(whole.refused, refused);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The canary: a redacted value is in nothing that comes out.
    #[test]
    fn no_private_value_comes_out(kind in prop::sample::select(redacted()), preserve in any::<bool>()) {
        let settings = format!(r#"{{"preserve_original_event":{preserve}}}"#);
        no_canary(&mapper_with(&settings), &kind);
    }
}

#[test]
fn personal_values_can_be_kept_and_private_keys_cannot() {
    let keep = mapper_with(r#"{"keep_personal":true}"#);
    let value = |kind: &str| {
        let record = json!({"type": kind, "value": "made up", "uuid": "a"}).to_string();
        let documents = keep.transform(record.as_bytes(), NOW_MS).unwrap().documents;
        let body: Value = serde_json::from_slice(&documents[0].body).unwrap();
        body["misp"]["attribute"]["value"].clone()
    };
    assert_eq!(value("passport-number"), "made up");
    assert_eq!(value("pgp-private-key"), "[redacted]");
    no_canary(&keep, "pgp-private-key");
}

/// The types that the description says are redacted.
fn redacted() -> Vec<String> {
    let extra = mapping_ecs_1_12::Ecs112::describe().extra;
    let (_, types) = extra.iter().find(|(key, _)| key == "redact-types").unwrap();
    types.split(',').map(str::to_owned).collect()
}
