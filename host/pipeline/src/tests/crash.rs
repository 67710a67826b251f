//! Crashes at any place, any number of times: afterwards nothing is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::fakes::{Act, LATER, World};
use crate::{BatchLimits, Options};

/// The step that a life begins with.
const START: &str = "starts";

/// What the calls of one life do; `Hang` is where it is killed.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => Just(Act::Work),
        2 => Just(Act::Fail(LATER)),
        1 => Just(Act::Hang),
    ];
    prop::collection::vec(act, 0..8)
}

fn no_hangs() -> impl Strategy<Value = Vec<Act>> {
    acts().prop_map(|acts| acts.into_iter().filter(|act| *act != Act::Hang).collect())
}

#[derive(Debug)]
struct Life {
    source: Vec<Act>,
    mapping: Vec<Act>,
    one: Vec<Act>,
    two: Vec<Act>,
    letters: Vec<Act>,
    store: Vec<Act>,
    looking_up: Vec<Act>,
    noting: Vec<Act>,
    remembering: Vec<Act>,
}

fn life() -> impl Strategy<Value = Life> {
    // No transaction hangs: the state says that it failed.
    let states = (no_hangs(), no_hangs(), no_hangs(), no_hangs());
    (acts(), acts(), acts(), acts(), acts(), states).prop_map(
        |(source, mapping, one, two, letters, (store, looking_up, noting, remembering))| Life {
            source,
            mapping,
            one,
            two,
            letters,
            store,
            looking_up,
            noting,
            remembering,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_dies_nothing_is_missing(
        pages in prop::collection::vec(1_usize..6, 1..6),
        // A page is one batch, or up to three.
        attributes in prop_oneof![Just(2_u64), Just(1_000)],
        lives in prop::collection::vec(life(), 0..5),
    ) {
        let uuids: Vec<Vec<String>> = pages
            .iter()
            .enumerate()
            .map(|(page, count)| (0..*count).map(|place| format!("{page}-{place}")).collect())
            .collect();
        let world = World::new(&[], &["one", "two"]);
        *world.pages.lock().unwrap() = uuids.clone();
        let options = || Options {
            batch: BatchLimits { attributes, ..BatchLimits::default() },
            ..Options::default()
        };
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        executor.block_on(async {
            for life in &lives {
                world.source.then(life.source.iter().copied());
                world.mapping.then(life.mapping.iter().copied());
                world.outputs["one"].then(life.one.iter().copied());
                world.outputs["two"].then(life.two.iter().copied());
                world.letters.then(life.letters.iter().copied());
                world.store.then(life.store.iter().copied());
                world.looking_up.then(life.looking_up.iter().copied());
                world.noting.then(life.noting.iter().copied());
                world.remembering.then(life.remembering.iter().copied());
                world.step(START.to_owned());
                let (pipeline, ledger) = world.pipeline(options());
                // Ends, gives up, or hangs and is killed.
                let run = pipeline.run(CancellationToken::new());
                let _ = tokio::time::timeout(Duration::from_secs(600), run).await;
                assert_eq!(ledger.counts().balance(), Ok(()));
            }
            // Lives until one finishes: what is left of the scripts is used up.
            for _ in 0..200 {
                world.step(START.to_owned());
                let (pipeline, _) = world.pipeline(options());
                let run = pipeline.run(CancellationToken::new());
                if let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(600), run).await {
                    return;
                }
            }
            panic!("no life finished");
        });
        for name in ["one", "two"] {
            let stored = world.stored(name);
            let missing: Vec<_> = uuids.iter().flatten().filter(|uuid| !stored.contains(uuid)).collect();
            prop_assert!(missing.is_empty(), "{}: {:?}", name, missing);
            // Whatever died: nothing was sent that was not noted before.
            let mut noted: BTreeSet<&str> = BTreeSet::new();
            let steps = world.steps();
            let (note, to) = (format!("note {name} "), format!("to {name} "));
            for step in &steps {
                if step == START {
                    noted.clear();
                } else if let Some(ids) = step.strip_prefix(&note) {
                    noted.extend(ids.split(' '));
                } else if let Some(ids) = step.strip_prefix(&to) {
                    let unnoted: Vec<_> = ids.split(' ').filter(|id| !noted.contains(id)).collect();
                    prop_assert!(unnoted.is_empty(), "{unnoted:?}: {steps:#?}");
                }
            }
            let mut versions: BTreeMap<String, u64> = BTreeMap::new();
            for (id, version) in &world.stored.lock().unwrap()[name] {
                let before = versions.insert(id.clone(), *version).unwrap_or_default();
                prop_assert!(before <= *version, "{id}: {before} then {version}");
            }
        }
    }
}
