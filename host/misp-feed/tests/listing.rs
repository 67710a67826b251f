//! What a feed lists for sweep and audit.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

mod common;

use std::time::Duration;

use common::{Reading, Reply, Server, path, uuid};
use pipeline::{ListedAttribute, ListedEvent, Source};
use serde_json::json;

async fn listed(reading: &Reading) -> (Vec<ListedAttribute>, Vec<ListedEvent>) {
    let mut listing = reading.source.listing().unwrap();
    let (mut attributes, mut events) = (Vec::new(), Vec::new());
    while let Some(some) = listing.attributes().await.unwrap() {
        attributes.extend(some);
    }
    while let Some(some) = listing.events().await.unwrap() {
        events.extend(some);
    }
    (attributes, events)
}

fn uuids(attributes: &[ListedAttribute]) -> Vec<String> {
    attributes.iter().map(|one| one.uuid.clone()).collect()
}

#[tokio::test]
async fn every_live_attribute_of_the_manifest_is_listed() {
    let server = Server::with(&[(1, 100), (2, 200)]).await;
    let attribute = |number: u32| {
        json!({"uuid": uuid(900_000 + number), "timestamp": "150", "type": "ip-dst",
               "value": "192.0.2.1", "deleted": number == 22})
    };
    let event = json!({"Event": {
        "uuid": uuid(2), "timestamp": "200", "Attribute": [attribute(21), attribute(22)],
        "Object": [{"name": "file", "uuid": uuid(800_000), "Attribute": [attribute(23)]}],
    }});
    server.put(&path(2), Reply::ok(event.to_string()));
    let (attributes, events) = listed(&Reading::new(server.options())).await;
    let expected = [1, 21, 23].map(|number| uuid(900_000 + number));
    assert_eq!(uuids(&attributes), expected);
    assert_eq!(attributes[1].event_id, uuid(2));
    assert_eq!(attributes[1].timestamp, 150);
    let events: Vec<_> = events
        .iter()
        .map(|one| (&*one.uuid, one.timestamp))
        .collect();
    assert_eq!(events, [(&*uuid(1), 100), (&*uuid(2), 200)]);
}

#[tokio::test]
async fn what_was_removed_or_left_out_is_not_listed_until_it_is_handed_out() {
    let now = pipeline::now_ms() / 1_000;
    let server = Server::with(&[(1, 100), (2, now), (3, now)]).await;
    let mut options = server.options();
    options.lookback = Some(Duration::from_secs(3_600));
    let mut reading = Reading::new(options);
    reading.poll().await;
    server.manifest(&[(1, 100), (2, now)]);
    reading.restart();
    let (attributes, _) = listed(&reading).await;
    assert_eq!(uuids(&attributes), [uuid(900_002)]);

    // It changed, so it was handed out.
    server.manifest(&[(1, 101), (2, now)]);
    assert_eq!(reading.poll().await, [(1, 100)]);
    reading.restart();
    let (attributes, _) = listed(&reading).await;
    assert_eq!(uuids(&attributes), [uuid(900_001), uuid(900_002)]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_keeps_what_it_held() {
    let server = Server::with(&[(1, 100), (2, 200)]).await;
    server.remove(&path(2));
    let (attributes, events) = listed(&Reading::new(server.options())).await;
    assert_eq!(uuids(&attributes), [uuid(900_001)]);
    let kept = events.iter().find(|one| one.uuid == uuid(2)).unwrap();
    assert!(!kept.published && kept.timestamp == i64::MAX);
}

#[tokio::test]
async fn a_feed_that_refuses_us_is_an_error_and_goes_on_where_it_was() {
    let server = Server::with(&[(1, 100), (2, 200)]).await;
    server.put(&path(2), Reply::status(401));
    let reading = Reading::new(server.options());
    let mut listing = reading.source.listing().unwrap();
    assert_eq!(listing.attributes().await.unwrap().unwrap().len(), 1);
    assert!(listing.attributes().await.is_err());
    server.event(2, 200);
    assert_eq!(listing.attributes().await.unwrap().unwrap().len(), 1);
    assert_eq!(listing.attributes().await.unwrap(), None);
}

#[tokio::test]
async fn after_a_restart_everything_but_what_was_left_out_comes_again() {
    let now = pipeline::now_ms() / 1_000;
    let server = Server::with(&[(1, 100), (2, now), (3, now)]).await;
    let mut options = server.options();
    options.lookback = Some(Duration::from_secs(3_600));
    let mut reading = Reading::new(options);
    reading.poll().await;
    assert_eq!(reading.poll().await, []);
    reading.source.restart();
    assert_eq!(reading.poll().await, [(2, now), (3, now)]);
}
