//! One request: every way it can fail, and that the key shows nowhere.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{client, map, options};
use misp_client::{
    ApiKey, Client, ClientError, ClientOptions, CursorKind, Endpoint, Filters, OptionsError,
    ProxyChoice,
};
use misp_ecs_tests::fake_misp::{Fault, KEY};
use misp_ecs_tests::{FakeMisp, events};
use pipeline::{Class, Classify};
use serde_json::{Value, json};
use splitter::SpoolLimits;
use tokio::sync::Notify;
use transport::TransportError;

fn body() -> Value {
    json!({"returnFormat": "json", "limit": 50, "page": 1})
}

async fn search(client: &Client) -> Result<misp_client::Answer, ClientError> {
    client.post_search(Endpoint::Events, &body()).await
}

async fn failure(fault: &Fault) -> ClientError {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(20));
    misp.next(fault.clone());
    search(&client(&misp)).await.unwrap_err()
}

fn transient(error: &ClientError) -> Option<Option<Duration>> {
    match error.class() {
        Class::Transient { after } => Some(after),
        _ => None,
    }
}

#[tokio::test]
async fn reads_the_headers_of_an_answer() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(20));
    let answer = client(&misp)
        .post_search(Endpoint::Events, &json!({"limit": 2, "page": 1}))
        .await
        .unwrap();
    assert_eq!(answer.result_count, Some(20));
    assert_eq!(answer.skipped, Some(0));
    assert_eq!(answer.date, Some(misp.with_store(|store| store.now())));
    assert_eq!(answer.body.len(), answer.received);
    misp.habits(|habits| habits.omit_headers = true);
    let answer = search(&client(&misp)).await.unwrap();
    assert_eq!(
        (answer.result_count, answer.skipped, answer.date),
        (None, None, None)
    );
}

#[tokio::test]
async fn a_wrong_key_is_fatal_and_says_what_misp_said() {
    let misp = FakeMisp::start().await;
    let wrong = ApiKey::new("WrongKeyWrongKeyWrongKeyWrongKeyWrongKey").unwrap();
    let client = Client::new(ClientOptions {
        api_key: wrong,
        ..options(&misp)
    })
    .unwrap();
    let error = search(&client).await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(
        matches!(&error, ClientError::KeyRefused { status: 403, message }
        if message.starts_with("Authentication failed."))
    );
    assert!(!error.to_string().contains("WrongKey"), "{error}");
}

#[tokio::test]
async fn each_status_has_its_own_error() {
    let error = failure(&Fault::Maintenance).await;
    assert!(matches!(error, ClientError::Maintenance));
    assert_eq!(transient(&error), Some(None));

    for status in [500, 502, 503, 504] {
        let error = failure(&Fault::Html(status)).await;
        assert!(
            matches!(&error, ClientError::ServerError { status: said, message, .. }
            if *said == status && message == "an HTML page")
        );
        assert_eq!(transient(&error), Some(None));
    }
    for status in [400, 404, 405] {
        let error = failure(&Fault::Status(status, "Invalid output format.".to_owned())).await;
        assert!(
            matches!(&error, ClientError::RequestRefused { status: said, message }
            if *said == status && message == "Invalid output format.")
        );
        assert_eq!(error.class(), Class::Fatal);
    }
    let error = failure(&Fault::Status(418, "x".to_owned())).await;
    assert!(matches!(
        error,
        ClientError::RequestRefused { status: 418, .. }
    ));
    let error = failure(&Fault::Status(201, "x".to_owned())).await;
    assert!(matches!(
        error,
        ClientError::UnexpectedStatus { status: 201 }
    ));
}

#[tokio::test]
async fn the_servers_hint_to_wait_is_taken_in_each_form() {
    let limited = |reset: &str| Fault::RateLimited {
        reset: reset.to_owned(),
    };
    let after = |text: &str| Fault::RetryAfter(503, text.to_owned());
    for (fault, seconds) in [
        (limited("120"), Some(120)),
        (limited("99999999999"), Some(3_600)),
        (limited("soon"), Some(900)),
        (after("7"), Some(7)),
        // The fake's clock stands at 2026-05-02 00:00:00.
        (after("Sat, 02 May 2026 00:01:00 GMT"), Some(60)),
        (after("Sat, 02 May 2099 00:01:00 GMT"), Some(3_600)),
        (after("whenever"), None),
    ] {
        let error = failure(&fault).await;
        let wait = transient(&error).unwrap().map(|wait| wait.as_secs());
        assert_eq!(wait, seconds, "{fault:?} {error}");
    }
}

#[tokio::test]
async fn a_page_for_people_is_no_answer() {
    let error = failure(&Fault::Html(200)).await;
    assert!(
        matches!(&error, ClientError::OtherForm { content_type, snippet, .. }
        if content_type.starts_with("text/html") && snippet.starts_with("<!DOCTYPE html>"))
    );
    assert_eq!(transient(&error), Some(None));
}

#[tokio::test]
async fn a_cut_connection_is_noticed() {
    let error = failure(&Fault::Cut(1_000)).await;
    assert!(
        matches!(
            error,
            ClientError::Truncated {
                received: 1_000,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(transient(&error), Some(None));
}

#[tokio::test]
async fn gzip_is_unpacked_and_a_cut_within_it_is_noticed() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(50));
    let plain = search(&client(&misp)).await.unwrap();
    misp.habits(|habits| habits.gzip = true);
    let packed = search(&client(&misp)).await.unwrap();
    assert_eq!(packed.body.len(), plain.body.len());
    assert!(packed.received * 3 < plain.received);
    for keep in [0, 5, 600, usize::try_from(packed.received).unwrap() - 1] {
        misp.next(Fault::Truncated(keep));
        let error = search(&client(&misp)).await.unwrap_err();
        assert!(
            matches!(error, ClientError::Truncated { .. }),
            "{keep}: {error}"
        );
    }
    let no_gzip = Client::new(ClientOptions {
        gzip: false,
        ..options(&misp)
    })
    .unwrap();
    let asked_plain = search(&no_gzip).await.unwrap();
    assert_eq!(asked_plain.received, plain.received);
}

#[tokio::test]
async fn caps_hold_on_the_wire_and_after_unpacking() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(50));
    let length = search(&client(&misp)).await.unwrap().body.len();
    let with = |total: u64, max_compressed: u64| {
        Client::new(ClientOptions {
            spool: SpoolLimits {
                total,
                ..SpoolLimits::default()
            },
            max_compressed,
            ..options(&misp)
        })
        .unwrap()
    };
    assert!(search(&with(length, length)).await.is_ok(), "at the edge");
    let error = search(&with(length - 1, length)).await.unwrap_err();
    assert!(
        matches!(error, ClientError::TooLarge { limit, unpacked: true } if limit == length - 1)
    );
    let error = search(&with(length, length - 1)).await.unwrap_err();
    assert!(
        matches!(error, ClientError::TooLarge { limit, unpacked: false } if limit == length - 1)
    );
    misp.next(Fault::GzipBomb(64));
    let error = search(&with(1 << 20, 1 << 20)).await.unwrap_err();
    assert!(matches!(
        error,
        ClientError::TooLarge {
            limit: 0x10_0000,
            unpacked: true
        }
    ));
}

#[tokio::test]
async fn silence_is_a_timeout_and_nobody_there_is_unreachable() {
    let misp = FakeMisp::start().await;
    let release = Arc::new(Notify::new());
    misp.next(Fault::Hold(Arc::clone(&release)));
    let impatient = Client::new(ClientOptions {
        read_timeout: Duration::from_millis(50),
        ..options(&misp)
    })
    .unwrap();
    let error = search(&impatient).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    assert_eq!(transient(&error), Some(None));
    release.notify_one();

    let gone = options(&misp);
    drop(misp);
    let nobody = Client::new(ClientOptions {
        // Port 9, discard: nobody listens there.
        url: "http://127.0.0.1:9".to_owned(),
        ..gone
    })
    .unwrap();
    let error = search(&nobody).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let misp = FakeMisp::start().await;
    misp.next(Fault::Maintenance);
    assert!(search(&client(&misp)).await.is_err());
    assert_eq!(misp.requests().len(), 1);
}

#[tokio::test]
async fn the_key_shows_nowhere() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(5));
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    let options = ClientOptions {
        trace_file: Some(trace.clone()),
        ..options(&misp)
    };
    let mut shown = format!("{options:?}");
    let client = Client::new(options).unwrap();
    shown.push_str(&format!("{client:?}"));
    // A server that sends the key back in what it says.
    let echo = format!("your key {KEY} is unknown");
    for fault in [
        Fault::None,
        Fault::Status(403, echo.clone()),
        Fault::Status(500, echo.clone()),
        Fault::Status(404, echo.clone()),
        Fault::Body(echo.clone()),
        Fault::Html(200),
        Fault::Maintenance,
        Fault::Cut(10),
    ] {
        misp.next(fault);
        match search(&client).await {
            Ok(answer) => shown.push_str(&format!("{answer:?}")),
            Err(error) => shown.push_str(&format!("{error} {error:?}")),
        }
    }
    client.version().await.unwrap();
    let traced = std::fs::read_to_string(&trace).unwrap();
    assert_eq!(traced.lines().count(), 9);
    for line in traced.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["request"]["headers"]["authorization"], "[redacted]");
    }
    shown.push_str(&traced);
    assert!(shown.contains("your key [redacted] is unknown"), "{shown}");
    assert!(
        !shown.contains(KEY) && !shown.contains("CanaryKey"),
        "{shown}"
    );
}

#[test]
fn bad_options_are_named() {
    let key = ApiKey::new(KEY).unwrap();
    let refused = |change: &dyn Fn(&mut ClientOptions)| {
        let mut options = ClientOptions::new("https://misp.example.org", key.clone());
        change(&mut options);
        Client::new(options).unwrap_err()
    };
    for url in [
        "misp.example.org",
        "ftp://misp.example.org",
        "https://u:secret@misp.example.org",
    ] {
        let error = refused(&|options| options.url = url.to_owned());
        assert!(matches!(error, OptionsError::Url { .. }), "{url}: {error}");
        assert!(
            !format!("{error} {error:?}").contains("secret"),
            "{error:?}"
        );
        assert_eq!(error.class(), Class::Fatal);
    }
    let error = refused(&|options| {
        options.proxy = ProxyChoice::Url("http://u:secret@[::1".to_owned());
    });
    assert!(matches!(
        error,
        OptionsError::Transport(TransportError::Proxy { .. })
    ));
    assert!(
        !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.pem");
    let error = refused(&|options| options.tls.ca_file = Some(missing.clone()));
    assert!(matches!(
        error,
        OptionsError::Transport(TransportError::File { .. })
    ));
    let not_pem = folder.path().join("ca.pem");
    std::fs::write(&not_pem, "nothing").unwrap();
    let error = refused(&|options| options.tls.ca_file = Some(not_pem.clone()));
    assert!(
        matches!(error, OptionsError::Transport(TransportError::Pem { .. })),
        "{error}"
    );
    let error = refused(&|options| options.tls.client_cert_file = Some(not_pem.clone()));
    assert!(
        matches!(error, OptionsError::Transport(TransportError::Pem { .. })),
        "{error}"
    );
    let error = refused(&|options| options.tls.client_key_file = Some(not_pem.clone()));
    assert!(matches!(
        error,
        OptionsError::Transport(TransportError::KeyWithoutCertificate)
    ));
}

#[tokio::test]
async fn a_proxy_is_used() {
    // A fake that stands in for the proxy: it gets the request for another host.
    let proxy = FakeMisp::start().await;
    let through = Client::new(ClientOptions {
        proxy: Some(proxy.url()).into(),
        url: "http://misp.example.org/sub".to_owned(),
        ..options(&proxy)
    })
    .unwrap();
    let _ = through.version().await;
    let request = &proxy.requests()[0];
    assert_eq!(request.header("host"), Some("misp.example.org"));
    assert_eq!(request.path, "/sub/servers/getVersion");
}

#[tokio::test]
async fn a_key_that_was_replaced_is_read_from_its_file_when_it_is_refused() {
    let misp = FakeMisp::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let key = ApiKey::new(misp.key()).unwrap().kept_in(path.clone());
    let client = Client::new(ClientOptions {
        api_key: key,
        ..options(&misp)
    })
    .unwrap();
    let clone = client.clone();
    client.version().await.unwrap();
    let new = "RotatedKeyRotatedKeyRotatedKeyRotated999";
    misp.set_key(new);
    let error = client.version().await.unwrap_err();
    assert!(
        matches!(error, ClientError::KeyRefused { status: 403, .. }),
        "{error}"
    );
    std::fs::write(&path, format!("{new}\n")).unwrap();
    client.version().await.unwrap();
    let before = misp.request_count();
    clone.version().await.unwrap();
    assert_eq!(misp.request_count(), before + 1, "clones share it");
    // Neither is shown, whichever the server repeats.
    misp.habits(|habits| habits.echo = Some(403));
    assert!(
        !client
            .version()
            .await
            .unwrap_err()
            .to_string()
            .contains(new)
    );
    misp.habits(|habits| habits.echo = None);
    misp.next(Fault::Status(500, format!("who is {}?", misp.key())));
    let search = json!({"limit": 2, "page": 1});
    let error = client
        .post_search(Endpoint::Events, &search)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("who is [redacted]?"), "{error}");
}

#[tokio::test]
async fn check_learns_who_we_are_and_what_there_is() {
    let misp = FakeMisp::start().await;
    misp.add_all(events::many(30));
    misp.add(events::event(1, "never published").build());
    let client = client(&misp);
    let version = client.version().await.unwrap();
    assert_eq!(version.version, "2.5.1");
    assert_eq!(version.date, Some(misp.with_store(|store| store.now())));
    let me = client.me().await.unwrap();
    assert_eq!(me.role, "Read Only");
    assert_eq!(me.organisation, "Example CERT");
    assert!(me.may_use_api && !me.disabled);
    assert_eq!((me.rate_limit, me.default_search), (None, None));
    let key = client.key_facts().await.unwrap().unwrap();
    assert!(key.read_only && key.allowed_ips.is_empty() && key.expiration.is_none());
    assert_eq!(client.visible_events(false).await.unwrap(), Some(31));
    assert_eq!(client.visible_events(true).await.unwrap(), Some(30));
    let (all, _) = Filters::new(&map(json!({})));
    assert_eq!(
        client
            .count_matching(&all, CursorKind::Publish, 1)
            .await
            .unwrap(),
        Some(30)
    );
    let (red, _) = Filters::new(&map(json!({"tags": ["tlp:red"]})));
    assert_eq!(
        client
            .count_matching(&red, CursorKind::Publish, 1)
            .await
            .unwrap(),
        Some(7)
    );
    let names = ["TLP:red".to_owned(), "no-such-tag".to_owned()];
    assert_eq!(client.missing_tags(&names).await.unwrap(), ["no-such-tag"]);
}
