use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use misp_ecs_tests::services::{KafkaBroker, have};
use pipeline::{Class, Classify, Operation, Output, Verdict};
use rskafka::client::partition::{OffsetAt, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use serde_json::json;

use super::murmur2::partition;
use super::{KafkaCompression, KafkaOptions, KafkaOutput, KafkaSasl, SaslMechanism};
use crate::contract::{
    self, Subject,
    fixtures::{delete, delivery, put, puts},
    wait_for,
};
use crate::lines::Common;

struct Broker {
    port: u16,
    client: Client,
    topics: AtomicUsize,
    compression: KafkaCompression,
}

impl Broker {
    async fn new(broker: &KafkaBroker, compression: KafkaCompression) -> Self {
        let port = broker.port();
        let client = ClientBuilder::new(vec![format!("127.0.0.1:{port}")]);
        Self {
            port,
            client: client.build().await.unwrap(),
            topics: AtomicUsize::new(0),
            compression,
        }
    }

    fn topic(&self) -> String {
        let compression = format!("{:?}", self.compression);
        format!("{compression}-{}", self.topics.load(Ordering::Relaxed))
    }

    async fn make_topic(&self, partitions: i32) {
        self.topics.fetch_add(1, Ordering::Relaxed);
        let topic = self.topic();
        let controller = self.client.controller_client().unwrap();
        controller
            .create_topic(&topic, partitions, 1, 10_000)
            .await
            .unwrap();
        // Until the broker has heard of it.
        for number in 0..partitions {
            let retry = UnknownTopicHandling::Retry;
            let leader = self
                .client
                .partition_client(&topic, number, retry)
                .await
                .unwrap();
            leader.get_offset(OffsetAt::Latest).await.unwrap();
        }
    }

    fn options(&self) -> KafkaOptions {
        KafkaOptions {
            envelope_field: false,
            compression: self.compression,
            ..KafkaOptions::new([format!("127.0.0.1:{}", self.port)], self.topic())
        }
    }

    async fn records(&self, number: i32) -> Vec<Record> {
        let retry = UnknownTopicHandling::Retry;
        let leader = self
            .client
            .partition_client(self.topic(), number, retry)
            .await
            .unwrap();
        let end = leader.get_offset(OffsetAt::Latest).await.unwrap();
        let mut records = Vec::new();
        let mut next = 0;
        while next < end {
            let (some, _) = leader
                .fetch_records(next, 1..64 << 20, 1_000)
                .await
                .unwrap();
            next = some.last().unwrap().offset + 1;
            records.extend(some.into_iter().map(|found| found.record));
        }
        records
    }
}

fn header(record: &Record, name: &str) -> String {
    String::from_utf8(record.headers[name].clone()).unwrap()
}

fn key(record: &Record) -> String {
    String::from_utf8(record.key.clone().unwrap()).unwrap()
}

impl Subject for Broker {
    fn output(&self, common: Common) -> Arc<dyn Output> {
        let options = KafkaOptions {
            deletes: common.deletes,
            envelope_field: common.envelope_field,
            ..self.options()
        };
        Arc::new(KafkaOutput::new("out", &options))
    }

    /// A record without a value as the line that stands for it elsewhere.
    fn arrived(&self) -> String {
        let mut text = String::new();
        for record in wait_for(self.records(0)) {
            let line = match &record.value {
                Some(value) => String::from_utf8(value.clone()).unwrap(),
                None => {
                    let version: u64 = header(&record, "misp_ecs.version").parse().unwrap();
                    let operation = header(&record, "misp_ecs.operation");
                    let id = key(&record);
                    let field = json!({"id": id, "operation": operation, "version": version});
                    json!({ "misp_ecs": field }).to_string()
                }
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn clear(&self) {
        wait_for(self.make_topic(1));
    }
}

const PASSWORD: &str = "canary-right";

/// One broker for all of it: it takes seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_broker_gets_everything() {
    if !have(&["mvn", "java"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = folder.path().join("certificate.pem");
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    let pem = folder.path().join("broker.pem");
    let both = format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem());
    std::fs::write(&pem, both).unwrap();
    let mut broker = KafkaBroker::start(folder.path(), "feeder", PASSWORD, &pem).unwrap();
    for compression in [
        KafkaCompression::None,
        KafkaCompression::Gzip,
        KafkaCompression::Zstd,
    ] {
        contract::holds(&Broker::new(&broker, compression).await).await;
    }
    let subject = Broker::new(&broker, KafkaCompression::None).await;
    subject.topics.store(1_000, Ordering::Relaxed);
    records_are_keyed_and_in_order(&subject).await;
    what_is_too_large_is_rejected(&subject).await;
    a_topic_that_is_not_there_is_an_error(&subject).await;
    a_password_is_used_and_shown_nowhere(&subject, &broker).await;
    a_certificate_is_checked(&subject, &broker, certificate).await;
    a_broker_that_is_away_is_an_error_and_then_everything_arrives(&subject, &mut broker).await;
}

async fn records_are_keyed_and_in_order(subject: &Broker) {
    subject.make_topic(3).await;
    let output = KafkaOutput::open("out", &subject.options()).unwrap();
    output.check().await.unwrap();
    let mut batch = Vec::new();
    for version in 1..=20 {
        for id in ["a", "b", "c", "d", "e", "f", "g"] {
            batch.push(put(id, version));
            batch.push(delete(id, version));
        }
    }
    let options = KafkaOptions {
        max_count: std::num::NonZeroUsize::new(3).unwrap(),
        ..subject.options()
    };
    let output = KafkaOutput::new("out", &options);
    let verdicts = output.write(&batch).await.unwrap();
    assert_eq!(verdicts, vec![Verdict::Stored; batch.len()]);
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..3 {
        for record in subject.records(number).await {
            let key = key(&record);
            assert_eq!(
                partition(key.as_bytes(), 3),
                usize::try_from(number).unwrap()
            );
            let operation = header(&record, "misp_ecs.operation");
            assert_eq!(record.value.is_none(), operation == "delete");
            assert_eq!(header(&record, "misp_ecs.mapping"), "ecs-1.12@1.0.0");
            let version = header(&record, "misp_ecs.version");
            by_key
                .entry(key)
                .or_default()
                .push(format!("{version} {operation}"));
        }
    }
    let expected: Vec<String> = (1..=20)
        .flat_map(|version| [format!("{version} put"), format!("{version} delete")])
        .collect();
    assert_eq!(by_key.len(), 7);
    for (key, said) in by_key {
        assert_eq!(said, expected, "{key}");
    }
}

async fn what_is_too_large_is_rejected(subject: &Broker) {
    subject.make_topic(1).await;
    let options = KafkaOptions {
        max_bytes: units::ByteSize::gib(1),
        ..subject.options()
    };
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(33 << 20));
    let huge = delivery("huge", 1, Operation::Put, body);
    let batch = [put("a", 1), put("b", 1), huge, put("c", 1)];
    let verdicts = KafkaOutput::new("out", &options)
        .write(&batch)
        .await
        .unwrap();
    let Verdict::Rejected { text } = &verdicts[2] else {
        panic!("{verdicts:?}");
    };
    assert!(text.contains("MessageTooLarge"), "{text}");
    let keys: Vec<String> = subject.records(0).await.iter().map(key).collect();
    assert_eq!(keys, ["a", "b", "c"]);
}

async fn a_topic_that_is_not_there_is_an_error(subject: &Broker) {
    let options = KafkaOptions {
        topic: "elsewhere".to_owned(),
        ..subject.options()
    };
    let output = KafkaOutput::new("out", &options);
    let error = output.check().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal, "{error}");
    let error = output.write(&puts(1)).await.unwrap_err();
    assert!(
        matches!(error.class(), Class::Transient { after: Some(_) }),
        "{error}"
    );
    assert!(error.to_string().contains("elsewhere"), "{error}");
}

async fn a_password_is_used_and_shown_nowhere(subject: &Broker, broker: &KafkaBroker) {
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("password");
    subject.make_topic(1).await;
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256] {
        let options = KafkaOptions {
            brokers: vec![format!("127.0.0.1:{}", broker.sasl_port())],
            sasl: Some(KafkaSasl {
                mechanism,
                user: "feeder".to_owned(),
                password_file: password_file.clone(),
            }),
            ..subject.options()
        };
        std::fs::write(&password_file, "canary-wrong").unwrap();
        let output = KafkaOutput::new("out", &options);
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
        // Put right while it runs.
        std::fs::write(&password_file, PASSWORD).unwrap();
        assert_eq!(output.write(&puts(1)).await.unwrap(), [Verdict::Stored]);
        output.check().await.unwrap();
    }
}

async fn a_certificate_is_checked(
    subject: &Broker,
    broker: &KafkaBroker,
    certificate: std::path::PathBuf,
) {
    subject.make_topic(1).await;
    let with = |tls| KafkaOptions {
        brokers: vec![format!("127.0.0.1:{}", broker.tls_port())],
        tls: Some(tls),
        ..subject.options()
    };
    let error = KafkaOutput::new("out", &with(crate::Tls::default()))
        .check()
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Fatal, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    for tls in [
        crate::Tls {
            ca_file: Some(certificate),
            ..Default::default()
        },
        crate::Tls {
            verify: false,
            ..Default::default()
        },
    ] {
        let output = KafkaOutput::new("out", &with(tls));
        output.check().await.unwrap();
        assert_eq!(output.write(&puts(1)).await.unwrap(), [Verdict::Stored]);
    }
    assert_eq!(subject.records(0).await.len(), 2);
}

async fn a_broker_that_is_away_is_an_error_and_then_everything_arrives(
    subject: &Broker,
    broker: &mut KafkaBroker,
) {
    subject.make_topic(3).await;
    let options = KafkaOptions {
        timeout: units::Duration::from_millis(1_000),
        ..subject.options()
    };
    let output = KafkaOutput::new("out", &options);
    let batch = puts(500);
    output.write(&batch[..100]).await.unwrap();
    broker.kill().unwrap();
    let new = KafkaOutput::new("out", &options);
    for error in [
        output.write(&batch[100..]).await.unwrap_err(),
        output.write(&batch[100..]).await.unwrap_err(),
        new.check().await.unwrap_err(),
    ] {
        assert_eq!(error.class(), Class::Transient { after: None }, "{error}");
    }
    broker.resume().unwrap();
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
    assert_eq!(verdicts, vec![Verdict::Stored; 400]);
    let again = Broker::new(broker, KafkaCompression::None).await;
    again
        .topics
        .store(subject.topics.load(Ordering::Relaxed), Ordering::Relaxed);
    let mut keys = Vec::new();
    for number in 0..3 {
        keys.extend(again.records(number).await.iter().map(key));
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 500);
}

#[tokio::test]
async fn settings_that_make_no_connection_are_fatal_and_show_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "canary").unwrap();
    let base = || KafkaOptions::new(["192.0.2.1:9092".to_owned()], "topic");
    let sasl = |password_file| {
        Some(KafkaSasl {
            mechanism: SaslMechanism::default(),
            user: "u".to_owned(),
            password_file,
        })
    };
    let cases = [
        (KafkaOptions::new([], "topic"), "is empty"),
        (
            KafkaOptions {
                brokers: vec!["192.0.2.1".to_owned()],
                ..base()
            },
            "host and port",
        ),
        (
            KafkaOptions {
                topic: "a/b".to_owned(),
                ..base()
            },
            "`topic`",
        ),
        (
            KafkaOptions {
                topic: "..".to_owned(),
                ..base()
            },
            "`topic`",
        ),
        (
            KafkaOptions {
                sasl: sasl(folder.path().join("none")),
                ..base()
            },
            "cannot be read",
        ),
        (
            KafkaOptions {
                tls: Some(crate::Tls {
                    ca_file: Some(secret.clone()),
                    ..Default::default()
                }),
                ..base()
            },
            "holds no certificate",
        ),
    ];
    for (options, text) in cases {
        let opened = KafkaOutput::open("out", &options).err().unwrap();
        let output = KafkaOutput::new("out", &options);
        contract::settings_are_fatal(opened, &output, &options, text).await;
    }
    let read: KafkaOptions =
        serde_json::from_str(r#"{"brokers":["192.0.2.1:9092"],"topic":"topic"}"#).unwrap();
    assert_eq!(read, base());
}

#[test]
fn the_target_is_the_topic_whatever_the_brokers() {
    let target = |brokers: &[&str], topic: &str| {
        let brokers = brokers.iter().map(|broker| (*broker).to_owned());
        KafkaOutput::new("out", &KafkaOptions::new(brokers, topic)).target()
    };
    let one = target(&["a.example.org:9092"], "misp");
    assert_eq!(
        one,
        target(&["b.example.org:9092", "a.example.org:9092"], "misp")
    );
    assert_ne!(one, target(&["a.example.org:9092"], "other"));
}
