//! Events that MISP cannot give although it answers otherwise: they cost themselves only.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeSet;

use common::came::{BOTH, Came, published, small, source};
use common::{client, options, sized};
use misp_client::{Client, EventsWalk, WalkOptions};
use misp_ecs_tests::FakeMisp;
use misp_ecs_tests::events::{BASE_TIME, attr, event, uuid};
use pipeline::{Cursor, Source, SourceError};
use splitter::SpoolLimits;

/// Fourteen events, of which the fifth and the sixth are marked.
async fn misp() -> FakeMisp {
    let misp = FakeMisp::start().await;
    for seed in 1..=14 {
        let info = if (5..=6).contains(&seed) {
            "too much"
        } else {
            "as usual"
        };
        let one = event(seed, info)
            .attribute(attr("ip-dst", &format!("192.0.2.{seed}")))
            .attribute(attr("domain", &format!("host{seed}.example.org")))
            .published_at(BASE_TIME + seed as i64);
        misp.add(one.build());
    }
    misp.with_store(|store| store.advance(1_000));
    misp
}

fn marked() -> BTreeSet<String> {
    [uuid(5, 0), uuid(6, 0)].into()
}

/// What a walk came to: events that it passed over, and the errors of each page in a row.
#[derive(Default)]
struct Walked {
    came: Came,
    unread: Vec<String>,
    cursors: Vec<Cursor>,
    most_errors: u32,
    last_error: Option<SourceError>,
}

/// To the end, or until a page fails five times, as a single pass does.
async fn walk(source: &mut dyn Source) -> Walked {
    let mut walked = Walked::default();
    let mut errors = 0;
    loop {
        match source.next_page().await {
            Ok(None) => return walked,
            Ok(Some(mut page)) => {
                errors = 0;
                walked.cursors.extend(page.cursor.clone());
                let unread = std::mem::take(&mut page.unread);
                for one in &unread {
                    assert!(!one.error.is_empty());
                }
                walked.unread.extend(unread.into_iter().map(|one| one.uuid));
                walked.came.take(page);
            }
            Err(error) => {
                errors += 1;
                walked.most_errors = walked.most_errors.max(errors);
                if errors == 5 {
                    walked.last_error = Some(error);
                    return walked;
                }
            }
        }
    }
}

async fn named(source: &mut dyn Source, names: BTreeSet<String>) -> (Came, Vec<String>) {
    let mut names: Vec<String> = names.into_iter().collect();
    let (mut came, mut unread, mut errors) = (Came::default(), Vec::new(), 0);
    while !names.is_empty() {
        match source.named_page(&mut names).await {
            Ok(None) => break,
            Ok(Some(mut page)) => {
                errors = 0;
                unread.extend(page.unread.drain(..).map(|one| one.uuid));
                came.take(page);
            }
            Err(error) => {
                errors += 1;
                assert!(errors < 5, "{error}");
            }
        }
    }
    (came, unread)
}

#[tokio::test]
async fn a_walk_passes_over_events_that_misp_cannot_serve() {
    for endpoint in BOTH {
        for page_size in [2, 5, 50] {
            let misp = misp().await;
            let options = WalkOptions {
                page_size,
                ..small()
            };
            misp.habits(|habits| habits.unservable = Some("too much"));
            let mut source = source(&misp, endpoint, options, None);
            let walked = walk(source.as_mut()).await;
            let what = format!("{endpoint:?} by {page_size}");
            assert!(walked.last_error.is_none(), "{what}");
            assert!(walked.most_errors <= 4, "{what}: {}", walked.most_errors);
            let unread: BTreeSet<String> = walked.unread.into_iter().collect();
            assert_eq!(unread, marked(), "{what}");
            assert_eq!(walked.came.attributes.len(), 24, "{what}");
            assert!(walked.came.whole.is_disjoint(&marked()), "{what}");

            // The cursor is past them: the next poll brings nothing, also after a restart.
            let again = walk(source.as_mut()).await;
            assert!(again.unread.is_empty() && again.came.events.is_empty());
            let cursor = walked.cursors.last();
            let mut after = common::came::source(&misp, endpoint, small(), cursor);
            let after = walk(after.as_mut()).await;
            assert!(after.unread.is_empty() && after.came.events.is_empty());

            // By name they fail by themselves, and come once MISP can serve them.
            let mut all = marked();
            all.insert(uuid(7, 0));
            let (came, unread) = named(source.as_mut(), all.clone()).await;
            assert_eq!(unread.into_iter().collect::<BTreeSet<_>>(), marked());
            assert_eq!(came.attributes.len(), 2, "{what}");
            misp.habits(|habits| habits.unservable = None);
            let (came, unread) = named(source.as_mut(), all).await;
            assert_eq!((came.attributes.len(), unread.len()), (6, 0), "{what}");
        }
    }
}

#[tokio::test]
async fn an_event_over_max_answer_costs_no_try_at_all() {
    let misp = misp().await;
    misp.with_store(|store| {
        store.edit(&uuid(9, 0), |event| {
            event["Attribute"][0]["comment"] = "x".repeat(200_000).into();
        });
        store.publish(&uuid(9, 0));
        store.advance(1_000);
    });
    let limited = Client::new(misp_client::ClientOptions {
        spool: SpoolLimits {
            total: 60_000,
            ..SpoolLimits::default()
        },
        ..options(&misp)
    });
    let mut source = EventsWalk::new(limited.unwrap(), sized(50), None).unwrap();
    let walked = walk(&mut source).await;
    assert!(walked.last_error.is_none() && walked.most_errors == 0);
    assert_eq!(walked.unread, [uuid(9, 0)]);
    assert_eq!(walked.came.attributes.len(), 26);
}

#[tokio::test]
async fn a_misp_that_serves_nothing_loses_no_event() {
    for endpoint in BOTH {
        let misp = misp().await;
        let mut source = source(&misp, endpoint, small(), None);
        misp.habits(|habits| habits.echo = Some(500));
        let walked = walk(source.as_mut()).await;
        assert!(walked.last_error.is_some() && walked.unread.is_empty());
        assert!(walked.cursors.is_empty());
        misp.habits(|habits| habits.echo = None);
        let walked = walk(source.as_mut()).await;
        assert_eq!(walked.came.uuids(), published(&misp));
        assert!(walked.unread.is_empty());
    }
}

#[tokio::test]
async fn a_listing_goes_on_without_an_event_that_cannot_be_listed() {
    let misp = misp().await;
    misp.habits(|habits| habits.unservable = Some("too much"));
    let walk = EventsWalk::new(client(&misp), small(), None).unwrap();
    let mut listing = walk.listing().unwrap();
    let (mut attributes, mut errors) = (0, 0);
    loop {
        match listing.attributes().await {
            Ok(None) => break,
            Ok(Some(some)) => attributes += some.len(),
            Err(_) => errors += 1,
        }
        assert!(errors < 5);
    }
    assert_eq!(attributes, 24);
    let mut events = Vec::new();
    while let Some(some) = listing.events().await.unwrap() {
        events.extend(some);
    }
    assert_eq!(events.len(), 14);
    for event in events {
        // What is being edited is not deleted from the outputs.
        let held_back = !event.published && event.timestamp == i64::MAX;
        assert_eq!(held_back, marked().contains(&event.uuid), "{event:?}");
    }
}
