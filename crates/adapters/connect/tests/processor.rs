//! The messages of the processor, for good input and for any.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

use adapter_connect::{Processed, Processor};
use adapter_shell::Layout;
use misp_ecs_tests::events;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_700_001_234_567;
const ATTRIBUTE: &str = r#"{"type":"ip-dst","value":"192.0.2.7","category":"Network activity","to_ids":true,"uuid":"9b2e0d2a-4f5f-4c8e-9f58-0123456789ab","timestamp":"1700000000"}"#;

fn documents(processed: &Processed) -> Vec<Value> {
    serde_json::from_slice(&processed.body).unwrap()
}

#[test]
fn a_page_is_an_array_of_all_its_documents() {
    let page = json!({"response": [{"Event": events::event_with_objects()}, {"Event": events::event_with_objects()}]});
    let mut processor = Processor::new(b"");
    let processed = processor.process(page.to_string().as_bytes(), None, None, NOW);
    let documents = documents(&processed);
    assert!(documents.len() > 6, "{}", documents.len());
    assert_eq!((processed.refused, processed.first), (0, None));
    for document in documents {
        assert_eq!(document["misp_ecs"]["operation"], "put");
        assert!(document["misp_ecs"]["id"].is_string());
    }
}

#[test]
fn settings_of_the_message_hold_for_it_alone() {
    let mut processor = Processor::new(br#"{"adapter":{"mapping":"ecs-1.12"}}"#);
    let mut version = |settings: Option<&[u8]>, layout| {
        let processed = processor.process(ATTRIBUTE.as_bytes(), settings, layout, NOW);
        let document = documents(&processed).remove(0);
        let text = document["ecs"]["version"].as_str();
        (text.unwrap().to_owned(), document.get("misp_ecs").is_some())
    };
    let old = version(None, None);
    let new = version(None, Some(Layout::Ecs9));
    assert_ne!(old.0, new.0);
    let bare: &[u8] = br#"{"adapter":{"envelope":false}}"#;
    assert_eq!(version(Some(bare), None), (new.0, false));
    assert_eq!(version(None, None), old);
}

#[test]
fn what_is_refused_is_a_document_and_counted() {
    let mut processor = Processor::new(b"");
    for (message, settings) in [
        (&b"{"[..], None),
        (br#"{"log":"hello"}"#, None),
        (ATTRIBUTE.as_bytes(), Some(&br#"{"no_such":1}"#[..])),
        (ATTRIBUTE.as_bytes(), Some(b"[")),
    ] {
        let processed = processor.process(message, settings, None, NOW);
        let documents = documents(&processed);
        assert_eq!((documents.len(), processed.refused), (1, 1));
        assert_eq!(documents[0]["event"]["kind"], "pipeline_error");
        let text = documents[0]["error"]["message"].as_str().unwrap();
        assert_eq!(Some(text), processed.first.as_deref());
    }
    let processed = processor.without_message(NOW);
    assert_eq!((documents(&processed).len(), processed.refused), (1, 1));
}

#[test]
fn nothing_is_an_empty_array() {
    let mut processor = Processor::new(b"");
    for nothing in [&b""[..], b"[]", br#"{"response":[]}"#] {
        let processed = processor.process(nothing, None, None, NOW);
        assert_eq!(
            (processed.body.as_slice(), processed.refused),
            (&b"[]"[..], 0)
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_have_an_array(message: Vec<u8>, settings: Option<Vec<u8>>) {
        let mut processor = Processor::new(b"");
        let processed = processor.process(&message, settings.as_deref(), None, NOW);
        prop_assert!(documents(&processed).iter().all(Value::is_object));
        prop_assert_eq!(processed.refused > 0, processed.first.is_some());
    }
}
