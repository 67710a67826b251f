//! Feeds on a web server: what is read when, and what is passed over.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use common::{Reading, Reply, Server, event, events, gzip, manifest, path, unread, uuid};
use misp_client::PaceLimits;
use misp_feed::{FeedFacts, FeedOptions, FeedSource, Headers};
use pipeline::{Class, Classify, Source};
use serde_json::json;
use std::time::Duration;

const MANIFEST: &str = "/feed/manifest.json";

#[tokio::test]
async fn all_events_come_once_in_the_order_of_their_timestamps() {
    let server = Server::with(&[(1, 300), (3, 100), (2, 100)]).await;
    let mut reading = Reading::new(server.options());
    assert_eq!(reading.poll().await, [(2, 100), (3, 100), (1, 300)]);
    assert_eq!(server.asked().len(), 4);
    // Without an ETag the manifest comes again, the events do not.
    assert_eq!(reading.poll().await, []);
    assert_eq!(server.asked(), [(MANIFEST.to_owned(), 200)]);
    reading.restart();
    assert_eq!(reading.poll().await, []);
    assert_eq!(server.asked(), [(MANIFEST.to_owned(), 200)]);
}

#[tokio::test]
async fn an_unchanged_manifest_is_not_sent_again() {
    let server = Server::with(&[(1, 100)]).await;
    let tagged = Reply::ok(manifest(&[(1, 100)])).with("etag", "\"x\"");
    server.put(MANIFEST, tagged);
    let mut reading = Reading::new(server.options());
    assert_eq!(reading.poll().await, [(1, 100)]);
    for restart in [false, true] {
        if restart {
            reading.restart();
        }
        server.asked();
        assert_eq!(reading.poll().await, []);
        assert_eq!(server.asked(), [(MANIFEST.to_owned(), 304)]);
    }
    // A feed moved elsewhere may use the same tag.
    let other = Server::with(&[(2, 100)]).await;
    let tagged = Reply::ok(manifest(&[(2, 100)])).with("etag", "\"x\"");
    other.put(MANIFEST, tagged);
    let mut moved = FeedSource::new(&other.options(), reading.cursor.as_ref()).unwrap();
    let page = moved.next_page().await.unwrap().unwrap();
    assert_eq!(events(page), [(2, 100)]);
}

#[tokio::test]
async fn a_304_that_nobody_asked_for_is_an_error() {
    let server = Server::start().await;
    server.put(MANIFEST, Reply::status(304));
    let mut reading = Reading::new(server.options());
    let error = reading.page().await.unwrap_err();
    assert_eq!(error.class(), Class::Transient { after: None }, "{error}");
}

#[tokio::test]
async fn what_changed_comes_again_and_a_new_event_with_an_old_timestamp_comes() {
    let server = Server::with(&[(1, 100), (2, 200), (3, 300)]).await;
    let mut reading = Reading::new(server.options());
    reading.poll().await;
    server.event(2, 150);
    server.event(4, 50);
    server.manifest(&[(1, 100), (2, 150), (3, 300), (4, 50)]);
    reading.restart();
    assert_eq!(reading.poll().await, [(4, 50), (2, 150)]);
    assert_eq!(reading.poll().await, []);
}

#[tokio::test]
async fn an_event_that_was_removed_and_comes_back_is_read_again() {
    let server = Server::with(&[(1, 100), (2, 200)]).await;
    let mut reading = Reading::new(server.options());
    reading.poll().await;
    server.manifest(&[(2, 200)]);
    assert_eq!(reading.poll().await, []);
    server.manifest(&[(1, 100), (2, 200)]);
    assert_eq!(reading.poll().await, [(1, 100)]);
}

#[tokio::test]
async fn a_missing_event_costs_itself_and_is_tried_by_every_poll() {
    let server = Server::with(&[(1, 100), (2, 200), (3, 300)]).await;
    server.put(
        MANIFEST,
        Reply::ok(manifest(&[(1, 100), (2, 200), (3, 300)])).with("etag", "\"x\""),
    );
    for missing in [404, 410, 403] {
        let mut reading = Reading::new(server.options());
        server.put(&path(2), Reply::status(missing));
        assert_eq!(reading.poll().await, [(1, 100), (3, 300)]);
        server.asked();
        assert_eq!(reading.poll().await, []);
        assert_eq!(
            server.asked(),
            [(MANIFEST.to_owned(), 200), (path(2), missing)]
        );
        server.event(2, 200);
        reading.restart();
        assert_eq!(reading.poll().await, [(2, 200)]);
        server.asked();
        assert_eq!(reading.poll().await, []);
        assert_eq!(server.asked(), [(MANIFEST.to_owned(), 304)]);
    }
}

#[tokio::test]
async fn a_file_that_is_no_event_costs_itself() {
    let files: [&[u8]; 4] = [b"", b"<html>", b"{\"Event\": {\"uuid\": \"x", b"{\"a\": 1}"];
    for file in files {
        let server = Server::with(&[(1, 100), (2, 200)]).await;
        server.put(&path(1), Reply::ok(file));
        let mut reading = Reading::new(server.options());
        assert_eq!(reading.poll().await, [(2, 200)]);
        server.event(1, 100);
        assert_eq!(reading.poll().await, [(1, 100)]);
    }
}

#[tokio::test]
async fn a_file_that_is_cut_is_tried_again_after_the_others() {
    // Before the head of the answer is out, and long after it.
    for len in [1, 1 << 20] {
        let server = Server::with(&[(1, 100), (2, 200), (3, 300)]).await;
        let cut = Reply {
            breaks: true,
            ..Reply::ok(" ".repeat(len))
        };
        server.put(&path(1), cut);
        let mut reading = Reading::new(server.options());
        let error = reading.page().await.unwrap_err();
        assert_eq!(error.class(), Class::Transient { after: None });
        assert!(error.to_string().contains("was cut"), "{error}");
        let page = reading.page().await.unwrap();
        assert_eq!(page, Some(vec![(2, 200), (3, 300)]));
        // The second try ended that page, the third gives it up for this poll and reports it.
        assert_eq!(reading.page().await.unwrap(), Some(Vec::new()));
        assert_eq!(reading.unread, [uuid(1)]);
        assert_eq!(reading.page().await.unwrap(), None);
        server.event(1, 100);
        assert_eq!(reading.poll().await, [(1, 100)]);
    }
}

#[tokio::test]
async fn a_server_that_asks_to_wait_keeps_every_event() {
    let server = Server::with(&[(1, 100), (2, 200)]).await;
    let mut reading = Reading::new(server.options());
    let limited = |reply: Reply, path: &str, seconds: u64| {
        server.put(path, reply);
        Class::Transient {
            after: Some(Duration::from_secs(seconds)),
        }
    };
    let dated = Reply::status(503)
        .with("date", "Fri, 01 May 2026 00:00:00 GMT")
        .with("retry-after", "Fri, 01 May 2026 00:00:30 GMT");
    let class = limited(dated, MANIFEST, 30);
    assert_eq!(reading.page().await.unwrap_err().class(), class);
    let class = limited(Reply::status(429).with("retry-after", "7"), MANIFEST, 7);
    assert_eq!(reading.page().await.unwrap_err().class(), class);
    server.manifest(&[(1, 100), (2, 200)]);
    let class = limited(Reply::status(429), &path(1), 60);
    for _ in 0..5 {
        assert_eq!(reading.page().await.unwrap_err().class(), class);
    }
    server.event(1, 100);
    assert_eq!(reading.poll().await, [(1, 100), (2, 200)]);
}

#[tokio::test]
async fn packed_files_are_unpacked_and_capped_both_ways() {
    let server = Server::with(&[]).await;
    let packed = |text: String| Reply::ok(gzip(text.as_bytes())).with("content-encoding", "gzip");
    server.put(MANIFEST, packed(manifest(&[(1, 100), (2, 200)])));
    server.put(&path(1), packed(event(1, 100)));
    server.put(&path(2), packed(event(2, 200) + &" ".repeat(100_000)));
    let mut reading = Reading::new(server.options());
    assert_eq!(reading.poll().await, [(1, 100), (2, 200)]);

    let length = event(2, 200).len() as u64 + 100_000;
    for (most, came) in [(length, 2), (length - 1, 1)] {
        let mut options = server.options();
        options.max_answer = most;
        assert_eq!(Reading::new(options).poll().await.len(), came);
    }
    let mut options = server.options();
    let length = manifest(&[(1, 100), (2, 200)]).len() as u64;
    options.max_answer = length;
    assert_eq!(
        FeedSource::new(&options, None)
            .unwrap()
            .look()
            .await
            .unwrap()
            .events,
        2
    );
    options.max_answer = length - 1;
    let error = FeedSource::new(&options, None)
        .unwrap()
        .look()
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Fatal, "{error}");
}

#[tokio::test]
async fn garbage_is_an_error_and_never_an_empty_feed() {
    let server = Server::with(&[(1, 100)]).await;
    let mut reading = Reading::new(server.options());
    reading.poll().await;
    for garbage in [
        "",
        "<html>login</html>",
        "null",
        "[1]",
        "{\"message\": \"no\"}",
        "{\"a\"",
    ] {
        server.put(MANIFEST, Reply::ok(garbage));
        let error = reading.page().await.unwrap_err();
        assert_eq!(error.class(), Class::Transient { after: None }, "{garbage}");
    }
    server.manifest(&[(1, 100)]);
    assert_eq!(
        reading.poll().await,
        [],
        "what was handed out is still known"
    );
}

#[tokio::test]
async fn a_manifest_that_is_not_there_says_what_to_do() {
    let server = Server::start().await;
    let mut reading = Reading::new(server.options());
    let error = reading.page().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(error.to_string().contains("no manifest.json"), "{error}");
    server.put(MANIFEST, Reply::status(401));
    assert_eq!(reading.page().await.unwrap_err().class(), Class::Fatal);
}

#[tokio::test]
async fn a_hostile_manifest_leads_nowhere_else() {
    let server = Server::with(&[(1, 100)]).await;
    let hostile = json!({
        uuid(1): {"timestamp": 100},
        "../secret": {"timestamp": 1},
        "//192.0.2.1/aaaaaaaaaaaaaaaaaaaaaaaaa": {"timestamp": 1},
        "..%2f..%2f00000000-0000-4000-8000-00": {"timestamp": 1},
        "00000000-0000-4000-8000-000000000002?": {"timestamp": 1},
        "{00000000-0000-4000-8000-000000000002}": {"timestamp": 1},
        uuid(3): "no object",
    });
    server.put(MANIFEST, Reply::ok(hostile.to_string()));
    let mut reading = Reading::new(server.options());
    assert_eq!(reading.poll().await, [(1, 100)]);
    assert_eq!(server.asked(), [(MANIFEST.to_owned(), 200), (path(1), 200)]);
    let facts = reading.source.look().await.unwrap();
    let expected = FeedFacts {
        place: format!("{}/", server.url()),
        events: 1,
        ignored: 6,
        newest: Some(100),
    };
    assert_eq!(facts, expected);
}

#[tokio::test]
async fn another_event_under_a_name_is_refused_and_counted() {
    let server = Server::with(&[(1, 100), (2, 200)]).await;
    server.put(&path(1), Reply::ok(event(7, 100)));
    let mut reading = Reading::new(server.options());
    assert_eq!(reading.poll().await, [(2, 200)]);
    assert_eq!(reading.unread, [uuid(1)]);
    let mut names = vec![uuid(1)];
    let page = reading.source.named_page(&mut names).await;
    assert_eq!(unread(&page.unwrap().unwrap()), [uuid(1)]);
    server.event(1, 100);
    assert_eq!(reading.poll().await, [(1, 100)]);
    assert!(reading.unread.is_empty());
}

#[tokio::test]
async fn an_event_read_by_name_is_checked_against_its_digest() {
    let server = Server::with(&[(1, 100)]).await;
    let entry = json!({"timestamp": 100, "integrity:sha256": "00".repeat(32)});
    server.put(MANIFEST, Reply::ok(json!({uuid(1): entry}).to_string()));
    let mut reading = Reading::new(server.options());
    let mut names = vec![uuid(1)];
    let page = reading.source.named_page(&mut names).await;
    let page = page.unwrap().unwrap();
    assert_eq!(unread(&page), [uuid(1)]);
    assert!(page.unread[0].error.contains("integrity:sha256"));
    assert_eq!(events(page), []);
}

#[tokio::test]
async fn a_file_that_never_ends_does_not_hold_the_others() {
    let server = Server::with(&[(1, 100), (2, 200)]).await;
    server.put(&path(1), Reply::ok(event(1, 100)).stalling());
    let mut reading = Reading::new(FeedOptions {
        pace: PaceLimits {
            total: Duration::from_millis(100),
            ..PaceLimits::default()
        },
        ..server.options()
    });
    let mut read = Vec::new();
    let mut failures = 0;
    loop {
        match reading.page().await {
            Ok(Some(events)) => read.extend(events),
            Ok(None) => break,
            Err(error) => {
                assert!(error.to_string().contains("download_timeout"), "{error}");
                failures += 1;
            }
        }
    }
    assert_eq!(read, [(2, 200)]);
    assert_eq!((failures, &*reading.unread), (1, &[uuid(1)][..]));
}

#[tokio::test]
async fn a_digest_that_is_not_the_files_keeps_it_back() {
    let server = Server::with(&[(1, 100)]).await;
    let described = |digest: &str| {
        let entry = json!({"timestamp": 100, "integrity:sha256": digest});
        Reply::ok(json!({uuid(1): entry}).to_string())
    };
    server.put(MANIFEST, described(&"00".repeat(32)));
    let mut reading = Reading::new(server.options());
    assert_eq!(reading.poll().await, []);
    // The digest of what the file was all the time, by another tool.
    server.put(&path(1), Reply::ok(r#"{"Event":{"uuid":"00000000-0000-4000-8000-000000000001","info":"1","Attribute":[{"type":"text","value":"x"}]}}"#));
    server.put(
        MANIFEST,
        described("a55d37303942ec89d7745d23235787a8a9a1700d757b84b8d81134a25b3c04b4"),
    );
    assert_eq!(reading.poll().await, [(1, 1)]);
}

#[tokio::test]
async fn lookback_bounds_the_first_read_and_no_other() {
    let now = pipeline::now_ms() / 1_000;
    let server = Server::with(&[(1, 100), (2, now - 7_200), (3, now - 1_800)]).await;
    let mut options = server.options();
    options.lookback = Some(Duration::from_secs(3_600));
    let mut reading = Reading::new(options.clone());
    assert_eq!(reading.poll().await, [(3, now - 1_800)]);
    server.event(4, 50);
    server.manifest(&[(1, 100), (2, now - 7_200), (3, now - 1_800), (4, 50)]);
    reading.restart();
    assert_eq!(reading.poll().await, [(4, 50)]);

    // Where all is older, a page without events keeps where it began.
    server.manifest(&[(1, 100)]);
    let mut reading = Reading::new(options);
    assert_eq!(reading.page().await.unwrap(), Some(vec![]));
    assert_eq!(reading.page().await.unwrap(), None);
    server.manifest(&[(1, 100), (4, 50)]);
    reading.restart();
    assert_eq!(reading.poll().await, [(4, 50)]);
}

#[tokio::test]
async fn each_page_has_a_cursor_for_what_came_until_then() {
    let all: Vec<(u32, i64)> = (1..=450)
        .map(|number| (number, i64::from(number)))
        .collect();
    let server = Server::with(&all).await;
    let mut reading = Reading::new(server.options());
    let mut came = Vec::new();
    for expected in [200, 200, 50] {
        // A host that is killed after each page.
        reading.restart();
        let page = reading.page().await.unwrap().unwrap();
        assert_eq!(page.len(), expected);
        came.extend(page);
    }
    assert_eq!(came, all);
    assert_eq!(reading.page().await.unwrap(), None);
}

#[tokio::test]
async fn redirects_are_followed_at_home_and_headers_go_nowhere_else() {
    let server = Server::with(&[(1, 100)]).await;
    let away = Server::with(&[(1, 100)]).await;
    let mut options = server.options();
    options.headers = Headers::parse("Authorization: Bearer canary").unwrap();
    server.put("/moved/manifest.json", Reply::ok(manifest(&[(1, 100)])));
    server.put(
        MANIFEST,
        Reply::status(302).with("location", "/moved/manifest.json"),
    );
    let mut reading = Reading::new(options.clone());
    assert_eq!(reading.poll().await, [(1, 100)]);
    let asked = server.asked_with();
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|(_, headers)| headers["authorization"] == "Bearer canary")
    );

    let elsewhere = format!("{}/manifest.json?canary", away.url());
    server.put(MANIFEST, Reply::status(302).with("location", elsewhere));
    let mut reading = Reading::new(options.clone());
    let error = reading.page().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(!error.to_string().contains("canary"), "{error}");
    assert!(away.asked().is_empty());

    server.put(MANIFEST, Reply::status(302).with("location", MANIFEST));
    server.asked();
    let mut reading = Reading::new(options.clone());
    assert_eq!(reading.page().await.unwrap_err().class(), Class::Fatal);
    assert_eq!(server.asked().len(), 4);
    assert!(!format!("{options:?} {:?}", reading.source).contains("canary"));
}

#[tokio::test]
async fn named_events_come_whatever_was_read() {
    let server = Server::with(&[(1, 100), (2, 200), (3, 300)]).await;
    let mut reading = Reading::new(server.options());
    reading.poll().await;
    // 4 is gone; 2 is still named, so its missing file does not mean that it is gone.
    server.remove(&path(2));
    let mut names = vec![uuid(2), uuid(4), "../x".to_owned(), uuid(3), uuid(1)];
    let page = reading
        .source
        .named_page(&mut names)
        .await
        .unwrap()
        .unwrap();
    assert!(page.cursor.is_none());
    assert_eq!(unread(&page), [uuid(2)]);
    assert_eq!(events(page), [(3, 300), (1, 100)]);
    assert!(names.is_empty());
    let mut names = vec![uuid(2)];
    server.manifest(&[(1, 100), (3, 300)]);
    assert!(
        reading
            .source
            .named_page(&mut names)
            .await
            .unwrap()
            .is_none()
    );
    assert!(names.is_empty());
    // A server that is gone has no say in what is.
    server.remove(MANIFEST);
    let mut names = vec![uuid(5)];
    assert!(reading.source.named_page(&mut names).await.is_err());
    assert_eq!(names, [uuid(5)]);
    server.put(&path(1), Reply::status(403));
    let mut names = vec![uuid(1)];
    assert!(reading.source.named_page(&mut names).await.is_err());
}
