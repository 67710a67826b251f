//! `misp-ecs run` as a user has it: a real process, real signals, a fake MISP.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

use common::{Setup, attributes, balances, demo, misp_ecs, output, signal, started, text};
use misp_ecs_tests::FakeMisp;
use misp_ecs_tests::fake_misp::Fault;
use tokio::sync::Notify;

fn each_once(misp: &FakeMisp) -> BTreeMap<String, usize> {
    let published = misp.with_store(|store| store.published_attributes());
    published.into_iter().map(|uuid| (uuid, 1)).collect()
}

/// Why: `heap.rs`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_one_heap_and_is_the_process_that_was_started() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let mut child = started(setup.command(&["run"]).env_remove("MALLOC_ARENA_MAX"));
    let walked = |one: &serde_json::Value| one["counts"]["walks"].as_u64() > Some(0);
    status_until(&setup, "lab", walked).await;
    let of = |file: &str| std::fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
    let environment = text(&of("environ"));
    let is_set = environment
        .split('\0')
        .any(|one| one == "MALLOC_ARENA_MAX=1");
    assert!(is_set, "{environment}");
    assert_eq!(text(&of("comm")).trim(), "misp-ecs");
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_variables_are_enough_and_every_attribute_comes_once() {
    let misp = demo().await;
    let home = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = misp_ecs(home.path());
        command
            .args(["run", "--once"])
            .env("MISP_URL", misp.url())
            .env("MISP_API_KEY", misp.key());
        command
    };
    let first = output(run()).await;
    let said = text(&first.stderr);
    assert!(first.status.success(), "{said}");
    assert_eq!(attributes(&text(&first.stdout)), each_once(&misp));
    assert!(
        said.contains("refused   none")
            && said.contains("account   ")
            && said.contains("at the source when the last poll began"),
        "{said}"
    );
    balances(&said);
    let first_run = "nothing is remembered of this instance: everything is sent once";
    assert!(said.contains(first_run), "{said}");

    let second = output(run()).await;
    assert!(second.status.success());
    assert!(!text(&second.stderr).contains(first_run));
    assert_eq!(text(&second.stdout), "");
    assert!(
        text(&second.stderr).contains("delivered before"),
        "{}",
        text(&second.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_nowhere_but_in_its_file() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    misp.next(Fault::Status(
        500,
        "An Internal Error Has Occurred.".to_owned(),
    ));
    let ran = output(setup.command(&["run", "--once", "--log", "trace"])).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    std::fs::remove_file(setup.folder.path().join("key")).unwrap();
    let everything = [ran.stdout, ran.stderr, all_bytes(setup.folder.path())].concat();
    assert!(everything.len() > 10_000);
    assert!(!contains(&everything, misp.key().as_bytes()));
    assert!(setup.folder.path().join("trace.ndjson").exists());
}

fn all_bytes(folder: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(all_bytes(&path));
        } else {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    bytes
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_ends_one_pass_at_once_and_says_what_to_do() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    std::fs::write(setup.folder.path().join("key"), "x".repeat(40)).unwrap();
    let ran = output(setup.command(&["run", "--once"])).await;
    assert_eq!(ran.status.code(), Some(4));
    let said = text(&ran.stderr);
    assert!(said.contains("403") && said.contains("key"), "{said}");
    assert_eq!(misp.request_count(), 1);
}

/// Adds an instance `old` with a key file of its own.
fn add_instance(setup: &Setup, misp: &FakeMisp, key: &str, more: &str) {
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    let other = format!(
        "instances: [{{name: old, url: '{}', api_key_file: old{more}}}, ",
        misp.url()
    );
    std::fs::write(&config, yaml.replacen("instances: [", &other, 1)).unwrap();
    std::fs::write(setup.folder.path().join("old"), key).unwrap();
}

fn runs(one: &serde_json::Value) -> bool {
    one["health"]["status"] == "running" && one["counts"]["walks"].as_u64() > Some(0)
}

/// The exit code of `status` and its first line.
async fn status(setup: &Setup) -> (Option<i32>, String) {
    let asked = output(setup.command(&["status"])).await;
    let said = text(&asked.stdout);
    let first = said.lines().next().unwrap_or_default().to_owned();
    (asked.status.code(), first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_costs_its_instance_only_until_its_file_is_right() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    add_instance(&setup, &misp, &"x".repeat(40), "");
    let mut child = setup
        .command(&["run"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        said
    });
    let old = status_until(&setup, "old", is_degraded).await;
    assert_eq!(old["health"]["stage"], "source");
    assert_eq!(old["status"], "degraded");
    status_until(&setup, "lab", runs).await;
    assert_eq!(setup.attributes(), each_once(&misp));
    let (code, first) = status(&setup).await;
    assert_eq!((code, first.as_str()), (Some(1), "degraded: old (source)"));
    let twice = |one: &serde_json::Value| one["last_error"]["attempts"].as_u64() > Some(1);
    let old = status_until(&setup, "old", twice).await;
    assert!(old["last_error"]["again_ms"].as_u64() > old["last_error"]["at_ms"].as_u64());
    std::fs::write(setup.folder.path().join("old"), misp.key()).unwrap();
    status_until(&setup, "old", runs).await;
    assert_eq!(
        status(&setup).await,
        (Some(0), "healthy: 2 instances".to_owned())
    );
    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    assert_eq!(ended.await.unwrap().code(), Some(0));
    let said = reading.await.unwrap();
    for (line, times) in [("retrying until it works", 1), ("works again", 1)] {
        assert_eq!(said.matches(line).count(), times, "{line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_cannot_read_its_cursor_ends_alone_and_with_four() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let ran = output(setup.command(&["run", "--once"])).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    // As a newer program would have written it.
    {
        let store = state::Store::open(&setup.folder.path().join("state")).unwrap();
        let cursor = pipeline::Cursor(r#"{"v":9,"walk":"publish","w":1}"#.to_owned());
        let commit = pipeline::Commit {
            instance: "lab",
            walk: "lab",
            cursor: Some(&cursor),
            version: store.next_version(0).unwrap(),
            outputs: &[],
            whole: &[],
            no_longer_wanted: &[],
            unread: &[],
        };
        pipeline::State::commit(&store, &commit).unwrap();
    }
    let alone = output(setup.command(&["run"])).await;
    assert_eq!(alone.status.code(), Some(4), "{}", text(&alone.stderr));
    add_instance(&setup, &misp, misp.key(), "");
    let mut child = started(&mut setup.command(&["run"]));
    status_until(&setup, "lab", |one| one["health"]["status"] == "failed").await;
    status_until(&setup, "old", runs).await;
    let (code, first) = status(&setup).await;
    assert_eq!(code, Some(4));
    assert!(first.starts_with("failed: lab ("), "{first}");
    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    assert_eq!(ended.await.unwrap().code(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_misp_cannot_serve_holds_up_nothing_and_comes_later() {
    let misp = FakeMisp::start().await;
    for seed in 1..=9_u64 {
        let info = if seed == 4 { "too much" } else { "as usual" };
        let event = misp_ecs_tests::events::event(seed, info)
            .published_at(misp_ecs_tests::events::BASE_TIME + i64::try_from(seed).unwrap())
            .attribute(misp_ecs_tests::events::attr(
                "domain",
                &format!("a{seed}.example.org"),
            ));
        misp.add(event.build());
    }
    misp.habits(|habits| habits.unservable = Some("too much"));
    let setup = Setup::new(&misp, ", sweep: 1s, interval: 1s");
    let mut child = started(&mut setup.command(&["run"]));
    let swept = |one: &serde_json::Value| {
        one["counts"]["sweep"]["listed"].as_u64() == Some(8)
            && walks(one) > 1
            && one["health"]["stage"] == "events"
    };
    let lab = status_until(&setup, "lab", swept).await;
    assert_eq!(setup.attributes().len(), 8);
    assert_eq!(
        (&lab["health"]["stage"], &lab["to_read_again"]),
        (&"events".into(), &1.into())
    );
    let uuid = misp_ecs_tests::events::uuid(4, 0);
    assert_eq!(lab["not_read"][0]["uuid"], uuid);
    let (code, first) = status(&setup).await;
    assert_eq!((code, first.as_str()), (Some(1), "degraded: lab (events)"));

    misp.habits(|habits| habits.unservable = None);
    let asked = output(setup.command(&["reprocess", "--event", &uuid])).await;
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    status_until(&setup, "lab", |one| one["to_read_again"] == 0 && runs(one)).await;
    assert_eq!(setup.attributes().len(), 9);
    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    assert_eq!(ended.await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pass_gets_past_an_event_that_misp_cannot_serve() {
    let misp = demo().await;
    let event = misp_ecs_tests::events::event(77, "too much")
        .published_at(misp_ecs_tests::events::BASE_TIME + 3)
        .attribute(misp_ecs_tests::events::attr("domain", "a.example.org"));
    let before = each_once(&misp);
    misp.add(event.build());
    misp.habits(|habits| habits.unservable = Some("too much"));
    let setup = Setup::new(&misp, "");
    let ran = output(setup.command(&["run", "--once"])).await;
    let said = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("NOT READ  1 event: "), "{said}");
    assert_eq!(setup.attributes(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_and_one_that_is_gone_hold_up_no_other() {
    let (misp, hanging) = (demo().await, demo().await);
    let setup = Setup::new(&misp, ", interval: 100ms");
    let config = setup.folder.path().join("misp-ecs.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    // Nobody listens there any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let others = format!(
        "instances: [{{name: hangs, url: '{}', api_key_file: key}}, \
         {{name: gone, url: 'http://{gone}', api_key_file: key}}, ",
        hanging.url()
    );
    std::fs::write(&config, yaml.replacen("instances: [", &others, 1)).unwrap();
    let release = Arc::new(Notify::new());
    hanging.next(Fault::Hold(Arc::clone(&release)));
    let mut child = started(&mut setup.command(&["run"]));
    hanging.arrived(1).await;
    status_until(&setup, "gone", is_degraded).await;
    let walked = status_until(&setup, "lab", |one| {
        one["counts"]["walks"].as_u64() > Some(0)
    })
    .await;
    let walks = walked["counts"]["walks"].as_u64().unwrap();
    let new = misp_ecs_tests::events::event(4_242, "new")
        .published_at(misp_ecs_tests::events::BASE_TIME + 1_000_000)
        .attribute(misp_ecs_tests::events::attr("domain", "new.example.org"))
        .build();
    misp.add(new);
    let again = |one: &serde_json::Value| one["counts"]["walks"].as_u64() >= Some(walks + 2);
    status_until(&setup, "lab", again).await;
    assert_eq!(setup.attributes(), each_once(&misp));
    let hangs = status_until(&setup, "hangs", |_| true).await;
    assert_eq!(hangs["counts"]["pages"], 0, "{hangs}");
    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    assert_eq!(ended.await.unwrap().code(), Some(0));
    release.notify_one();
}

/// Asks until this holds of an instance, and what its status is then; each question is a process
/// of its own.
/// Walks that were made to their end.
fn walks(instance: &serde_json::Value) -> u64 {
    instance["counts"]["walks"].as_u64().unwrap()
}

fn is_degraded(instance: &serde_json::Value) -> bool {
    instance["health"]["status"] == "degraded"
}

async fn status_until(
    setup: &Setup,
    instance: &str,
    holds: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let reached = async {
        loop {
            let asked = output(setup.command(&["status", "--json"])).await;
            let Ok(status) = serde_json::from_slice::<serde_json::Value>(&asked.stdout) else {
                continue;
            };
            let instances = status["instances"].as_array().unwrap();
            let mut of_it = instances.iter().filter(|one| one["instance"] == instance);
            if let Some(one) = of_it.find(|one| holds(one)) {
                return one.clone();
            }
        }
    };
    let minute = std::time::Duration::from_secs(60);
    tokio::time::timeout(minute, reached).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_replaced_is_used_without_a_restart() {
    let misp = demo().await;
    let setup = Setup::new(&misp, ", interval: 1s");
    let mut child = started(&mut setup.command(&["run"]));
    let walked = status_until(&setup, "lab", |one| walks(one) > 0).await;
    let new = "RotatedKeyRotatedKeyRotatedKeyRotated999";
    misp.set_key(new);
    status_until(&setup, "lab", is_degraded).await;
    std::fs::write(setup.folder.path().join("key"), new).unwrap();
    let is_used = || {
        let requests = misp.requests();
        let last = requests
            .last()
            .and_then(|last| last.header("authorization"));
        last == Some(new)
    };
    let again = |one: &serde_json::Value| walks(one) >= walks(&walked) + 2;
    status_until(&setup, "lab", |one| is_used() && again(one)).await;
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
    assert!(is_used());
    assert_eq!(setup.attributes(), each_once(&misp));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_is_refused_holds_up_no_poll() {
    let misp = demo().await;
    misp.habits(|habits| habits.refuses = Some("/events/index/minimal:1"));
    let setup = Setup::new(&misp, ", interval: 1s, sweep: 1s");
    let mut child = started(&mut setup.command(&["run"]));
    let before = status_until(&setup, "lab", is_degraded).await;
    misp.with_store(|store| {
        let late = misp_ecs_tests::events::event(4_242, "late")
            .published_at(store.now())
            .attribute(misp_ecs_tests::events::attr("domain", "late.example.org"));
        store.add(late.build());
        store.advance(10);
    });
    let again = |one: &serde_json::Value| walks(one) >= walks(&before) + 2;
    status_until(&setup, "lab", again).await;
    status_until(&setup, "lab", is_degraded).await;
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
    assert_eq!(setup.attributes(), each_once(&misp));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_of_the_configuration_is_wrong_usage() {
    let misp = demo().await;
    let setup = Setup::new(&misp, ", page_sise: 4");
    let ran = output(setup.command(&["run", "--once"])).await;
    assert_eq!(ran.status.code(), Some(2));
    assert!(
        text(&ran.stderr).contains("did you mean `page_size`"),
        "{}",
        text(&ran.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_service_delivers_and_ends_well() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let release = Arc::new(Notify::new());
    for _ in 0..4 {
        misp.next(Fault::None);
    }
    misp.next(Fault::Hold(Arc::clone(&release)));
    let child = started(&mut setup.command(&["run"]));
    misp.arrived(5).await;
    signal(&child, "TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap();
    release.notify_one();
    assert_eq!(ended.status.code(), Some(0));
    assert!(!setup.attributes().is_empty());
    let rest = output(setup.command(&["run", "--once"])).await;
    assert!(rest.status.success(), "{}", text(&rest.stderr));
    assert_eq!(setup.attributes(), each_once(&misp));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_host_on_the_same_state_refuses() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let mut first = started(&mut setup.command(&["run"]));
    misp.arrived(1).await;
    let second = output(setup.command(&["run", "--once"])).await;
    let said = text(&second.stderr);
    assert_eq!(second.status.code(), Some(4), "{said}");
    assert!(said.contains(&first.id().to_string()), "{said}");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_nothing_is_missing() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        let before = misp.requests().len();
        let mut child = started(&mut setup.command(&["run"]));
        // The next request comes while the page before it is mapped and written.
        misp.arrived(before + random.usize(1..6)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = output(setup.command(&["run", "--once"])).await;
    assert!(last.status.success(), "{}", text(&last.stderr));
    balances(&text(&last.stderr));
    let found = setup.attributes();
    let missing: Vec<_> = each_once(&misp)
        .into_keys()
        .filter(|uuid| !found.contains_key(uuid))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_shown_exported_and_forgotten() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    assert!(
        output(setup.command(&["run", "--once"]))
            .await
            .status
            .success()
    );
    let shown = text(&output(setup.command(&["state", "show"])).await.stdout);
    assert!(
        shown.contains("lab") && shown.contains("last commit"),
        "{shown}"
    );
    let exported = output(setup.command(&["state", "export"])).await.stdout;
    let lines: Vec<serde_json::Value> = text(&exported)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["instance"]["instance"], "lab");
    let documents = lines.iter().filter(|line| line.get("document").is_some());
    assert!(documents.count() >= each_once(&misp).len());
    let wrong = output(setup.command(&["state", "reset", "--instance", "lap"])).await;
    assert!(text(&wrong.stderr).contains("did you mean `lab`"));
    let reset = output(setup.command(&["state", "reset", "--instance", "lab"])).await;
    assert!(reset.status.success());
    // A first walk again: everything comes a second time.
    assert!(
        output(setup.command(&["run", "--once"]))
            .await
            .status
            .success()
    );
    assert!(setup.attributes().values().all(|times| *times == 2));
    let all = output(setup.command(&["state", "reset"])).await;
    assert!(
        text(&all.stdout).contains("kept as"),
        "{}",
        text(&all.stdout)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_good_from_bad() {
    let misp = demo().await;
    let setup = Setup::new(&misp, "");
    let good = output(setup.command(&["check"])).await;
    let said = text(&good.stdout);
    assert!(good.status.success(), "{said}");
    assert!(
        said.contains("a run would work") && said.contains("the key is accepted"),
        "{said}"
    );
    std::fs::write(setup.folder.path().join("key"), "x".repeat(40)).unwrap();
    let bad = output(setup.command(&["check"])).await;
    assert!(!bad.status.success());
    assert!(text(&bad.stdout).contains("FAIL"), "{}", text(&bad.stdout));
}
