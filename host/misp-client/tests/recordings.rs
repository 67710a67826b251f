//! Answers as MISP 2.5.1 sends them (`tests/recordings`), and pages that are shorter than they say.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::time::Duration;

use common::came::{BOTH, Came, Endpoint as Walked, listed, published, small, source, walk};
use common::client;
use misp_client::{Answer, ClientError, Endpoint};
use misp_ecs_tests::FakeMisp;
use misp_ecs_tests::events::{self, attr, event};
use misp_ecs_tests::fake_misp::Fault;
use pipeline::{Class, Classify};
use serde_json::{Value, json};
use splitter::{Records, SplitLimits};

macro_rules! recording {
    ($name:literal) => {
        Fault::Answer(include_str!(concat!("recordings/", $name, ".http")))
    };
}

/// What the client makes of an answer to a search.
async fn asked(endpoint: Endpoint, fault: Fault) -> Result<Answer, ClientError> {
    let misp = FakeMisp::start().await;
    misp.next(fault);
    let body = json!({"returnFormat": "json", "limit": 2, "page": 1});
    client(&misp).post_search(endpoint, &body).await
}

async fn refused(fault: Fault) -> ClientError {
    asked(Endpoint::Events, fault).await.unwrap_err()
}

/// The records of an answer, as JSON.
fn records(answer: Answer) -> Vec<Value> {
    let records = Records::from_answer(answer.body, SplitLimits::default()).unwrap();
    let one = |record: Result<splitter::Record, _>| {
        serde_json::from_slice(&record.unwrap_or_else(|_| panic!("a whole record")).json).unwrap()
    };
    records.map(one).collect()
}

#[tokio::test]
async fn every_refusal_of_a_key_says_why_and_is_no_answer() {
    for (fault, why) in [
        (
            recording!("expired_key"),
            "pass the API key of an API enabled user",
        ),
        (recording!("ip_restricted_key"), "from your IP address"),
        (recording!("disabled_user"), "account has been disabled"),
        (recording!("html_error"), "an HTML page"),
    ] {
        let error = refused(fault).await;
        assert_eq!(error.class(), Class::Fatal);
        assert!(
            matches!(error, ClientError::KeyRefused { status: 403, .. }),
            "{error}"
        );
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_and_what_passes_are_told_apart() {
    for (fault, status) in [
        (recording!("invalid_json"), 405),
        (recording!("bad_return_format"), 404),
    ] {
        let error = refused(fault).await;
        let is =
            matches!(&error, ClientError::RequestRefused { status: found, .. } if *found == status);
        assert!(is && error.class() == Class::Fatal, "{error}");
    }
    let error = refused(recording!("failed")).await;
    assert!(
        matches!(error, ClientError::ServerError { status: 500, .. }),
        "{error}"
    );
    let error = refused(recording!("rate_limited")).await;
    let after = Some(Duration::from_secs(900));
    assert_eq!(error.class(), Class::Transient { after });
}

#[tokio::test]
async fn the_end_of_either_endpoint_is_read_as_it_counts() {
    let answer = asked(Endpoint::Events, recording!("events_past_end"))
        .await
        .unwrap();
    assert_eq!((answer.result_count, answer.skipped), (Some(405), Some(0)));
    assert_eq!(records(answer), Vec::<Value>::new());
    let answer = asked(Endpoint::Attributes, recording!("attributes_past_end"))
        .await
        .unwrap();
    assert_eq!((answer.result_count, answer.skipped), (Some(1), Some(0)));
    assert_eq!(records(answer), Vec::<Value>::new());
}

#[tokio::test]
async fn an_event_without_attributes_and_loose_attributes_are_records() {
    let answer = asked(Endpoint::Events, recording!("event_without_attributes"))
        .await
        .unwrap();
    let found = records(answer);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["Event"]["info"], "Nothing in it");
    assert_eq!(found[0]["Event"]["protected"], Value::Null);
    let answer = asked(Endpoint::Attributes, recording!("two_attributes"))
        .await
        .unwrap();
    let found = records(answer);
    let values: Vec<&Value> = found.iter().map(|one| &one["value"]).collect();
    assert_eq!(values, ["dropper.example", "host.example.net"]);
}

#[tokio::test]
async fn a_listing_is_read_by_its_places() {
    let misp = FakeMisp::start().await;
    misp.add(event(1, "two").published_at(events::BASE_TIME).build());
    misp.next(recording!("listing"));
    let source = source(&misp, Walked::Events, small(), None);
    let expected = [101, 102].map(|nth| format!("b7a1c2d3-0000-4000-8000-000000000{nth}"));
    assert_eq!(listed(source.as_ref()).await, expected);
}

#[tokio::test]
async fn pages_that_are_cut_after_they_were_counted_lose_nothing() {
    for counted in [true, false] {
        let misp = FakeMisp::start().await;
        for seed in 0..4_u64 {
            let mut built = event(seed, "half of it is left out").published_at(events::BASE_TIME);
            for number in 0..50_u64 {
                // Whole pages are left out, and some of others.
                let kind = if number < 25 || number % 3 == 0 {
                    "text"
                } else {
                    "domain"
                };
                built = built.attribute(attr(kind, &format!("a{seed}-{number}.example.org")));
            }
            misp.add(built.build());
        }
        misp.habits(|habits| match counted {
            true => habits.warninglisted = Some("text"),
            false => habits.allowlisted = Some("text"),
        });
        let all = published(&misp).len();
        let mut found = Vec::new();
        for endpoint in BOTH {
            let mut came = Came::default();
            walk(source(&misp, endpoint, small(), None).as_mut(), &mut came).await;
            assert!(came.attributes.len() > 50 && came.attributes.len() < all / 2);
            assert_eq!(came.whole.len(), 4, "{endpoint:?}, counted: {counted}");
            found.push(came.attributes);
        }
        assert_eq!(found[0], found[1], "counted: {counted}");
    }
}
