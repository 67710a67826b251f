//! The walk against a MISP on the loopback interface.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Taken, client, map, published, sized};
use misp_client::{Client, ClientOptions, WalkOptions};
use misp_ecs_tests::events::{self, BASE_TIME, attr, event};
use misp_ecs_tests::{FakeMisp, fake_misp::Fault};
use pipeline::{Class, Cursor, Source as _};
use serde_json::{Value, json};

async fn with_many(count: usize) -> FakeMisp {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(count));
    misp
}

#[tokio::test]
async fn finds_every_event_once_at_any_page_size() {
    let misp = with_many(230).await;
    misp.add(event(1, "never published").build());
    for page_size in [2, 10, 20, 50, 100, 500] {
        let mut taken = Taken::new(&misp, sized(page_size));
        taken.poll().await;
        let came: Vec<_> = taken.came.keys().cloned().collect();
        assert_eq!(came, published(&misp), "page size {page_size}");
        assert!(
            taken.came.values().all(|times| *times == 1),
            "page size {page_size}"
        );
        let before = misp.searches().len();
        taken.poll().await;
        assert_eq!(
            misp.searches().len(),
            before + 1,
            "nothing new is one request"
        );
        assert_eq!(taken.came.len(), 230);
    }
}

#[tokio::test]
async fn sends_the_body_of_the_walk_under_flags_and_filters() {
    let misp = with_many(3).await;
    let mut taken = Taken::new(
        &misp,
        WalkOptions {
            filters: map(json!({"tags": ["tlp:clear", "tlp:green"], "to_ids": true, "limit": 0})),
            request: map(json!({"includeDecayScore": 1, "to_ids": 0})),
            ..sized(50)
        },
    );
    taken.poll().await;
    let request = &misp.searches()[0];
    assert_eq!(request.path, "/events/restSearch");
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("accept"), Some("application/json"));
    assert_eq!(request.header("authorization"), Some(misp.key()));
    assert_eq!(
        request.json,
        json!({
            "returnFormat": "json", "page": 1, "limit": 50,
            "order": ["publish_timestamp asc", "id asc"], "publish_timestamp": 1, "published": 1,
            "includeDecayScore": 1, "to_ids": 1, "tags": ["tlp:clear", "tlp:green"],
        })
    );
    assert_eq!(taken.came.len(), 2);
}

#[tokio::test]
async fn continues_at_the_cursor_after_a_restart_at_any_page() {
    let misp = with_many(60).await;
    for pages in 0..12 {
        let mut first = Taken::new(&misp, sized(7));
        for _ in 0..pages {
            first.page().await.unwrap();
        }
        let mut second = Taken::resume(client(&misp), sized(7), first.cursor.clone());
        second.poll().await;
        let mut came = first.came.clone();
        came.extend(second.came.clone());
        let came: Vec<_> = came.into_keys().collect();
        assert_eq!(came, published(&misp), "restart after {pages} pages");
    }
}

#[tokio::test]
async fn an_event_published_again_in_the_same_second_comes_again() {
    let misp = FakeMisp::start().await;
    let uuid = events::uuid(1, 0);
    misp.add(event(1, "first text").build());
    misp.with_store(|store| store.publish(&uuid));
    let mut taken = Taken::new(&misp, sized(50));
    taken.poll().await;
    assert_eq!(taken.times(&uuid), 1);
    misp.with_store(|store| {
        store.edit(&uuid, |event| event["info"] = "second text".into());
        store.publish(&uuid);
        store.advance(1);
    });
    taken.poll().await;
    assert_eq!(
        taken.times(&uuid),
        2,
        "a second that is not over 2 s ago is asked again"
    );
    misp.with_store(|store| store.advance(1));
    taken.poll().await;
    assert_eq!(taken.times(&uuid), 3);
    taken.poll().await;
    assert_eq!(taken.times(&uuid), 3, "now it is settled");
}

#[tokio::test]
async fn edits_and_publications_under_the_walk_lose_nothing() {
    let misp = with_many(100).await;
    let all: Vec<String> = published(&misp).into_iter().map(|(uuid, _)| uuid).collect();
    for page in 0..20 {
        let (edited, again, deleted) = (
            all[page * 3].clone(),
            all[page * 3 + 1].clone(),
            all[page * 3 + 2].clone(),
        );
        misp.before_search(page, move |store| {
            store.edit(&edited, |event| event["info"] = "edited".into());
            store.edit(&again, |event| {
                event["info"] = "edited and published".into()
            });
            store.publish(&again);
            if page % 4 == 0 {
                store.delete(&deleted);
            }
            store.advance(3);
            store.add(
                event(70_000 + page as u64, "new")
                    .published_at(store.now())
                    .attribute(attr("domain", "new.example.com"))
                    .build(),
            );
        });
    }
    let mut taken = Taken::new(&misp, sized(5));
    taken.poll().await;
    misp.with_store(|store| store.advance(10));
    taken.poll().await;
    for publication in published(&misp) {
        assert!(
            taken.came.contains_key(&publication),
            "{publication:?} is lost"
        );
    }
}

#[tokio::test]
async fn an_edit_inside_a_large_second_shifts_nobody_out() {
    let misp = FakeMisp::start().await;
    for seed in 0..30 {
        misp.add(event(seed, "tie").published_at(BASE_TIME).build());
    }
    misp.add(event(99, "after").published_at(BASE_TIME + 9).build());
    let edited = events::uuid(0, 0);
    // The first page and the proof of order, then the second page by page: 1, 2, edit, 3..
    misp.before_search(4, move |store| store.edit(&edited, |_| {}));
    let mut taken = Taken::new(&misp, sized(4));
    taken.poll().await;
    assert_eq!(taken.came.len(), 31);
    let tie = misp
        .searches()
        .iter()
        .filter(|request| request.json["publish_timestamp"].is_array())
        .count();
    assert!(
        tie > 8,
        "the second was read again after it had changed: {tie}"
    );
}

#[tokio::test]
async fn an_old_server_that_ignores_order_loses_nothing() {
    let misp = FakeMisp::start().await;
    // By id the seconds go up for two pages, then down.
    for (seed, second) in [1, 2, 3, 40, 41, 42, 5, 6, 7, 30, 31, 4]
        .into_iter()
        .enumerate()
    {
        let built = event(seed as u64, "x").published_at(BASE_TIME + second);
        misp.add(built.build());
    }
    misp.habits(|habits| habits.ignore_order = true);
    for page_size in [2, 3, 5, 50] {
        let mut taken = Taken::new(&misp, sized(page_size));
        taken.page().await.unwrap();
        let cursor = taken.cursor.clone().unwrap();
        if page_size < 12 {
            assert!(
                cursor.0.contains(r#""w":1,"#),
                "moved only at the end: {}",
                cursor.0
            );
        }
        taken.poll().await;
        assert_eq!(taken.came.len(), 12, "page size {page_size}");
        let cursor = taken.cursor.clone().unwrap().0;
        assert!(
            cursor.contains(&format!(r#""w":{}"#, BASE_TIME + 42)),
            "{cursor}"
        );
    }
}

#[tokio::test]
async fn missing_headers_and_numbers_for_ids_are_no_obstacle() {
    for (number_ids, omit_headers) in [(true, false), (false, true), (true, true)] {
        let misp = with_many(90).await;
        misp.habits(|habits| {
            habits.number_ids = number_ids;
            habits.omit_headers = omit_headers;
        });
        for page_size in [2, 10, 50, 200] {
            let mut taken = Taken::new(&misp, sized(page_size));
            taken.poll().await;
            let came: Vec<_> = taken.came.keys().cloned().collect();
            assert_eq!(came, published(&misp), "page size {page_size}");
        }
    }
}

#[tokio::test]
async fn a_server_that_caps_the_limit_loses_nothing() {
    let misp = with_many(90).await;
    misp.habits(|habits| habits.limit_cap = Some(6));
    let mut taken = Taken::new(&misp, sized(50));
    taken.poll().await;
    assert_eq!(taken.came.len(), 90);
}

#[tokio::test]
async fn empty_pages_do_not_end_the_walk() {
    let misp = with_many(60).await;
    // `distribution` is applied after paging: whole pages come out empty.
    misp.add(
        event(500, "the one")
            .published_at(BASE_TIME + 5_000)
            .with("distribution", "1")
            .build(),
    );
    let mut taken = Taken::new(
        &misp,
        WalkOptions {
            filters: map(json!({"distribution": 1})),
            ..sized(10)
        },
    );
    taken.poll().await;
    assert_eq!(taken.uuids(), [events::uuid(500, 0)]);
}

#[tokio::test]
async fn lookback_counts_from_the_servers_clock() {
    let misp = with_many(40).await;
    let newest = BASE_TIME + 1_004;
    misp.with_store(|store| store.set_now(newest + 102));
    let mut taken = Taken::new(
        &misp,
        WalkOptions {
            lookback: Some(Duration::from_secs(100)),
            ..sized(50)
        },
    );
    taken.poll().await;
    assert_eq!(taken.came.len(), 25, "those of the newest second");
    let mut none = Taken::new(
        &misp,
        WalkOptions {
            lookback: Some(Duration::MAX),
            ..sized(50)
        },
    );
    none.poll().await;
    assert_eq!(none.came.len(), 40);
}

#[tokio::test]
async fn pages_shrink_when_the_server_chokes_and_grow_again() {
    let misp = with_many(80).await;
    misp.habits(|habits| habits.memory_exceeded_above = Some(12));
    let mut taken = Taken::new(&misp, sized(40));
    let mut failures = 0;
    loop {
        match taken.page().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                assert!(matches!(
                    pipeline::Classify::class(&error),
                    Class::Transient { .. }
                ));
                failures += 1;
                assert!(failures < 20, "{error}");
            }
        }
    }
    assert_eq!(taken.came.len(), 80);
    let limits: Vec<u64> = misp
        .searches()
        .iter()
        .filter_map(|request| request.json["limit"].as_u64())
        .collect();
    assert_eq!(limits[..3], [40, 20, 10]);
    assert!(
        limits[3..].contains(&20),
        "a larger page is tried again: {limits:?}"
    );
}

#[tokio::test]
async fn a_page_that_takes_too_long_is_halved() {
    let misp = with_many(30).await;
    for _ in 0..2 {
        // Nobody releases it.
        misp.next(Fault::Hold(Arc::default()));
    }
    let impatient = ClientOptions {
        read_timeout: Duration::from_secs(2),
        ..common::options(&misp)
    };
    let mut taken = Taken::resume(Client::new(impatient).unwrap(), sized(20), None);
    for _ in 0..2 {
        let (class, text) = taken.failure().await;
        assert_eq!(class, Class::Transient { after: None });
        assert!(text.contains("in time (2 s)"), "{text}");
    }
    taken.poll().await;
    assert_eq!(taken.came.len(), 30);
    let searches = misp.searches();
    let limits: Vec<&Value> = searches.iter().map(|one| &one.json["limit"]).collect();
    assert_eq!(limits[..3], [20, 10, 5]);
}

#[tokio::test]
async fn a_failed_page_is_asked_for_again_and_moves_nothing() {
    let misp = with_many(30).await;
    let whole = |fault: Fault| misp.next(fault);
    whole(Fault::Status(503, "down".to_owned()));
    whole(Fault::Truncated(2_000));
    whole(Fault::Cut(2_000));
    whole(Fault::Html(200));
    whole(Fault::Body("{\"response\": [".to_owned()));
    whole(Fault::Maintenance);
    let mut taken = Taken::new(&misp, sized(100));
    // One of the six is met by the question which events are on the page.
    for _ in 0..5 {
        let (class, text) = taken.failure().await;
        assert!(matches!(class, Class::Transient { .. }), "{text}");
        assert_eq!(taken.cursor, None);
    }
    taken.poll().await;
    assert_eq!(taken.came.len(), 30);
}

#[tokio::test]
async fn a_second_poll_does_not_begin_before_the_first_is_over() {
    let misp = with_many(30).await;
    let mut taken = Taken::new(&misp, sized(10));
    taken.poll().await;
    let froms: Vec<Value> = misp
        .searches()
        .iter()
        .filter(|request| request.json["metadata"].is_null())
        .map(|request| request.json["publish_timestamp"].clone())
        .filter(Value::is_number)
        .collect();
    assert!(
        froms
            .windows(2)
            .all(|pair| pair[0].as_i64() <= pair[1].as_i64()),
        "{froms:?}"
    );
}

#[tokio::test]
async fn a_foreign_cursor_is_refused() {
    let misp = FakeMisp::start().await;
    let cursor = Cursor("{\"v\":9,\"walk\":\"other\",\"w\":1}".to_owned());
    let refused = misp_client::EventsWalk::new(client(&misp), sized(10), Some(&cursor));
    assert!(refused.unwrap_err().to_string().contains("version 9"));
}

#[tokio::test]
async fn every_attribute_of_the_demo_comes() {
    let misp = FakeMisp::start().await;
    misp.add_demo_events();
    let mut taken = Taken::new(&misp, sized(20));
    taken.poll().await;
    let there = misp.with_store(|store| store.published_attributes().len());
    assert_eq!(taken.attributes as usize, there);
    assert_eq!(taken.came.len(), published(&misp).len());
}

#[tokio::test]
async fn an_event_dated_far_ahead_is_downloaded_once() {
    let ahead = BASE_TIME + 400 * 86_400;
    let misp = with_many(3).await;
    misp.add(event(9, "its clock was wrong").published_at(ahead).build());
    let mut taken = Taken::new(&misp, sized(50));
    taken.poll().await;
    assert_eq!(taken.came.len(), 4);
    // Also after a restart.
    let mut again = Taken::resume(client(&misp), sized(50), taken.cursor.clone());
    misp.forget_requests();
    let changed = published(&misp)[0].clone();
    misp.with_store(|store| {
        store.publish(&changed.0);
        store.advance(60);
    });
    again.poll().await;
    again.poll().await;
    assert_eq!((again.came.len(), again.times(&changed.0)), (1, 1));
    for search in misp.searches() {
        let asked = &search.json;
        let until = asked["publish_timestamp"][1].as_i64();
        let whole = asked.get("metadata").is_none();
        assert!(
            !whole || until.is_some_and(|until| until < ahead),
            "{asked}"
        );
    }
    // Another one comes although it is dated later still.
    misp.add(event(10, "a second one").published_at(ahead + 9).build());
    again.poll().await;
    assert_eq!(again.came.len(), 2);
    let mut last = Taken::resume(client(&misp), sized(50), again.cursor.clone());
    last.poll().await;
    assert_eq!(last.came.len(), 0);
}

#[tokio::test]
async fn lists_what_was_published_since_the_last_walk_began_whatever_the_filters() {
    let misp = with_many(3).await;
    let mut taken = Taken::new(
        &misp,
        WalkOptions {
            filters: map(json!({"tags": ["tlp:clear", "tlp:green"]})),
            ..sized(50)
        },
    );
    taken.poll().await;
    assert_eq!(taken.came.len(), 2);
    let all = taken.walk.published().await.unwrap();
    assert_eq!(all, None, "everything was read");
    let last = taken.came.keys().max_by_key(|(_, second)| *second).unwrap();
    let (left, read) = last.clone();
    misp.with_store(|store| {
        store.edit(&left, |event| event["Tag"] = json!([]));
        store.publish(&left);
    });
    taken.poll().await;
    assert_eq!(taken.times(&left), 1, "the filters match it no longer");
    let published = taken.walk.published().await.unwrap().unwrap();
    assert_eq!(published.events, [left]);
    assert!(read < published.seconds);
    taken.poll().await;
    let later = taken.walk.published().await.unwrap().unwrap();
    assert!(later.seconds >= published.seconds);
}
