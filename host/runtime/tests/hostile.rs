//! A mapping that misbehaves: it costs the attribute at fault and nothing else.
//!
//! The component is `tests/components/hostile`, built here: an attribute whose
//! value is `trap` traps, `loop` never ends, and so on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use pipeline::{Batch, Class, Classify as _, Mapped, RefusalKind, Transform as _};
use runtime::{
    Engine, Fault, LoadError, LoadedMapping, Mapper, Origin, RuntimeOptions, StartError,
};
use serde_json::json;
use splitter::{EventHead, Record};

const MIB: usize = 1 << 20;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn build(package: &str) -> Vec<u8> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    component_build::build(&root(), package, &target).unwrap()
}

fn hostile() -> &'static (Engine, LoadedMapping) {
    static HOSTILE: OnceLock<(Engine, LoadedMapping)> = OnceLock::new();
    HOSTILE.get_or_init(|| {
        let engine = Engine::new(&RuntimeOptions {
            memory_bytes: 24 * MIB,
            output_bytes: 2 * MIB,
            call_timeout: Duration::from_secs(1),
            reuse_calls: 5,
            fault_limit: 4,
            ..RuntimeOptions::default()
        })
        .unwrap();
        let loaded = engine.load(&build("component-hostile")).unwrap();
        (engine, loaded)
    })
}

fn mapper() -> Mapper {
    let (engine, loaded) = hostile();
    Mapper::start(engine, loaded, b"{}".to_vec(), Origin::default()).unwrap()
}

/// An event whose attributes have these values; their uuids are their places.
fn event(uuid: &str, values: &[&str]) -> Record {
    let attributes: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(place, value)| json!({"uuid": format!("{uuid}-{place}"), "type": "text", "value": value}))
        .collect();
    let json = json!({"Event": {"uuid": uuid, "info": "x", "Attribute": attributes, "Object": []}});
    Record {
        json: Bytes::from(json.to_string()),
        head: EventHead {
            uuid: uuid.to_owned(),
            ..EventHead::default()
        },
        attributes: u32::try_from(values.len()).unwrap(),
        last: true,
    }
}

async fn map(mapper: &Mapper, records: Vec<Record>) -> Vec<Mapped> {
    mapper
        .transform(Batch { records, now_ms: 0 })
        .await
        .unwrap()
}

/// The values that were mapped, and the attributes refused with the reason's text.
fn came(mapped: &[Mapped]) -> (Vec<String>, Vec<(String, String)>) {
    let outcomes: Vec<_> = mapped
        .iter()
        .map(|mapped| mapped.as_ref().unwrap())
        .collect();
    let values = outcomes
        .iter()
        .flat_map(|outcome| &outcome.documents)
        .map(|document| String::from_utf8(document.body.to_vec()).unwrap())
        .collect();
    let refused = outcomes
        .iter()
        .flat_map(|outcome| &outcome.refused)
        .map(|refused| {
            assert_eq!(refused.reason.kind, RefusalKind::Fault);
            (
                refused.attribute.clone().unwrap(),
                refused.reason.text.clone(),
            )
        })
        .collect();
    (values, refused)
}

/// One bad attribute among good ones, in the second of three events.
async fn one_bad(value: &str, reason: &str) {
    let records = vec![
        event("a", &["1", "2"]),
        event("b", &["3", "4", value, "5", "6"]),
        event("c", &["7"]),
    ];
    let mapped = map(&mapper(), records).await;
    let (values, refused) = came(&mapped);
    let expected: Vec<String> = (1..=7).map(|n| format!("{{\"value\":\"{n}\"}}")).collect();
    assert_eq!(values, expected, "{value}");
    assert_eq!(refused.len(), 1, "{value}: {refused:?}");
    assert_eq!(refused[0].0, "b-2", "{value}");
    assert!(refused[0].1.contains(reason), "{value}: {}", refused[0].1);
    let tallied: u32 = mapped
        .iter()
        .flatten()
        .flat_map(|outcome| &outcome.tallies)
        .map(|tally| tally.count)
        .sum();
    assert_eq!(tallied, 7, "{value}");
    assert_eq!(mapped[1].as_ref().unwrap().event, "b");
}

#[tokio::test]
async fn a_trap_costs_its_attribute() {
    one_bad("trap", "unreachable").await;
}

#[tokio::test]
async fn a_panic_costs_its_attribute() {
    one_bad("panic", "unreachable").await;
    // What happened inside: the text of the panic, and the function.
    one_bad("panic", "asked to by panic").await;
    one_bad("panic", "panicked at ").await;
    // The compiler decides which functions are inlined into it.
    one_bad(
        "panic",
        "misp-ecs:mapping/mapping@0.1.0#[method]mapper.transform",
    )
    .await;
}

#[tokio::test]
async fn the_text_of_a_panic_on_a_private_attribute_is_not_written_down() {
    let mut record = event("e", &["panic"]);
    let json = String::from_utf8(record.json.to_vec()).unwrap();
    record.json = Bytes::from(json.replace("\"text\"", "\"made-up-private\""));
    let mapped = map(&mapper(), vec![record]).await;
    let (_, refused) = came(&mapped);
    let text = &refused[0].1;
    assert!(!text.contains("asked to"), "{text}");
    assert!(text.contains("mapper.transform"), "{text}");
}

#[tokio::test]
async fn a_loop_without_end_costs_its_attribute() {
    one_bad("loop", "it ran longer than").await;
}

#[tokio::test]
async fn a_memory_bomb_costs_its_attribute() {
    one_bad("memory", "bytes of memory, the limit is 25165824").await;
}

#[tokio::test]
async fn an_output_bomb_costs_its_attribute() {
    one_bad("output", "it returned more than 2097152 bytes").await;
}

#[tokio::test]
async fn what_breaks_the_contract_costs_its_attribute() {
    one_bad("lose", "1 attributes in, 0 documents and refusals out").await;
    one_bad("not-utf8", "is not UTF-8").await;
    one_bad("newline", "holds a newline").await;
    one_bad("no-object", "is no JSON object").await;
    one_bad("no-id", "has no id").await;
    one_bad("no-facts", "but the outcome has 1").await;
}

#[tokio::test]
async fn a_wrong_count_of_results_costs_the_attribute_behind_it() {
    one_bad("too-few", "0 results for 1 records").await;
    one_bad("too-many", "2 results for 1 records").await;
}

#[tokio::test]
async fn of_two_attributes_with_the_same_id_the_second_is_refused() {
    let records = vec![
        event("a", &["1", "collide"]),
        event("b", &["2", "3"]),
        event("c", &["4", "collide", "5"]),
    ];
    let mapped = map(&mapper(), records).await;
    let (values, refused) = came(&mapped);
    let expected: Vec<String> = ["1", "collide", "2", "3", "4", "5"]
        .map(|value| format!("{{\"value\":\"{value}\"}}"))
        .into();
    assert_eq!(values, expected);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].0, "c-1");
    assert!(
        refused[0].1.contains("\"the-same-for-all\"") && refused[0].1.contains("a-1"),
        "{}",
        refused[0].1
    );
    let outcomes = mapped.iter().flatten();
    let tallied: u32 = outcomes
        .flat_map(|outcome| &outcome.tallies)
        .map(|tally| tally.count)
        .sum();
    assert_eq!(tallied, 6);
}

#[tokio::test]
async fn the_same_attribute_twice_is_no_collision() {
    let twice = || event("a", &["1", "collide"]);
    let (values, refused) = came(&map(&mapper(), vec![twice(), twice()]).await);
    assert_eq!((values.len(), refused.len()), (4, 0));
}

#[tokio::test]
async fn the_same_id_for_everything_stops_loudly() {
    let records = vec![event("a", &["collide"; 8])];
    let error = mapper()
        .transform(Batch { records, now_ms: 0 })
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(
        error.to_string().contains("4 attributes in a row"),
        "{error}"
    );
}

#[tokio::test]
async fn the_attribute_is_found_inside_an_object() {
    let attributes: Vec<_> = ["1", "trap", "2"]
        .iter()
        .map(|value| json!({"uuid": format!("u{value}"), "value": value}))
        .collect();
    let json = json!({"Event": {"uuid": "e", "Attribute": [], "Object": [{"name": "file", "Attribute": attributes}]}});
    let record = Record {
        json: Bytes::from(json.to_string()),
        head: EventHead::default(),
        attributes: 3,
        last: true,
    };
    let (values, refused) = came(&map(&mapper(), vec![record]).await);
    assert_eq!(values.len(), 2);
    assert_eq!(refused[0].0, "utrap");
}

#[tokio::test]
async fn a_used_instance_answers_as_a_fresh_one() {
    let used = mapper();
    let records = || vec![event("a", &["1", "2"]), event("b", &["3"])];
    let first = map(&used, records()).await;
    // Over the number of calls an instance is used for, and after a fault.
    for _ in 0..12 {
        assert_eq!(map(&used, records()).await, first);
    }
    map(&used, vec![event("c", &["trap"])]).await;
    assert_eq!(map(&used, records()).await, first);
    assert_eq!(map(&mapper(), records()).await, first);
}

#[tokio::test]
async fn a_mapping_that_always_faults_stops_loudly() {
    let error = mapper()
        .transform(Batch {
            records: vec![event("a", &["trap"; 8])],
            now_ms: 0,
        })
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(
        error.to_string().contains("4 attributes in a row"),
        "{error}"
    );
}

#[tokio::test]
async fn faults_far_apart_do_not_stop_it() {
    let mapper = mapper();
    let values = [
        "trap", "1", "trap", "2", "trap", "3", "trap", "4", "trap", "5",
    ];
    let (mapped, refused) = came(&map(&mapper, vec![event("a", &values)]).await);
    assert_eq!((mapped.len(), refused.len()), (5, 5));
}

#[tokio::test]
async fn what_is_no_json_is_refused_by_the_mapping_itself() {
    let record = Record {
        json: Bytes::from_static(b"{\"Event\":"),
        head: EventHead::default(),
        attributes: 1,
        last: true,
    };
    let mapped = map(&mapper(), vec![record, event("a", &["1"])]).await;
    assert_eq!(mapped[0].as_ref().unwrap_err().kind, RefusalKind::Malformed);
    assert!(mapped[1].is_ok());
}

#[tokio::test]
async fn an_attribute_that_cannot_be_read_costs_itself() {
    let good = |uuid: &str| format!("{{\"uuid\":\"{uuid}\",\"value\":\"{uuid}\"}}");
    let json = format!(
        "{{\"Event\":{{\"uuid\":\"e\",\"Attribute\":[{},{},{}],\"Object\":[]}}}}",
        good("a"),
        "{\"uuid\":\"bad\",\"value\":\"\\ud800\"}",
        good("c"),
    );
    let record = Record {
        json: Bytes::from(json),
        head: EventHead::default(),
        attributes: 3,
        last: true,
    };
    let mapped = map(&mapper(), vec![record]).await;
    let outcome = mapped[0].as_ref().unwrap();
    assert_eq!(outcome.documents.len(), 2);
    assert_eq!(outcome.refused.len(), 1);
    assert_eq!(outcome.refused[0].reason.kind, RefusalKind::Malformed);
}

#[test]
fn bad_settings_are_said_at_the_start() {
    let (engine, loaded) = hostile();
    let start = |settings: &str| {
        Mapper::start(
            engine,
            loaded,
            settings.as_bytes().to_vec(),
            Origin::default(),
        )
        .unwrap_err()
    };
    assert!(matches!(start("{\"x\":1}"), StartError::UnknownKey(key) if key == "x"));
    assert!(matches!(start("["), StartError::Malformed(_)));
}

#[test]
fn what_is_no_mapping_is_not_loaded() {
    let (engine, _) = hostile();
    let load = |text: &str| engine.load(&wat::parse_str(text).unwrap()).err().unwrap();
    let nonsense = engine.load(b"nonsense").err().unwrap();
    assert!(
        matches!(nonsense, LoadError::NotAComponent { .. }),
        "{nonsense}"
    );
    let module = load("(module)");
    assert!(
        matches!(module, LoadError::NotAComponent { .. }),
        "{module}"
    );
    let imports = load(r#"(component (import "wasi:cli/environment@0.2.6" (instance)))"#);
    assert!(
        matches!(&imports, LoadError::Imports { names } if names == &["wasi:cli/environment@0.2.6"]),
        "{imports}"
    );
    assert!(matches!(load("(component)"), LoadError::Contract { .. }));
    // Nobody compares these two by their text.
    assert_ne!(Fault::Time { seconds: 1 }, Fault::Output { limit: 1 });
}

#[test]
fn the_mapping_of_the_house_imports_nothing_and_says_what_it_is() {
    let component = build("component-ecs-1-12");
    assert_eq!(component_build::imports(&component).unwrap().len(), 0);
    let (engine, _) = hostile();
    let loaded = engine.load(&component).unwrap();
    assert_eq!(loaded.description().name, "ecs-1.12");
    assert_eq!(loaded.identity().digest.len(), 64);
    assert!(loaded.description().fields.len() > 100);
}

#[test]
fn a_component_over_the_largest_size_is_not_compiled() {
    let engine = Engine::new(&RuntimeOptions::default()).unwrap();
    let error = engine
        .compile(&vec![0; runtime::LARGEST_COMPONENT + 1])
        .err();
    assert!(
        matches!(error, Some(LoadError::TooLarge { .. })),
        "{error:?}"
    );
    let error = engine.compile(&vec![0; runtime::LARGEST_COMPONENT]).err();
    assert!(
        matches!(error, Some(LoadError::NotAComponent { .. })),
        "{error:?}"
    );
}
