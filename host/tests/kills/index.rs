//! What the Elasticsearch holds, in both modes, and what it has to hold.

use std::collections::BTreeMap;

use misp_ecs_tests::FakeElastic;
use serde_json::Value;

use crate::output::{Shown, same, shown};

const LATEST: &str = "logs-ti_misp_ecs.latest-default-*";
const STREAM: &str = "logs-ti_misp_ecs.threat-default";

/// What moves by itself, so that a change of it alone is not sent: what an older reading says of
/// it may stand. `ecs-9` and `ecs-1.12`.
const MOVING: [&str; 13] = [
    "/agent",
    "/misp_ecs",
    "/event/created",
    "/event/ingested",
    "/event/original",
    "/misp/event/attribute_count",
    "/misp/event/publish_timestamp",
    "/misp/event/published",
    "/misp/event/timestamp",
    "/misp/attribute_count",
    "/misp/publish_timestamp",
    "/misp/published",
    "/misp/timestamp",
];

/// By the id that the mapping gave them, what moves taken out.
pub(crate) type Documents = BTreeMap<String, Value>;

/// What stands in the indices of all mappings; an id is in one of them only.
pub(crate) fn latest(elastic: &FakeElastic) -> Documents {
    of_indices(elastic, LATEST)
}

/// What a search by this alias finds, by id.
pub(crate) fn of_alias(elastic: &FakeElastic, alias: &str) -> Documents {
    of_indices(elastic, alias)
}

fn of_indices(elastic: &FakeElastic, name: &str) -> Documents {
    elastic.with_store(|store| {
        let mut found = Documents::new();
        for (index, held) in store.behind(name) {
            assert!(!held.data_stream, "{index}");
            for (id, document) in held.documents() {
                let twice = found.insert(id.to_owned(), still(document));
                assert!(twice.is_none(), "{id} is in {index} and in another index");
            }
        }
        found
    })
}

/// What stands by the stream: the newest revision of each id, unless it is a tombstone. A revision
/// is there once.
pub(crate) fn newest(elastic: &FakeElastic) -> Documents {
    let documents = elastic.with_store(|store| store.documents(STREAM));
    let mut revisions: BTreeMap<String, BTreeMap<u64, (String, Value)>> = BTreeMap::new();
    for (name, document) in documents {
        let mut parts = name.rsplitn(3, '-');
        let (end, revision) = (parts.next().unwrap(), parts.next().unwrap());
        let (id, revision) = (parts.next().unwrap(), revision.parse().unwrap());
        let of_id = revisions.entry(id.to_owned()).or_default();
        if let Some((other, _)) = of_id.insert(revision, (end.to_owned(), document)) {
            panic!("revision {revision} of {id} is there twice: {end} and {other}");
        }
    }
    let newest = revisions.into_iter().filter_map(|(id, mut revisions)| {
        let (_, (end, document)) = revisions.pop_last()?;
        if end != "delete" {
            return Some((id, still(&document)));
        }
        assert_eq!(document["misp_ecs"]["operation"], "delete", "{document}");
        assert_eq!(document["misp_ecs"]["id"], id.as_str(), "{document}");
        None
    });
    newest.collect()
}

fn still(document: &Value) -> Value {
    let mut document = document.clone();
    if document["ecs"]["version"] == "1.12" {
        // The event's, which moves with every attribute of it.
        document["@timestamp"].take();
    }
    for pointer in MOVING {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        if let Some(Value::Object(parent)) = document.pointer_mut(parent) {
            parent.remove(key);
        }
    }
    document
}

/// Holds that what stands is what MISP shows, and that it is what a first reading of MISP gives.
pub(crate) fn holds(found: &Documents, clean: &Documents, wanted: &Shown, said: &str) {
    same(wanted, &shown(found.values()), said);
    same(clean, found, said);
    assert!(found.len() > 100, "{} documents", found.len());
}
