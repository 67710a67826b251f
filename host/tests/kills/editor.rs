//! Who works on the server meanwhile: one act, or some, between any two requests.

use std::sync::Arc;

use misp_ecs_tests::FakeMisp;
use misp_ecs_tests::events::{self, BASE_TIME, attr, event, object};
use misp_ecs_tests::fake_misp::Store;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::output::{Shown, what};

const EVENTS: u64 = 14;

fn name(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// A made-up event with loose attributes and two objects.
fn made_up(seed: u64, attributes: u64) -> events::EventBuilder {
    let domain = |part: u64| attr("domain", &format!("host-{part}.e{seed}.example.org"));
    let pair = |first: u64| {
        object("domain-ip", "network")
            .attribute("domain", domain(first))
            .attribute("domain", domain(first + 1))
    };
    let loose = (0..attributes).fold(event(seed, "x").tag("lab:new"), |built, part| {
        built.attribute(domain(part))
    });
    loose.object(pair(9_000)).object(pair(9_002))
}

/// Some events, one of them with more attributes than a slice of the mapping's input holds.
pub(crate) fn fill(store: &mut Store) {
    for seed in 1..=EVENTS {
        let attributes = if seed == EVENTS { 1_050 } else { seed * 2 };
        let second = BASE_TIME + i64::try_from(seed / 3).unwrap();
        let built = made_up(seed, attributes).edited_at(second);
        store.add(built.published_at(second).build());
    }
}

/// Edits with every few requests that come, until it is aborted. What it makes is numbered from
/// `seed` on: no two editors may make the same uuids.
pub(crate) fn start(
    misp: Arc<FakeMisp>,
    mut random: fastrand::Rng,
    mut seed: u64,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut next = misp.request_count() + 3;
        loop {
            misp.arrived(next).await;
            seed += 10;
            misp.with_store(|store| some_acts(store, &mut random, seed));
            next = misp.request_count() + random.usize(1..4);
        }
    })
}

/// One to four acts; what they make is numbered from `seed` on.
pub(crate) fn some_acts(store: &mut Store, random: &mut fastrand::Rng, seed: u64) {
    for nth in 0..random.u64(1..5) {
        act(store, random, seed + nth);
    }
}

/// An event, and one of its attributes.
fn pick(store: &Store, random: &mut fastrand::Rng) -> Option<(String, Option<String>)> {
    let chosen = random.choice(store.events())?;
    let loose = chosen["Attribute"].as_array().into_iter().flatten();
    let objects = chosen["Object"].as_array().into_iter().flatten();
    let inside = objects.flat_map(|object| object["Attribute"].as_array().into_iter().flatten());
    let uuids: Vec<String> = loose.chain(inside).map(|one| name(one, "uuid")).collect();
    Some((name(chosen, "uuid"), random.choice(&uuids).cloned()))
}

fn act(store: &mut Store, random: &mut fastrand::Rng, seed: u64) {
    let Some((uuid, attribute)) = pick(store, random) else {
        return;
    };
    let attribute = attribute.unwrap_or_default();
    match random.u8(0..24) {
        0..=3 => {
            store.edit_attribute(&uuid, &attribute, |found| {
                found["value"] = format!("edited-{seed}.example.net").into();
                found["comment"] = format!("edit {seed}").into();
            });
        }
        4..=5 => {
            let mut one = made_up(seed, 1).build()["Attribute"][0].clone();
            one["value"] = format!("added-{seed}.example.net").into();
            store.add_attribute(&uuid, one);
        }
        6..=7 => {
            // There and back: every document of the event is as it was before.
            toggle(store, &uuid, "lab:seen");
            store.publish(&uuid);
        }
        8..=9 => store.soft_delete(&uuid, &attribute),
        10..=11 => store.hard_delete(&uuid, &attribute),
        12 if store.events().len() > 6 => store.delete(&uuid),
        13 => {
            let size = random.u64(0..6);
            store.add(made_up(seed, size).edited_at(store.now()).build());
            store.publish(&events::uuid(seed, 0));
        }
        14 => {
            // Long ago by all its clocks: behind every cursor.
            let second = BASE_TIME - 10_000 + random.i64(0..5_000);
            let copy = made_up(seed, 3).edited_at(second).published_at(second);
            store.sync(copy.build());
        }
        15 => sync_again(store, random, seed),
        16 => store.unpublish(&uuid),
        17..=18 => store.advance(random.i64(1..4)),
        _ => {
            store.publish(&uuid);
            publish_one(store, random);
        }
    }
}

fn toggle(store: &mut Store, uuid: &str, tag: &str) {
    let mut events = store.events().iter();
    let event = events.find(|event| event["uuid"] == uuid);
    let tags = event.and_then(|event| event["Tag"].as_array());
    if tags.is_some_and(|tags| tags.iter().any(|one| one["name"] == tag)) {
        store.untag(uuid, tag);
    } else {
        store.tag(uuid, tag);
    }
}

/// A newer copy of an old event of a feed, that is behind the cursor all the same.
fn sync_again(store: &mut Store, random: &mut fastrand::Rng, seed: u64) {
    let old: Vec<Value> = store
        .events()
        .iter()
        .filter(|event| name(event, "timestamp").parse::<i64>().unwrap() < BASE_TIME - 1)
        .cloned()
        .collect();
    let Some(mut copy) = random.choice(&old).cloned() else {
        return;
    };
    let second = name(&copy, "timestamp").parse::<i64>().unwrap() + 1;
    copy["timestamp"] = second.to_string().into();
    if let Some(first) = copy["Attribute"].get_mut(0) {
        first["timestamp"] = second.to_string().into();
        first["value"] = format!("fed-{seed}.example.net").into();
    }
    store.sync(copy);
}

fn unpublished(store: &Store) -> Vec<String> {
    let events = store.events().iter();
    let drafts = events.filter(|event| event["published"] != true);
    drafts.map(|event| name(event, "uuid")).collect()
}

fn publish_one(store: &mut Store, random: &mut fastrand::Rng) {
    if let Some(uuid) = random.choice(&unpublished(store)) {
        store.publish(uuid);
    }
}

/// Publishes all that is not, and lets time pass.
pub(crate) fn publish_all(store: &mut Store) {
    store.advance(5);
    for uuid in unpublished(store) {
        store.publish(&uuid);
    }
    store.advance(1_000);
}

/// What the server shows: live attributes of published events, or of all.
pub(crate) fn database(store: &Store, drafts: bool) -> Shown {
    let mut shown = Shown::new();
    for event in store.events() {
        if !drafts && event["published"] != true {
            continue;
        }
        let loose = event["Attribute"].as_array().into_iter().flatten();
        let objects = event["Object"].as_array().into_iter().flatten();
        let inside = objects.flat_map(|one| one["Attribute"].as_array().into_iter().flatten());
        for attribute in loose.chain(inside).filter(|one| one["deleted"] != true) {
            let tags = event["Tag"].as_array().into_iter().flatten();
            let what = what(
                &name(event, "uuid"),
                &name(attribute, "value"),
                &name(attribute, "comment"),
                &tags.filter_map(|tag| tag["name"].as_str()).collect(),
            );
            shown.insert(name(attribute, "uuid"), what);
        }
    }
    shown
}
