//! The promise that lets an event be cut: `map(event)` is the concatenation of
//! `map(slice)`, and nothing that the splitter counted gets lost on the way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use mapping::{Document, Facts, Mapping, Origin, Outcome};
use mapping_ecs_1_12::Ecs112;
use mapping_ecs_9::Ecs9;
use misp_ecs_tests::events;
use proptest::prelude::*;
use serde_json::{Value, json};
use splitter::{Body, Record, Records, SplitLimits};

const NOW_MS: i64 = 1_767_225_600_000;

fn records(event: &Value, limits: SplitLimits) -> Vec<Record> {
    let answer = json!({"response": [{"Event": event}]}).to_string();
    Records::from_answer(Body::from(answer.into_bytes()), limits)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn map(mapping: &impl Mapping, records: &[Record]) -> Vec<Outcome> {
    records
        .iter()
        .map(|record| mapping.transform(&record.json, NOW_MS).unwrap())
        .collect()
}

/// The documents, each with its facts instead of their index.
fn documents(outcomes: &[Outcome]) -> Vec<(Document, Facts)> {
    let with_facts = |outcome: &Outcome, document: &Document| {
        let facts = outcome.facts_of(document).unwrap().clone();
        let mut document = document.clone();
        document.facts = 0;
        (document, facts)
    };
    outcomes
        .iter()
        .flat_map(|outcome| outcome.documents.iter().map(|one| with_facts(outcome, one)))
        .collect()
}

/// One slice against many, by every mapping.
fn holds(event: &Value, limits: SplitLimits) {
    holds_for::<Ecs112>(event, limits);
    holds_for::<Ecs9>(event, limits);
}

fn holds_for<M: Mapping>(event: &Value, limits: SplitLimits) {
    let mapping = M::new(b"{}", Origin::default()).unwrap();
    let whole = records(event, SplitLimits::default());
    let sliced = records(event, limits);
    for records in [&whole, &sliced] {
        for (record, outcome) in records.iter().zip(map(&mapping, records)) {
            assert_eq!(
                outcome.documents.len() + outcome.refused.len(),
                record.attributes.max(1) as usize
            );
        }
    }
    assert_eq!(
        documents(&map(&mapping, &whole)),
        documents(&map(&mapping, &sliced))
    );
}

#[test]
fn every_made_up_event_maps_the_same_in_slices() {
    for event in events::demo() {
        for attributes in [1, 7, 100] {
            holds(
                &event,
                SplitLimits {
                    attributes,
                    ..SplitLimits::default()
                },
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_cut_maps_the_same(seed in 1_u64..1_000, count in 0_usize..40, attributes in 1_u32..10, bytes in 100_usize..10_000) {
        holds(&events::many_attributes(seed, count), SplitLimits { attributes, bytes, ..SplitLimits::default() });
    }
}
