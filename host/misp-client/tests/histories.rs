//! Any history of a server under either endpoint's walk and by either clock: in the end whoever
//! took in what came, and let go of what whole events no longer held, has what the server has.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use common::came::{Came, Endpoint, listed, published, source};
use common::map;
use misp_client::{CursorKind, WalkOptions};
use misp_ecs_tests::FakeMisp;
use misp_ecs_tests::events::{self, BASE_TIME, attr, event};
use misp_ecs_tests::fake_misp::Store;
use pipeline::{Cursor, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Debug, Clone)]
enum Act {
    Nothing,
    Add { live: u64, deleted: u64 },
    Edit(usize),
    AddAttribute(usize),
    SoftDelete(usize, usize),
    HardDelete(usize, usize),
    Publish(usize),
    Delete(usize),
    Wait(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let nth = any::<usize>;
    prop_oneof![
        4 => Just(Act::Nothing),
        1 => (0_u64..9, 0_u64..4).prop_map(|(live, deleted)| Act::Add { live, deleted }),
        2 => nth().prop_map(Act::Edit),
        1 => nth().prop_map(Act::AddAttribute),
        1 => (nth(), nth()).prop_map(|(event, one)| Act::SoftDelete(event, one)),
        3 => (nth(), nth()).prop_map(|(event, one)| Act::HardDelete(event, one)),
        4 => nth().prop_map(Act::Publish),
        1 => nth().prop_map(Act::Delete),
        2 => (1_i64..9).prop_map(Act::Wait),
    ]
}

fn built(seed: u64, live: u64, deleted: u64) -> Value {
    let mut built = event(seed, "x");
    for number in 0..live + deleted {
        let one = attr("text", &format!("{seed}-{number}"));
        built = built.attribute(one.with("deleted", number >= live));
    }
    built.with("attribute_count", live.to_string()).build()
}

fn pick(store: &Store, nth: usize) -> Option<(String, Vec<String>)> {
    let events = store.events();
    let event = events.get(nth.checked_rem(events.len())?)?;
    let name = |value: &Value| value["uuid"].as_str().unwrap_or_default().to_owned();
    let attributes = event["Attribute"].as_array()?.iter().map(name).collect();
    Some((name(event), attributes))
}

/// MISP counts live attributes.
fn count(store: &mut Store, uuid: &str) {
    store.edit(uuid, |event| {
        let all = event["Attribute"].as_array().map_or(&[][..], Vec::as_slice);
        let live = all.iter().filter(|one| one["deleted"] != true).count();
        event["attribute_count"] = live.to_string().into();
    });
}

fn happen(store: &mut Store, act: &Act, seed: &mut u64) {
    *seed += 1;
    match act {
        Act::Nothing => {}
        Act::Wait(seconds) => store.advance(*seconds),
        Act::Add { live, deleted } => {
            store.add(built(*seed, *live, *deleted));
            // As if it was made here: its clock is the server's.
            store.edit(&events::uuid(*seed, 0), |_| {});
            store.publish(&events::uuid(*seed, 0));
        }
        Act::Edit(nth) | Act::AddAttribute(nth) | Act::Publish(nth) | Act::Delete(nth) => {
            let Some((uuid, _)) = pick(store, *nth) else {
                return;
            };
            match act {
                Act::Edit(_) => store.edit(&uuid, |event| {
                    if let Some(one) = event["Attribute"].get_mut(0) {
                        one["value"] = format!("edited {seed}").into();
                    }
                }),
                Act::AddAttribute(_) => {
                    let one = built(*seed, 1, 0)["Attribute"][0].clone();
                    store.edit(&uuid, |event| {
                        if let Some(list) = event["Attribute"].as_array_mut() {
                            list.push(one);
                        }
                    });
                    count(store, &uuid);
                }
                Act::Publish(_) => store.publish(&uuid),
                _ => store.delete(&uuid),
            }
        }
        Act::SoftDelete(nth, one) | Act::HardDelete(nth, one) => {
            let Some((uuid, attributes)) = pick(store, *nth) else {
                return;
            };
            let Some(place) = one.checked_rem(attributes.len()) else {
                return;
            };
            match act {
                Act::SoftDelete(..) => store.soft_delete(&uuid, &attributes[place]),
                _ => store.hard_delete(&uuid, &attributes[place]),
            }
            count(store, &uuid);
        }
    }
}

/// What an output would hold: attributes by event, with the page that brought them last.
#[derive(Debug, Default)]
struct Held {
    by_event: BTreeMap<String, BTreeMap<String, (String, u64)>>,
    page: u64,
    /// The first page since the cursor moved.
    since: Option<u64>,
    cursor: Option<Cursor>,
    /// Every attribute and value that came.
    came: BTreeSet<(String, String)>,
}

impl Held {
    async fn walk(&mut self, source: &mut dyn Source) {
        while let Some(page) = source.next_page().await.unwrap() {
            self.page += 1;
            let since = *self.since.get_or_insert(self.page);
            let mut came = Came::default();
            let cursor = page.cursor.clone();
            came.take(page);
            for (event, uuid, value) in came.events {
                let held = self.by_event.entry(event).or_default();
                match value {
                    Some(value) => {
                        self.came.insert((uuid.clone(), value.clone()));
                        held.insert(uuid, (value, self.page));
                    }
                    None => {
                        held.remove(&uuid);
                    }
                }
            }
            for event in &came.whole {
                if let Some(held) = self.by_event.get_mut(event) {
                    held.retain(|_, (_, seen)| *seen >= since);
                }
            }
            if cursor.is_some() {
                self.cursor = cursor;
                self.since = None;
            }
        }
    }
}

type ByEvent = BTreeMap<String, BTreeMap<String, String>>;

/// The live attributes of the events that may be shown, by event.
fn truth(store: &Store, published_only: bool) -> ByEvent {
    let name = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let events = store.events().iter();
    let shown = events.filter(|event| !published_only || event["published"] == true);
    let of = |event: &Value| {
        let all = event["Attribute"].as_array().unwrap().iter();
        let live = all.filter(|one| one["deleted"] != true);
        live.map(|one| (name(one, "uuid"), name(one, "value")))
            .collect()
    };
    shown
        .map(|event| (name(event, "uuid"), of(event)))
        .collect()
}

/// Each attribute and value that may be shown.
fn shown(store: &Store, published_only: bool) -> BTreeSet<(String, String)> {
    truth(store, published_only)
        .into_values()
        .flatten()
        .collect()
}

#[derive(Debug, Clone)]
struct Case {
    endpoint: Endpoint,
    cursor: CursorKind,
    first: Vec<(u64, u64)>,
    acts: Vec<Vec<Act>>,
    cap: Option<usize>,
    deleted: bool,
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop_oneof![Just(Endpoint::Events), Just(Endpoint::Attributes)],
        prop_oneof![Just(CursorKind::Publish), Just(CursorKind::Timestamp)],
        prop::collection::vec((0_u64..14, 0_u64..5), 1..7),
        prop::collection::vec(prop::collection::vec(act(), 0..3), 0..30),
        prop::option::weighted(0.2, 2_usize..9),
        any::<bool>(),
    )
        .prop_map(|(endpoint, cursor, first, acts, cap, deleted)| Case {
            endpoint,
            cursor,
            first,
            acts,
            cap,
            deleted,
        })
}

async fn run(case: Case) {
    let misp = FakeMisp::start().await;
    misp.habits(|habits| habits.limit_cap = case.cap);
    for (seed, (live, deleted)) in (1_u64..).zip(&case.first) {
        let uuid = events::uuid(seed, 0);
        misp.add(built(seed, *live, *deleted));
        misp.with_store(|store| {
            store.set_now(BASE_TIME + i64::try_from(seed / 2).unwrap());
            store.publish(&uuid);
        });
    }
    misp.with_store(|store| store.advance(100));
    let published_only = case.cursor == CursorKind::Publish;
    let ever = misp.with_store(|store| shown(store, published_only));
    let ever = Arc::new(Mutex::new(ever));
    for (nth, acts) in case.acts.iter().cloned().enumerate() {
        let mut seed = 1_000 + 100 * nth as u64;
        let ever = Arc::clone(&ever);
        misp.before_search(nth, move |store| {
            for act in &acts {
                happen(store, act, &mut seed);
                ever.lock().unwrap().extend(shown(store, published_only));
            }
        });
    }
    let options = || WalkOptions {
        page_size: 2,
        attributes_page: 6,
        cursor: case.cursor,
        // As a mapping would ask.
        request: if case.deleted {
            map(json!({"deleted": [0, 1]}))
        } else {
            map(json!({}))
        },
        ..WalkOptions::default()
    };
    let mut held = Held::default();
    for _ in 0..3 {
        let mut walked = source(&misp, case.endpoint, options(), held.cursor.as_ref());
        held.walk(walked.as_mut()).await;
    }
    // Now the server keeps still: what was published once more after an edit is there.
    while misp.searches().len() < case.acts.len() {
        let mut walked = source(&misp, case.endpoint, options(), held.cursor.as_ref());
        held.walk(walked.as_mut()).await;
    }
    misp.with_store(|store| store.advance(1_000));
    let mut walked = source(&misp, case.endpoint, options(), held.cursor.as_ref());
    held.walk(walked.as_mut()).await;
    let hidden: Vec<_> = held
        .came
        .difference(&ever.lock().unwrap())
        .cloned()
        .collect();
    assert_eq!(hidden, Vec::new(), "never published, and yet it came");
    let there = misp.with_store(|store| truth(store, published_only));
    for (event, attributes) in &there {
        let has: BTreeMap<&str, &str> = held
            .by_event
            .get(event)
            .into_iter()
            .flatten()
            .map(|(uuid, (value, _))| (uuid.as_str(), value.as_str()))
            .collect();
        let wanted: BTreeMap<&str, &str> = attributes
            .iter()
            .map(|(uuid, value)| (uuid.as_str(), value.as_str()))
            .collect();
        // An event that lost its last attribute drops out of a search with `deleted`, and has
        // nothing left to come of: a sweep withdraws it.
        if wanted.is_empty() {
            continue;
        }
        assert_eq!(has, wanted, "{event}");
    }
    let listed: BTreeSet<String> = listed(walked.as_ref()).await.into_iter().collect();
    let wanted: BTreeSet<String> = there.values().flat_map(|one| one.keys().cloned()).collect();
    assert_eq!(listed, wanted);
    if published_only {
        assert_eq!(wanted, published(&misp).into_iter().collect());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whoever_listens_has_what_the_server_has(case in case()) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(case));
    }
}
