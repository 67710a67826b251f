use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use misp_ecs_tests::FakeReceiver;
use misp_ecs_tests::fake_receiver::Reply;
use pipeline::{Class, Classify, Delivery, Output, Verdict};
use tokio::sync::Notify;
use units::ByteSize;

use super::{HttpCompression, HttpFormat, HttpOptions, HttpOutput};
use crate::contract::{
    self, Subject,
    fixtures::{delete, put, puts},
};
use crate::lines::Common;

struct Receiver {
    receiver: FakeReceiver,
    format: HttpFormat,
    compression: HttpCompression,
}

impl Subject for Receiver {
    fn output(&self, common: Common) -> Arc<dyn Output> {
        let options = HttpOptions {
            deletes: common.deletes,
            envelope_field: common.envelope_field,
            format: Some(self.format),
            compression: self.compression,
            ..HttpOptions::new(self.receiver.url())
        };
        Arc::new(HttpOutput::new("out", &options))
    }

    fn arrived(&self) -> String {
        self.receiver.arrived()
    }

    fn clear(&self) {
        self.receiver.clear();
    }
}

#[tokio::test]
async fn the_contract_holds() {
    for (format, compression) in [
        (HttpFormat::Ndjson, HttpCompression::None),
        (HttpFormat::Ndjson, HttpCompression::Zstd),
        (HttpFormat::Json, HttpCompression::Gzip),
    ] {
        let receiver = FakeReceiver::start().await.unwrap();
        contract::holds(&Receiver {
            receiver,
            format,
            compression,
        })
        .await;
    }
}

fn plain(url: String) -> HttpOptions {
    HttpOptions {
        deletes: true,
        envelope_field: false,
        ..HttpOptions::new(url)
    }
}

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

#[tokio::test]
async fn requests_are_cut_and_go_side_by_side_but_never_with_the_same_id() {
    let receiver = FakeReceiver::start().await.unwrap();
    let options = HttpOptions {
        max_count: count(1),
        in_flight: count(3),
        ..plain(receiver.url())
    };
    let output = HttpOutput::new("out", &options);
    let batch: Vec<Delivery> = (1..=50)
        .flat_map(|version| [put("a", version), put("b", version), delete("c", version)])
        .collect();
    let verdicts = output.write(&batch).await.unwrap();
    assert_eq!(verdicts, vec![Verdict::Stored; 150]);
    assert_eq!(receiver.requests().len(), 150);
    assert!((1..=3).contains(&receiver.most_at_once()));
    let of_a: Vec<u64> = receiver
        .arrived()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|document| document["id"] == "a")
        .filter_map(|document| document["n"].as_u64())
        .collect();
    assert_eq!(of_a, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_and_what_never_fits_is_rejected() {
    let receiver = FakeReceiver::start().await.unwrap();
    receiver.limit(100);
    let output = HttpOutput::new("out", &plain(receiver.url()));
    let mut batch = puts(9);
    batch.insert(4, put(&"x".repeat(200), 1));
    let verdicts = output.write(&batch).await.unwrap();
    let arrived = receiver.arrived();
    assert_eq!(arrived.lines().count(), 9);
    for (at, verdict) in verdicts.iter().enumerate() {
        match at {
            4 => assert!(
                matches!(verdict, Verdict::Rejected { text } if text.contains("413") && text.contains("too large")),
                "{verdict:?}"
            ),
            _ => assert_eq!(*verdict, Verdict::Stored),
        }
    }
    // Halves are sent in order.
    let ids: Vec<&str> = arrived.lines().filter_map(|line| line.get(7..11)).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn the_document_that_is_refused_is_found_and_rejected_with_the_receivers_words() {
    for status in [400, 409, 422] {
        let receiver = FakeReceiver::start().await.unwrap();
        let words = format!("no good:\nfield {}", "y".repeat(2_000));
        receiver.refuse("id-5\"", status, &words);
        let output = HttpOutput::new("out", &plain(receiver.url()));
        let verdicts = output.write(&puts(16)).await.unwrap();
        let Verdict::Rejected { text } = &verdicts[5] else {
            panic!("{verdicts:?}");
        };
        assert!(
            text.contains(&status.to_string()) && text.contains("no good: field yyy"),
            "{text}"
        );
        assert!(text.chars().count() < 600, "{text}");
        let stored = verdicts.iter().filter(|v| **v == Verdict::Stored).count();
        assert_eq!((stored, receiver.arrived().lines().count()), (15, 15));
    }
}

#[tokio::test]
async fn a_receiver_that_refuses_nearly_everything_is_an_error() {
    let receiver = FakeReceiver::start().await.unwrap();
    receiver.refuse("id", 400, "unknown format");
    let output = HttpOutput::new("out", &plain(receiver.url()));
    let error = output.write(&puts(100)).await.unwrap_err();
    assert!(matches!(error.class(), Class::Transient { after: Some(_) }));
    assert!(error.to_string().contains("unknown format"), "{error}");
    // A small batch is not judged by its share, and the limit may be taken off.
    let verdicts = output.write(&puts(99)).await.unwrap();
    assert!(
        verdicts
            .iter()
            .all(|v| matches!(v, Verdict::Rejected { .. }))
    );
    let options = HttpOptions {
        reject_limit_percent: 100,
        ..plain(receiver.url())
    };
    let verdicts = HttpOutput::new("out", &options).write(&puts(100)).await;
    assert_eq!(verdicts.unwrap().len(), 100);
}

#[tokio::test]
async fn a_busy_receiver_is_asked_again_when_it_says() {
    let receiver = FakeReceiver::start().await.unwrap();
    let output = HttpOutput::new("out", &plain(receiver.url()));
    let after = |seconds: &str| vec![("retry-after", seconds.to_owned())];
    for (status, headers, wait) in [
        (429, after("7"), Some(7)),
        (503, after("120"), Some(120)),
        (500, vec![], None),
        (502, vec![], None),
        (504, vec![], None),
        (408, vec![], None),
        (425, vec![], None),
    ] {
        receiver.script([Reply::Status(status, headers, "busy".to_owned())]);
        let error = output.write(&puts(3)).await.unwrap_err();
        let after = wait.map(Duration::from_secs);
        assert_eq!(error.class(), Class::Transient { after }, "{error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(receiver.arrived(), "");
    }
    output.write(&puts(3)).await.unwrap();
    assert_eq!(receiver.arrived().lines().count(), 3);
}

#[tokio::test]
async fn what_a_person_has_to_put_right_stops_at_the_start_and_waits_later() {
    let receiver = FakeReceiver::start().await.unwrap();
    let output = HttpOutput::new("out", &plain(receiver.url()));
    for status in [301, 401, 403, 407, 410, 415] {
        receiver.script([Reply::status(status, "no"), Reply::status(status, "no")]);
        let error = output.check().await.unwrap_err();
        assert_eq!(error.class(), Class::Fatal, "{error}");
        let error = output.write(&puts(3)).await.unwrap_err();
        let wait = matches!(error.class(), Class::Transient { after: Some(_) });
        assert!(
            wait && error.to_string().contains("headers_file"),
            "{error}"
        );
    }
    // An address that nothing is at drops no documents.
    receiver.script([Reply::status(404, "no")]);
    output.write(&puts(3)).await.unwrap_err();
    // One that does not know the method is there all the same.
    for status in [200, 204, 404, 405, 501] {
        receiver.script([Reply::status(status, "")]);
        output.check().await.unwrap();
    }
    assert_eq!(receiver.arrived(), "");
}

#[tokio::test]
async fn a_page_for_a_person_acknowledges_nothing() {
    let receiver = FakeReceiver::start().await.unwrap();
    let html = vec![("content-type", "Text/HTML; charset=utf-8".to_owned())];
    let output = HttpOutput::new("out", &plain(receiver.url()));
    receiver.script([
        Reply::Status(200, html.clone(), "<html>Log in</html>".to_owned()),
        Reply::Status(200, html, "<html>Log in</html>".to_owned()),
    ]);
    let error = output.write(&puts(1)).await.unwrap_err();
    assert!(error.to_string().contains("HTML"), "{error}");
    assert_eq!(output.check().await.unwrap_err().class(), Class::Fatal);
}

#[tokio::test]
async fn no_answer_in_time_or_no_receiver_is_tried_again() {
    let receiver = FakeReceiver::start().await.unwrap();
    let options = HttpOptions {
        timeout: units::Duration::from_millis(50),
        ..plain(receiver.url())
    };
    let output = HttpOutput::new("out", &options);
    let notice = Arc::new(Notify::new());
    receiver.script([Reply::Hold(Arc::clone(&notice))]);
    let error = output.write(&puts(1)).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient { after: None });
    assert!(error.to_string().contains("in time"), "{error}");
    notice.notify_one();
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in?token=canary", unused.local_addr().unwrap());
    drop(unused);
    let output = HttpOutput::new("out", &plain(url));
    for error in [
        output.write(&puts(1)).await.unwrap_err(),
        output.check().await.unwrap_err(),
    ] {
        assert_eq!(error.class(), Class::Transient { after: None });
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_long_answer_is_not_read_to_its_end() {
    let receiver = FakeReceiver::start().await.unwrap();
    let output = HttpOutput::new("out", &plain(receiver.url()));
    let long = "z".repeat(32 << 20);
    receiver.script([
        Reply::TakenBut(200, vec![], long.clone()),
        Reply::status(500, &long),
    ]);
    assert_eq!(output.write(&puts(1)).await.unwrap(), [Verdict::Stored]);
    let error = output.write(&puts(1)).await.unwrap_err();
    assert!(error.to_string().len() < 1_000);
}

#[tokio::test]
async fn headers_are_sent_read_again_when_refused_and_shown_nowhere() {
    let receiver = FakeReceiver::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headers");
    std::fs::write(&path, "Authorization: Bearer canary-old\n").unwrap();
    let options = HttpOptions {
        headers_file: Some(path.clone()),
        ..plain(receiver.url())
    };
    let output = HttpOutput::open("out", &options).unwrap();
    receiver.require("Bearer canary-new");
    for error in [
        output.check().await.unwrap_err(),
        output.write(&puts(2)).await.unwrap_err(),
    ] {
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("not allowed: [redacted]"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    std::fs::write(&path, "Authorization: Bearer canary-new\n").unwrap();
    output.write(&puts(2)).await.unwrap();
    output.check().await.unwrap();
    receiver.refuse("id", 400, "Bearer canary-new said what?");
    let verdicts = format!("{:?}", output.write(&puts(1)).await.unwrap());
    assert!(verdicts.contains("[redacted] said what?"), "{verdicts}");
    assert!(!format!("{options:?} {}", output.target()).contains("canary"));
}

#[tokio::test]
async fn settings_that_make_no_request_are_fatal_and_show_no_secret() {
    let missing = std::path::PathBuf::from("/nowhere/headers");
    let base = || plain("http://192.0.2.1/".to_owned());
    let cases = [
        (plain("canary".to_owned()), "`url`"),
        (plain("ftp://canary@example.org/".to_owned()), "neither"),
        (
            plain("https://u:canary@example.org/".to_owned()),
            "headers_file",
        ),
        (
            HttpOptions {
                headers_file: Some(missing),
                ..base()
            },
            "/nowhere/headers",
        ),
        (
            HttpOptions {
                proxy: Some(crate::Address("http://u:canary@".to_owned())),
                ..base()
            },
            "proxy",
        ),
    ];
    for (options, text) in cases {
        let opened = HttpOutput::open("out", &options).err().unwrap();
        let output = HttpOutput::new("out", &options);
        contract::settings_are_fatal(opened, &output, &options, text).await;
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let read: HttpOptions = serde_json::from_str(r#"{"url":"http://192.0.2.1/"}"#).unwrap();
    assert_eq!(read, HttpOptions::new("http://192.0.2.1/"));
    assert_eq!(
        (read.max_bytes, read.max_count.get()),
        (ByteSize::mib(2), 1_000)
    );
    assert_eq!(
        (read.in_flight.get(), read.deletes, read.envelope_field),
        (4, true, true)
    );
    for wrong in [
        r#"{"url":"http://192.0.2.1/","in_flight":0}"#,
        r#"{"url":"http://192.0.2.1/","headers":"x"}"#,
        "{}",
    ] {
        serde_json::from_str::<HttpOptions>(wrong).unwrap_err();
    }
}

#[test]
fn the_query_is_a_part_of_the_target() {
    let target = |url: &str| HttpOutput::new("out", &plain(url.to_owned())).target();
    let a = target("https://example.org/misp?index=a");
    assert_ne!(a, target("https://example.org/misp?index=b"));
    assert_eq!(a, target("https://example.org/misp?index=a"));
}

#[tokio::test]
async fn the_preset_for_fluent_bit_sends_what_its_input_takes() {
    let receiver = FakeReceiver::start().await.unwrap();
    let given = |more: &str| {
        let text = format!(
            r#"{{"url": "{}", "preset": "fluent-bit"{more}}}"#,
            receiver.url()
        );
        serde_json::from_str::<HttpOptions>(&text).unwrap()
    };
    let output = HttpOutput::open("out", &given("")).unwrap();
    output.write(&puts(2)).await.unwrap();
    let requests = receiver.requests();
    let [request] = requests.as_slice() else {
        panic!("{} requests", requests.len());
    };
    assert_eq!(request.headers["content-type"], "application/json");
    // What is said of the format itself counts more.
    assert_eq!(
        given(r#", "format": "ndjson""#).format(),
        HttpFormat::Ndjson
    );
}
