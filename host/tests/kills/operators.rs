//! What operators do to a host between two kills: they rename an instance, narrow and widen its
//! selection, point the output elsewhere, delete its index, revoke and restore the API key. Beside
//! MISP stands a feed of a stranger with the same uuids and other values. At the end the output
//! must hold what MISP has, and of the feed only what MISP does not deliver.

use std::path::Path;

use misp_ecs_tests::events::uuid;
use misp_ecs_tests::{ELASTIC_KEY, FakeElastic};
use serde_json::{Map, Value, json};

use crate::both::World;
use crate::common::{self, Setup, text};
use crate::editor;
use crate::host::{Host, well};
use crate::index;
use crate::number;
use crate::output::{Shown, account, same, shown, what};

const NAMES: [&str; 2] = ["lab", "office"];
const ALIASES: [&str; 2] = [
    "logs-ti_misp_ecs.latest-default",
    "logs-ti_misp_ecs.latest-other",
];
/// What the editor puts on events and takes off again.
const EXCEPT: &str = "lab:seen";
/// Events of the feed, which have the uuids of MISP's first ones.
const COPIED: u64 = 4;

/// What an operator can set.
#[derive(Debug, Default)]
struct Settings {
    name: usize,
    alias: usize,
    narrowed: bool,
}

impl Settings {
    fn name(&self) -> &'static str {
        NAMES[self.name]
    }

    fn alias(&self) -> &'static str {
        ALIASES[self.alias]
    }

    /// Writes the configuration: MISP first, the feed of a stranger after it.
    fn write(&self, world: &World, setup: &Setup, elastic: &FakeElastic) {
        let except = if self.narrowed {
            format!(", except: {{tags: ['{EXCEPT}']}}")
        } else {
            String::new()
        };
        setup.set(
            "instances",
            &format!(
                "[{{name: {}, url: '{}', api_key_file: key, page_size: 3, trace_file: \
                 trace.ndjson, attributes_page: 40{except}}}, {{name: stranger, url: feed, \
                 endpoint: feed}}]",
                self.name(),
                world.misp.url(),
            ),
        );
        setup.set(
            "outputs",
            &format!(
                "{{siem: {{type: elasticsearch, urls: ['{}'], api_key_file: elastic-key, proxy: \
                 none, retry_wait: 5ms, max_bulk_count: 200, index: {}}}}}",
                elastic.url(),
                self.alias(),
            ),
        );
    }
}

/// The feed: the first events of MISP as they were in the beginning, with values of its own.
fn write_feed(world: &World, folder: &Path) -> Shown {
    let feed = folder.join("feed");
    std::fs::create_dir(&feed).unwrap();
    let mut manifest = Map::new();
    let mut shown = Shown::new();
    for nth in 1..=COPIED {
        let name = uuid(nth, 0);
        let mut event = world.misp.with_store(|store| {
            let mut events = store.events().iter();
            events.find(|event| event["uuid"] == *name).unwrap().clone()
        });
        event.as_object_mut().unwrap().remove("Object");
        event["Tag"] = json!([]);
        for attribute in event["Attribute"].as_array_mut().unwrap() {
            let attribute_uuid = attribute["uuid"].as_str().unwrap().to_owned();
            let value = format!("stranger-{nth}.example.net");
            attribute["value"] = value.clone().into();
            attribute["comment"] = "stranger".into();
            let what = what(&name, &value, "stranger", &[].into());
            shown.insert(attribute_uuid, what);
        }
        manifest.insert(name.clone(), json!({"timestamp": event["timestamp"]}));
        let file = feed.join(format!("{name}.json"));
        std::fs::write(file, json!({"Event": event}).to_string()).unwrap();
    }
    let manifest = Value::Object(manifest).to_string();
    std::fs::write(feed.join("manifest.json"), manifest).unwrap();
    shown
}

/// What must stand: what MISP shows and the selection lets through, else what the feed shows.
fn wanted(world: &World, settings: &Settings, feed: &Shown) -> Shown {
    let mut wanted = feed.clone();
    let of_misp = world
        .misp
        .with_store(|store| editor::database(store, false));
    let passes = |what: &Value| {
        let mut tags = what["tags"].as_array().into_iter().flatten();
        !settings.narrowed || !tags.any(|tag| tag == EXCEPT)
    };
    wanted.extend(of_misp.into_iter().filter(|(_, what)| passes(what)));
    wanted
}

/// Does what an operator does, by the commands that the manual names.
async fn act(world: &mut World, setup: &Setup, settings: &mut Settings, act: u8) {
    match act {
        0 => {
            let old = settings.name();
            settings.name = 1 - settings.name;
            settings.write(world, setup, &world.elastic);
            let said = well(setup, &["instance", "rename", old, settings.name()]).await;
            assert!(said.contains(settings.name()), "{said}");
        }
        1 => {
            settings.narrowed = !settings.narrowed;
            settings.write(world, setup, &world.elastic);
        }
        2 => {
            settings.alias = 1 - settings.alias;
            settings.write(world, setup, &world.elastic);
            well(setup, &["setup", "elasticsearch"]).await;
        }
        3 => {
            let alias = settings.alias();
            world.elastic.with_store(|store| {
                store.indices.retain(|name, _| !name.starts_with(alias));
            });
            well(setup, &["setup", "elasticsearch"]).await;
        }
        _ => {
            world
                .misp
                .set_key("another key, forty characters long, here");
            let ran = common::output(setup.command(&["run", "--once"])).await;
            let said = text(&ran.stderr);
            assert_eq!(ran.status.code(), Some(4), "{said}");
            let key = world.misp.key().to_owned();
            world.misp.set_key(&key);
        }
    }
}

/// Everything is published; the host brings the output to what it must hold.
async fn verdict(world: &World, setup: &Setup, settings: &Settings, feed: &Shown, acts: &str) {
    world.misp.with_store(editor::publish_all);
    let said = well(setup, &["sweep", "--confirm"]).await;
    account(&said);
    world.elastic.end_of_late();
    let found = index::of_alias(&world.elastic, settings.alias());
    let wanted = wanted(world, settings, feed);
    let said = format!("{}, {settings:?}, {acts}\n{said}", world.name);
    same(&wanted, &shown(found.values()), &said);
    assert!(wanted.len() > 100, "{said}");
    let audit = well(setup, &["audit", "--output", "siem"]).await;
    assert!(audit.contains("nothing differs"), "{said}\n{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_between_kills() {
    let seed = number("MISP_ECS_SEED", 1) * 4 + 2;
    let kills = number("MISP_ECS_KILLS", 6);
    let mut world = World::new(crate::both::Mode::Latest, "", seed).await;
    let setup = Setup::new(&world.misp, "").with_compiled();
    std::fs::write(setup.folder.path().join("elastic-key"), ELASTIC_KEY).unwrap();
    let feed = write_feed(&world, setup.folder.path());
    let mut settings = Settings::default();
    setup.set("mapping", "{name: ecs-9}");
    settings.write(&world, &setup, &world.elastic);
    well(&setup, &["setup", "elasticsearch"]).await;
    let editing = world.edit_only();
    let (mut starts, mut killed, mut acts) = (0, 0, String::new());
    while killed < kills {
        starts += 1;
        world.edit();
        let next = world.random.u8(0..5);
        acts.push_str(&format!(" {next}"));
        act(&mut world, &setup, &mut settings, next).await;
        let mut host = Host::start(&setup, &["run", "--once"]);
        match world.moment(&mut host).await {
            None => {
                host.kill().await;
                killed += 1;
            }
            Some(ended) => assert!(ended.success(), "{}: {}", world.name, host.end().await.1),
        }
    }
    editing.abort();
    assert!(editing.await.is_err_and(|error| error.is_cancelled()));
    eprintln!(
        "{}: {starts} starts, {killed} killed, acts:{acts}",
        world.name
    );
    verdict(&world, &setup, &settings, &feed, &acts).await;
    // What was narrowed comes back, what was wide goes.
    settings.narrowed = !settings.narrowed;
    settings.write(&world, &setup, &world.elastic);
    verdict(&world, &setup, &settings, &feed, &acts).await;
}
