use std::path::PathBuf;

use misp_ecs_tests::{ELASTIC_KEY, ElasticFault, FakeElastic};
use pipeline::{Class, Classify, Output};

use super::{elastic, options, puts};
use crate::Address;
use crate::elasticsearch::{ElasticsearchOptions, ElasticsearchOutput};

/// What [`ELASTIC_KEY`] is the base64 of.
const PLAIN_KEY: &str = "CanaryElasticKey:CanaryElasticKey";
const PASSWORD: &str = "CanaryPassword99";

fn without_variables(options: &ElasticsearchOptions) -> ElasticsearchOutput {
    ElasticsearchOutput::with_environment("out", options, |_| None)
}

fn file(folder: &tempfile::TempDir, text: &str) -> Option<PathBuf> {
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{text}\n")).unwrap();
    Some(path)
}

async fn authorization(options: &ElasticsearchOptions, elastic: &FakeElastic) -> Option<String> {
    let _refused_or_not = without_variables(options).check().await;
    let last = elastic.requests().pop().unwrap();
    last.header("authorization").map(str::to_owned)
}

#[tokio::test]
async fn each_kind_of_credentials_is_sent_as_it_should_be() {
    let elastic = elastic().await;
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(authorization(&options(&elastic), &elastic).await, None);
    for text in [ELASTIC_KEY, PLAIN_KEY] {
        let mut options = options(&elastic);
        options.api_key_file = file(&folder, text);
        let sent = authorization(&options, &elastic).await;
        assert_eq!(sent, Some(format!("ApiKey {ELASTIC_KEY}")));
        without_variables(&options).check().await.unwrap();
    }
    let mut basic = options(&elastic);
    basic.username = Some("elastic".to_owned());
    basic.password_file = file(&folder, "changeme");
    let sent = authorization(&basic, &elastic).await;
    assert_eq!(sent.as_deref(), Some("Basic ZWxhc3RpYzpjaGFuZ2VtZQ=="));
    let mut bearer = options(&elastic);
    bearer.bearer_file = file(&folder, "token");
    let sent = authorization(&bearer, &elastic).await;
    assert_eq!(sent.as_deref(), Some("Bearer token"));
    basic.bearer_file = bearer.bearer_file;
    let error = without_variables(&basic).check().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(error.to_string().contains("keep one"), "{error}");
}

#[tokio::test]
async fn a_new_key_in_the_file_is_taken_up_after_a_refusal() {
    let elastic = elastic().await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&elastic);
    options.api_key_file = file(&folder, "old:key");
    let output = without_variables(&options);
    output.write(&puts(1, 5)).await.unwrap_err();
    file(&folder, ELASTIC_KEY);
    output.write(&puts(1, 5)).await.unwrap_err();
    output.write(&puts(1, 5)).await.unwrap();
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let elastic = elastic().await;
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&elastic);
    options.api_key_file = file(&folder, PLAIN_KEY);
    options.proxy = Some(Address("none".to_owned()));
    let mut shown = vec![format!("{options:?}")];
    let output = without_variables(&options);
    shown.push(output.target());
    elastic.habits(|habits| habits.refuse_key = true);
    shown.push(output.check().await.unwrap_err().to_string());
    shown.push(format!(
        "{:?}",
        output.write(&puts(1, 5)).await.unwrap_err()
    ));
    elastic.habits(|habits| habits.refuse_key = false);
    for text in [ELASTIC_KEY, PLAIN_KEY] {
        for _ in 0..5 {
            elastic.next(ElasticFault::Body(text.to_owned()));
        }
        shown.push(format!(
            "{:?}",
            output.write(&puts(1, 5)).await.unwrap_err()
        ));
    }
    let mut bad = options.clone();
    bad.urls = vec![Address(format!("https://user:{PASSWORD}@127.0.0.1"))];
    bad.proxy = Some(Address(format!("http://user:{PASSWORD}@127.0.0.1")));
    shown.push(format!("{bad:?}"));
    shown.push(
        without_variables(&bad)
            .check()
            .await
            .unwrap_err()
            .to_string(),
    );
    bad.urls = options.urls;
    bad.proxy = Some(Address(format!("http://user:{PASSWORD}@[127.0.0.1")));
    shown.push(
        without_variables(&bad)
            .check()
            .await
            .unwrap_err()
            .to_string(),
    );
    bad.api_key_file = file(&folder, &format!("{PASSWORD}\u{7}"));
    shown.push(
        without_variables(&bad)
            .check()
            .await
            .unwrap_err()
            .to_string(),
    );
    for text in shown {
        for secret in [ELASTIC_KEY, PLAIN_KEY, "CanaryElasticKey", PASSWORD] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn options_that_cannot_be_are_fatal_and_said_at_once() {
    let none = ElasticsearchOptions::default();
    let mut user = ElasticsearchOptions::new(["http://127.0.0.1:9"]);
    user.username = Some("elastic".to_owned());
    let mut password = ElasticsearchOptions::new(["http://127.0.0.1:9"]);
    password.password_file = Some("nowhere".into());
    let mut missing = ElasticsearchOptions::new(["http://127.0.0.1:9"]);
    missing.api_key_file = Some("/nowhere/key".into());
    let mut elastics = ElasticsearchOptions::new(["http://127.0.0.1:9"]);
    elastics.index = Some("logs-ti_misp.threat-default".to_owned());
    for (options, text) in [
        (none, "urls"),
        (user, "password_file"),
        (password, "username"),
        (missing, "/nowhere/key"),
        (elastics, "force_names"),
    ] {
        let output = without_variables(&options);
        for error in [
            output.check().await.unwrap_err(),
            output.write(&puts(1, 5)).await.unwrap_err(),
        ] {
            assert_eq!(error.class(), Class::Fatal);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
