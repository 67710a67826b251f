use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::{self, stream};
use misp_ecs_tests::services::{NatsServer, NatsSettings, have};
use pipeline::{Class, Classify, Operation, Output, Verdict};

use super::{NatsOptions, NatsOutput};
use crate::contract::{
    self, Subject,
    fixtures::{delete, delivery, put, puts},
    wait_for,
};
use crate::lines::Common;

struct Server {
    server: Mutex<NatsServer>,
    port: u16,
    context: jetstream::Context,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Option<Self> {
        if !have(&["go"]) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let server = NatsServer::start(folder.path(), &NatsSettings::default()).unwrap();
        let port = server.port();
        let client = async_nats::connect(format!("127.0.0.1:{port}"))
            .await
            .unwrap();
        let subject = Self {
            server: Mutex::new(server),
            port,
            context: jetstream::new(client),
            _folder: folder,
        };
        subject.make_stream().await;
        Some(subject)
    }

    fn options(&self) -> NatsOptions {
        NatsOptions {
            envelope_field: false,
            ..NatsOptions::new([format!("nats://127.0.0.1:{}", self.port)])
        }
    }

    async fn make_stream(&self) {
        let config = stream::Config {
            name: "misp-ecs".to_owned(),
            subjects: vec!["misp-ecs.>".to_owned()],
            ..Default::default()
        };
        self.context.create_stream(config).await.unwrap();
    }

    async fn messages(&self) -> Vec<StreamMessage> {
        let mut stream = self.context.get_stream("misp-ecs").await.unwrap();
        let last = stream.info().await.unwrap().state.last_sequence;
        let mut messages = Vec::new();
        for sequence in 1..=last {
            messages.push(stream.get_raw_message(sequence).await.unwrap());
        }
        messages
    }
}

impl Subject for Server {
    fn output(&self, common: Common) -> Arc<dyn Output> {
        let options = NatsOptions {
            deletes: common.deletes,
            envelope_field: common.envelope_field,
            ..self.options()
        };
        Arc::new(NatsOutput::new("out", &options))
    }

    fn arrived(&self) -> String {
        let messages = wait_for(self.messages());
        let mut text = String::new();
        for message in messages {
            text.push_str(std::str::from_utf8(&message.payload).unwrap());
            text.push('\n');
        }
        text
    }

    /// A new stream, which remembers no message ids.
    fn clear(&self) {
        wait_for(async {
            self.context.delete_stream("misp-ecs").await.unwrap();
            self.make_stream().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    let Some(server) = Server::start().await else {
        return;
    };
    contract::holds(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_say_what_they_are_and_the_same_again_is_a_duplicate() {
    let Some(server) = Server::start().await else {
        return;
    };
    let options = NatsOptions {
        stream: Some("misp-ecs".to_owned()),
        in_flight: NonZeroUsize::MIN.saturating_add(2),
        ..server.options()
    };
    let output = NatsOutput::open("out", &options).unwrap();
    output.check().await.unwrap();
    let odd = "a b\r\n\u{e9}%";
    let batch = [put("a", 1), delete("a", 1), put(odd, 1), put("a", 2)];
    assert_eq!(
        output.write(&batch).await.unwrap(),
        vec![Verdict::Stored; 4]
    );
    let again = NatsOutput::new("out", &options)
        .write(&batch)
        .await
        .unwrap();
    assert_eq!(again, vec![Verdict::Duplicate; 4]);
    let seen: Vec<[String; 5]> = server
        .messages()
        .await
        .iter()
        .map(|message| {
            let header = |name: &str| message.headers.get(name).unwrap().to_string();
            [
                message.subject.to_string(),
                header("Misp-Ecs-Id"),
                header("Misp-Ecs-Operation"),
                header("Misp-Ecs-Version"),
                header("Misp-Ecs-Mapping"),
            ]
        })
        .collect();
    let mapping = "ecs-1.12@1.0.0";
    assert_eq!(
        seen,
        [
            ["misp-ecs.ecs-1_12.put", "a", "put", "1", mapping],
            ["misp-ecs.ecs-1_12.delete", "a", "delete", "1", mapping],
            [
                "misp-ecs.ecs-1_12.put",
                "a%20b%0D%0A%C3%A9%25",
                "put",
                "1",
                mapping
            ],
            ["misp-ecs.ecs-1_12.put", "a", "put", "2", mapping],
        ]
        .map(|message| message.map(str::to_owned))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_an_error_and_then_everything_arrives_once() {
    let Some(server) = Server::start().await else {
        return;
    };
    let options = NatsOptions {
        timeout: units::Duration::from_millis(500),
        ..server.options()
    };
    let output = NatsOutput::new("out", &options);
    let batch = puts(500);
    output.write(&batch[..100]).await.unwrap();
    server.server.lock().unwrap().kill().unwrap();
    let error = output.write(&batch[100..]).await.unwrap_err();
    assert!(matches!(error.class(), Class::Transient { .. }), "{error}");
    let new = NatsOutput::new("out", &options);
    for error in [
        new.check().await.unwrap_err(),
        new.write(&batch[100..]).await.unwrap_err(),
    ] {
        assert_eq!(error.class(), Class::Transient { after: None }, "{error}");
        assert!(error.to_string().contains("no connection"), "{error}");
    }
    server.server.lock().unwrap().resume().unwrap();
    let retried = async {
        // Each failure has waited for its time-out.
        loop {
            if let Ok(verdicts) = output.write(&batch[100..]).await {
                return verdicts;
            }
        }
    };
    let verdicts = tokio::time::timeout(Duration::from_secs(60), retried)
        .await
        .unwrap();
    let done = |verdict: &Verdict| matches!(verdict, Verdict::Stored | Verdict::Duplicate);
    assert!(
        verdicts.len() == 400 && verdicts.iter().all(done),
        "{verdicts:?}"
    );
    let arrived = server.arrived();
    let mut lines: Vec<&str> = arrived.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((lines.len(), arrived.lines().count()), (500, 500));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_rejected_and_a_subject_without_a_stream_is_an_error() {
    let Some(server) = Server::start().await else {
        return;
    };
    let output = NatsOutput::new("out", &server.options());
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(33 << 20));
    let huge = delivery("huge", 1, Operation::Put, body);
    let verdicts = output
        .write(&[put("a", 1), huge, put("b", 1)])
        .await
        .unwrap();
    assert!(
        matches!(&verdicts[1], Verdict::Rejected { text } if text.contains("max payload")),
        "{verdicts:?}"
    );
    let config = stream::Config {
        name: "small".to_owned(),
        subjects: vec!["small".to_owned()],
        max_message_size: 300,
        ..Default::default()
    };
    server.context.create_stream(config).await.unwrap();
    let options = NatsOptions {
        subject: "small".to_owned(),
        ..server.options()
    };
    let large = put(&"x".repeat(200), 1);
    let verdicts = NatsOutput::new("out", &options)
        .write(&[put("a", 1), large])
        .await
        .unwrap();
    assert!(
        matches!(
            verdicts.as_slice(),
            [Verdict::Stored, Verdict::Rejected { .. }]
        ),
        "{verdicts:?}"
    );
    let options = NatsOptions {
        subject: "elsewhere.{id}".to_owned(),
        ..server.options()
    };
    let error = NatsOutput::new("out", &options)
        .write(&puts(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error.class(), Class::Transient { after: Some(_) }),
        "{error}"
    );
    assert!(error.to_string().contains("elsewhere.id-0"), "{error}");
    let options = NatsOptions {
        stream: Some("none".to_owned()),
        ..server.options()
    };
    let error = NatsOutput::new("out", &options).check().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal, "{error}");
    NatsOutput::new("out", &options)
        .write(&puts(1))
        .await
        .unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_and_a_certificate_are_used_and_shown_nowhere() {
    if !have(&["go"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(path("cert"), made.cert.pem()).unwrap();
    std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("right"), "canary-right\n").unwrap();
    std::fs::write(path("wrong"), "canary-wrong\n").unwrap();
    let settings = NatsSettings {
        user: Some(("feeder".to_owned(), "canary-right".to_owned())),
        tls: Some((path("cert"), path("key"))),
    };
    let server = NatsServer::start(folder.path(), &settings).unwrap();
    let mut options = NatsOptions::new([format!("tls://127.0.0.1:{}", server.port())]);
    options.user = Some("feeder".to_owned());
    options.password_file = Some(path("right"));
    let error = NatsOutput::new("out", &options).check().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal, "{error}");
    options.tls.ca_file = Some(path("cert"));
    NatsOutput::new("out", &options).check().await.unwrap();
    let unverified = NatsOptions {
        tls: crate::Tls {
            verify: false,
            ..crate::Tls::default()
        },
        ..options.clone()
    };
    NatsOutput::new("out", &unverified).check().await.unwrap();
    options.password_file = Some(path("wrong"));
    let output = NatsOutput::new("out", &options);
    let error = output.check().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal, "{error}");
    let later = output.write(&puts(1)).await.unwrap_err();
    assert!(
        matches!(later.class(), Class::Transient { after: Some(_) }),
        "{later}"
    );
    let shown = format!(
        "{error} {error:?} {later:?} {options:?} {}",
        output.target()
    );
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn settings_that_make_no_connection_are_fatal_and_show_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "canary").unwrap();
    let base = || NatsOptions::new(["nats://192.0.2.1:4222".to_owned()]);
    let cases = [
        (NatsOptions::new([]), "is empty"),
        (
            NatsOptions::new(["nats://u:canary@192.0.2.1".to_owned()]),
            "password",
        ),
        (
            NatsOptions::new(["http://192.0.2.1".to_owned()]),
            "`servers`",
        ),
        (
            NatsOptions {
                subject: "a b".to_owned(),
                ..base()
            },
            "`subject`",
        ),
        (
            NatsOptions {
                user: Some("u".to_owned()),
                ..base()
            },
            "one of the three",
        ),
        (
            NatsOptions {
                credentials_file: Some(secret.clone()),
                ..base()
            },
            "no credentials file",
        ),
        (
            NatsOptions {
                token_file: Some(folder.path().join("none")),
                ..base()
            },
            "cannot be read",
        ),
        (
            NatsOptions {
                tls: crate::Tls {
                    ca_file: Some(secret.clone()),
                    ..Default::default()
                },
                ..base()
            },
            "holds no certificate",
        ),
    ];
    for (options, text) in cases {
        let opened = NatsOutput::open("out", &options).err().unwrap();
        let output = NatsOutput::new("out", &options);
        contract::settings_are_fatal(opened, &output, &options, text).await;
    }
    let read: NatsOptions =
        serde_json::from_str(r#"{"servers":["nats://192.0.2.1:4222"]}"#).unwrap();
    assert_eq!(read, base());
}

#[test]
fn the_target_is_subject_and_stream_whatever_the_servers() {
    let target = |servers: &[&str], subject: &str, stream: Option<&str>| {
        let options = NatsOptions {
            subject: subject.to_owned(),
            stream: stream.map(str::to_owned),
            ..NatsOptions::new(servers.iter().map(|server| (*server).to_owned()))
        };
        NatsOutput::new("out", &options).target()
    };
    let one = target(&["nats://a.example.org"], "misp", None);
    let more = ["nats://b.example.org", "nats://a.example.org"];
    assert_eq!(one, target(&more, "misp", None));
    assert_ne!(one, target(&more, "other", None));
    assert_ne!(one, target(&more, "misp", Some("stream")));
}
