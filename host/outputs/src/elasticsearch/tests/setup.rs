use misp_ecs_tests::FakeElastic;
use pipeline::{Class, Classify, Output, Verdict};
use serde_json::{Value, json};
use units::Duration;

use super::{ALIAS, FIRST, INDEX, STREAM, elastic, options, output, write};
use crate::contract::fixtures::{delivery, put};
use crate::elasticsearch::{ElasticMode, ElasticsearchOptions, SetupAct, SetupMode};

const REAL: SetupMode = SetupMode {
    dry_run: false,
    recreate: false,
};
const DRY: SetupMode = SetupMode {
    dry_run: true,
    recreate: false,
};
const RECREATE: SetupMode = SetupMode {
    dry_run: false,
    recreate: true,
};

fn catalogue() -> Value {
    json!({
        "template": {"mappings": {"dynamic": false, "properties": {
            "n": {"type": "long"},
            "event": {"properties": {"module": {"type": "constant_keyword"}}},
            "url": {"type": "wildcard"},
        }}},
        "_meta": {"description": "Fields of misp-ecs", "mapping": "ecs-1.12", "version": "1.0.0"},
    })
}

fn append(elastic: &FakeElastic) -> ElasticsearchOptions {
    ElasticsearchOptions {
        mode: ElasticMode::Append,
        ..options(elastic)
    }
}

fn template(elastic: &FakeElastic, name: &str) -> Value {
    elastic.with_store(|store| store.index_templates[name].clone())
}

#[tokio::test]
async fn setup_makes_what_the_documents_need_and_the_same_again_is_the_same() {
    let elastic = FakeElastic::start().await;
    let output = output(&options(&elastic));
    assert_eq!(output.check().await.unwrap_err().class(), Class::Fatal);
    let report = output.setup(&catalogue(), REAL).await.unwrap();
    assert_eq!(
        (report.product, report.version.as_str()),
        ("Elasticsearch", "9.1.0")
    );
    assert!(report.steps.iter().all(|step| step.act == SetupAct::Create));
    assert!(
        report
            .to_string()
            .contains(&format!("created _index_template/{INDEX}"))
    );
    let made = template(&elastic, INDEX);
    assert_eq!(made["index_patterns"], json!([format!("{INDEX}-0*")]));
    assert_eq!(made["priority"], 500);
    assert_eq!(made["template"]["aliases"], json!({ALIAS: {}}));
    assert_eq!(made["template"]["settings"]["index"]["gc_deletes"], "2h");
    let codec = &made["template"]["settings"]["index"]["codec"];
    assert_eq!(codec, "best_compression");
    assert!(made.get("data_stream").is_none());
    let part = elastic.with_store(|store| store.component_templates["misp-ecs-ecs-1.12"].clone());
    assert_eq!(part["template"], catalogue()["template"]);
    let again = output.setup(&catalogue(), REAL).await.unwrap();
    assert!(again.steps.iter().all(|step| step.act == SetupAct::Keep));
    assert!(again.to_string().contains("unchanged _index_template"));
    assert_eq!(template(&elastic, INDEX), made);
    output.check().await.unwrap();
    assert_eq!(write(&output, &[put("a", 5)]).await, [Verdict::Stored]);
}

#[tokio::test]
async fn an_index_that_is_there_gets_the_new_fields() {
    let elastic = elastic().await;
    elastic.with_store(|store| store.index_templates.clear());
    let output = output(&options(&elastic));
    output.setup(&catalogue(), REAL).await.unwrap();
    write(&output, &[put("a", 5)]).await;
    let mut newer = catalogue();
    newer["template"]["mappings"]["properties"]["new"] = json!({"type": "ip"});
    let report = output.setup(&newer, REAL).await.unwrap();
    let acts: Vec<SetupAct> = report.steps.iter().map(|step| step.act).collect();
    assert_eq!(acts, [SetupAct::Replace, SetupAct::Keep, SetupAct::Replace]);
    let fields = elastic.with_store(|store| store.indices[FIRST].fields.clone());
    assert_eq!(fields["properties"]["new"]["type"], "ip");
}

#[tokio::test]
async fn a_dry_run_says_everything_and_changes_nothing() {
    let elastic = FakeElastic::start().await;
    let report = output(&options(&elastic))
        .setup(&catalogue(), DRY)
        .await
        .unwrap();
    let text = report.to_string();
    assert!(
        text.contains("would create _component_template/misp-ecs-ecs-1.12"),
        "{text}"
    );
    assert!(text.contains("gc_deletes"), "{text}");
    assert!(
        elastic
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
}

#[tokio::test]
async fn a_dry_run_needs_no_server() {
    let gone = FakeElastic::start().await;
    let options = options(&gone);
    drop(gone);
    let output = output(&options);
    let text = output.setup(&catalogue(), DRY).await.unwrap().to_string();
    assert!(text.contains(&format!("would create {FIRST}")), "{text}");
    assert!(text.contains("note: the server was not asked"), "{text}");
    output.setup(&catalogue(), REAL).await.unwrap_err();
}

/// The error of `check`, which names the one command that repairs it.
async fn refused(elastic: &FakeElastic, command: &str) -> String {
    let output = output(&options(elastic));
    let checked = output.check().await.unwrap_err();
    let written = output.write(&[put("a", 5)]).await.unwrap_err();
    assert_eq!(checked.to_string(), written.to_string());
    assert!(matches!(written.class(), Class::Transient { .. }));
    assert!(checked.to_string().contains(command), "{checked}");
    checked.to_string()
}

#[tokio::test]
async fn an_index_that_setup_did_not_make_is_never_written_and_one_command_repairs_it() {
    for name in [INDEX, FIRST] {
        let elastic = FakeElastic::start().await;
        elastic.habits(|habits| habits.open_search = true);
        let output = output(&options(&elastic));
        output.setup(&catalogue(), REAL).await.unwrap();
        // Made by another writer, which knew no fields: numbers as texts.
        elastic.with_store(|store| {
            store.indices.clear();
            let templates = std::mem::take(&mut store.index_templates);
            let aliases: &[&str] = if name == FIRST { &[INDEX, ALIAS] } else { &[] };
            store.make(name, aliases);
            store.index_templates = templates;
            let index = store.indices.get_mut(name).unwrap();
            index.fields = json!({"properties": {"n": {"type": "text"}}});
        });
        let error = refused(&elastic, "`misp-ecs setup elasticsearch --recreate`").await;
        assert!(error.contains(name), "{error}");
        let setup = output.setup(&catalogue(), REAL).await.unwrap_err();
        assert_eq!(setup.to_string(), error);
        assert!(elastic.bulks().is_empty());
        let report = output.setup(&catalogue(), RECREATE).await.unwrap();
        assert!(report.to_string().contains(&format!("deleted {name}")));
        output.check().await.unwrap();
        assert_eq!(write(&output, &[put("a", 5)]).await, [Verdict::Stored]);
        assert_eq!(elastic.with_store(|store| store.documents(ALIAS).len()), 1);
    }
}

#[tokio::test]
async fn an_alias_that_is_missing_is_named_and_added() {
    for alias in [ALIAS, INDEX] {
        let elastic = FakeElastic::start().await;
        let output = output(&options(&elastic));
        output.setup(&catalogue(), REAL).await.unwrap();
        elastic.with_store(|store| {
            let index = store.indices.get_mut(FIRST).unwrap();
            index.aliases.retain(|held| held != alias);
        });
        let error = refused(&elastic, "run `misp-ecs setup elasticsearch`").await;
        assert!(error.contains(alias), "{error}");
        output.setup(&catalogue(), REAL).await.unwrap();
        output.check().await.unwrap();
        assert_eq!(write(&output, &[put("a", 5)]).await, [Verdict::Stored]);
    }
}

#[tokio::test]
async fn a_stream_has_a_lifecycle_where_the_server_has_them() {
    let elastic = FakeElastic::start().await;
    let mut options = append(&elastic);
    output(&options).setup(&catalogue(), REAL).await.unwrap();
    let made = template(&elastic, STREAM);
    assert_eq!(made["data_stream"], json!({}));
    assert_eq!(made["template"]["lifecycle"], json!({}));
    let time = &made["template"]["mappings"]["properties"]["@timestamp"];
    assert_eq!(*time, json!({"type": "date", "ignore_malformed": false}));
    options.retention = Duration::from_hours(24);
    output(&options).setup(&catalogue(), REAL).await.unwrap();
    let lifecycle = &template(&elastic, STREAM)["template"]["lifecycle"];
    assert_eq!(*lifecycle, json!({"data_retention": "86400s"}));
    elastic.habits(|habits| {
        habits.open_search = true;
        habits.version = "3.1.0".to_owned();
    });
    let report = output(&options).setup(&catalogue(), REAL).await.unwrap();
    assert_eq!(report.product, "OpenSearch");
    // It takes no constant without a value.
    let part = elastic.with_store(|store| store.component_templates["misp-ecs-ecs-1.12"].clone());
    let module = &part["template"]["mappings"]["properties"]["event"]["properties"]["module"];
    assert_eq!(*module, json!({"type": "keyword"}));
    let url = &part["template"]["mappings"]["properties"]["url"];
    assert_eq!(*url, json!({"type": "wildcard", "doc_values": true}));
    assert!(
        report
            .to_string()
            .contains("note: OpenSearch 3.1.0 has no lifecycle")
    );
    assert!(
        template(&elastic, STREAM)["template"]
            .get("lifecycle")
            .is_none()
    );
}

#[tokio::test]
async fn a_template_of_somebody_else_is_left_alone() {
    let elastic = FakeElastic::start().await;
    let foreign = json!({"index_patterns": ["x"], "_meta": {"managed_by": "somebody"}});
    elastic.with_store(|store| {
        store
            .index_templates
            .insert(INDEX.to_owned(), foreign.clone());
    });
    let error = output(&options(&elastic))
        .setup(&catalogue(), REAL)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(error.to_string().contains(INDEX), "{error}");
    assert_eq!(template(&elastic, INDEX), foreign);
    assert!(elastic.with_store(|store| store.component_templates.is_empty()));
}

#[tokio::test]
async fn what_is_no_catalogue_or_too_old_a_server_is_refused() {
    let elastic = FakeElastic::start().await;
    let output = output(&options(&elastic));
    for wrong in [
        json!({}),
        json!({"_meta": {"mapping": "A b"}, "template": {}}),
    ] {
        let error = output.setup(&wrong, REAL).await.unwrap_err();
        assert_eq!(error.class(), Class::Fatal, "{error}");
    }
    elastic.habits(|habits| habits.version = "7.17.0".to_owned());
    for error in [
        output.setup(&catalogue(), REAL).await.unwrap_err(),
        output.check().await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("7.17.0 is too old"), "{error}");
    }
}

#[tokio::test]
async fn documents_of_more_than_thirty_days_ago_are_counted() {
    let elastic = elastic().await;
    let output = output(&options(&elastic));
    assert_eq!(output.advice().await.unwrap(), Vec::<String>::new());
    let now = u64::try_from(pipeline::now_ms()).unwrap();
    let day = 24 * 3_600 * 1_000;
    let batch = [("a", 40), ("b", 31), ("c", 2)].map(|(id, days)| {
        let body = json!({"@timestamp": now - days * day}).to_string();
        delivery(id, 5, pipeline::Operation::Put, body)
    });
    write(&output, &batch).await;
    let advice = output.advice().await.unwrap();
    assert!(advice[0].starts_with("2 of 3 documents"), "{advice:?}");
    elastic.habits(|habits| habits.forbid = true);
    output.advice().await.unwrap_err();
}
