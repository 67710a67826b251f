//! A MISP and an Elasticsearch that are both unreliable, an editor at work, and a host that is
//! killed at any moment. Then both are well, and what stands must be what MISP has: nothing
//! missing, nothing double, nothing stale, nothing too much.

use std::sync::Arc;

use misp_ecs_tests::{FakeElastic, FakeMisp};
use tokio::task::JoinHandle;

use crate::common::Setup;
use crate::host::{Host, Moment, Signs, well};
use crate::index::{self, Documents};
use crate::output::{Account, Shown, account};
use crate::{editor, number};

const MAPPINGS: [&str; 2] = ["ecs-9", "ecs-1.12"];
/// By how many documents the index grows in a pass, about.
const GROWS: u64 = 1_500;
/// One request in so many meets a fault.
const FAULTS: u32 = 6;

/// How the output keeps documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Latest,
    Append,
}

/// Both sides, and the host between them.
pub(crate) struct World {
    pub(crate) misp: Arc<FakeMisp>,
    pub(crate) elastic: FakeElastic,
    pub(crate) setup: Setup,
    pub(crate) random: fastrand::Rng,
    pub(crate) name: String,
    mode: Mode,
    instance: String,
    /// Numbers what editors make.
    made: u64,
}

impl World {
    /// With events and templates, and everything well.
    pub(crate) async fn new(mode: Mode, instance: &str, seed: u64) -> Self {
        let misp = Arc::new(FakeMisp::start().await);
        misp.with_store(editor::fill);
        let elastic = FakeElastic::start().await;
        elastic.habits(|habits| habits.queue = Some(2));
        let setup = connected(mode, instance, &misp, &elastic).await;
        Self {
            misp,
            elastic,
            setup,
            random: fastrand::Rng::with_seed(seed),
            name: format!("{mode:?}{instance}, seed {seed}"),
            mode,
            instance: instance.to_owned(),
            made: 0,
        }
    }

    /// From now on both sides fail now and then, and somebody edits between requests.
    pub(crate) fn disturb(&mut self) -> JoinHandle<()> {
        self.misp.weather(self.random.u64(..), FAULTS);
        self.elastic.weather(self.random.u64(..), FAULTS);
        self.made += 1;
        let seed = self.made * 10_000_000;
        editor::start(Arc::clone(&self.misp), self.random.fork(), seed)
    }

    /// From now on somebody edits between requests; both sides stay well.
    pub(crate) fn edit_only(&mut self) -> JoinHandle<()> {
        self.made += 1;
        let seed = self.made * 10_000_000;
        editor::start(Arc::clone(&self.misp), self.random.fork(), seed)
    }

    /// Nobody waits for a host that is down.
    pub(crate) fn edit(&mut self) {
        self.made += 1;
        let seed = self.made * 10_000_000;
        let random = &mut self.random;
        self.misp
            .with_store(|store| editor::some_acts(store, random, seed));
    }

    /// Waits for some moment of a host's life; how it ended, if it did before.
    pub(crate) async fn moment(&mut self, host: &mut Host) -> Option<std::process::ExitStatus> {
        let moment = Moment::random(&mut self.random, GROWS);
        let size = || self.elastic.with_store(|store| store.applied.len() as u64);
        let signs = Signs {
            misp: &self.misp,
            size: &size,
        };
        host.until(&moment, &signs).await
    }

    /// Another mapping, or the same again.
    pub(crate) fn some_mapping(&mut self) -> &'static str {
        MAPPINGS[self.random.usize(0..MAPPINGS.len())]
    }

    /// Everything is well again and reviewed; the host, started anew, brings the index to what
    /// MISP has. Fails the test if it does not.
    pub(crate) async fn verdict(&mut self, editing: JoinHandle<()>) -> Verdict {
        editing.abort();
        assert!(editing.await.is_err_and(|error| error.is_cancelled()));
        self.misp.weather(0, 0);
        self.elastic.weather(0, 0);
        self.misp.with_store(editor::publish_all);
        let swept = well(&self.setup, &["sweep", "--confirm"]).await;
        let account = account(&swept);
        // What other mappings made is made by the one at work.
        well(&self.setup, &["reprocess"]).await;
        self.elastic.end_of_late();
        let said = format!("{}\n{swept}", self.name);
        let wanted: Shown = self.misp.with_store(|store| editor::database(store, true));
        let found = self.standing(&self.elastic);
        let clean = self.first_reading().await;
        index::holds(&found, &clean, &wanted, &said);
        let audit = well(&self.setup, &["audit"]).await;
        assert!(audit.contains("nothing differs"), "{said}\n{audit}");
        let bulks = self.elastic.bulk_count();
        let again = well(&self.setup, &["run", "--once"]).await;
        let nothing = self::account(&again).stored;
        assert_eq!(
            (nothing, self.elastic.bulk_count()),
            (0, bulks),
            "{said}\n{again}"
        );
        Verdict {
            account,
            documents: found.len(),
        }
    }

    /// What is not needed any more, so that a long run stays small.
    pub(crate) fn forget(&self) {
        self.misp.forget_requests();
        self.elastic.forget_requests();
        std::fs::remove_file(self.setup.folder.path().join("trace.ndjson")).unwrap();
    }

    fn standing(&self, elastic: &FakeElastic) -> Documents {
        match self.mode {
            Mode::Latest => index::latest(elastic),
            Mode::Append => index::newest(elastic),
        }
    }

    /// What a host that remembers nothing makes of MISP, under the mapping at work.
    async fn first_reading(&self) -> Documents {
        let elastic = FakeElastic::start().await;
        let setup = connected(self.mode, &self.instance, &self.misp, &elastic).await;
        let history = well(&self.setup, &["mapping", "history"]).await;
        let at_work = history.lines().last().unwrap();
        let is_at_work = |name: &&&str| at_work.contains(&format!(" {name} "));
        let name = MAPPINGS.iter().find(is_at_work).unwrap();
        setup.set("mapping", &format!("{{name: {name}}}"));
        well(&setup, &["run", "--once"]).await;
        self.standing(&elastic)
    }
}

/// What a failure is found by stays: the host's folder, and every write in the order it was done.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.setup.folder.disable_cleanup(true);
        let folder = self.setup.folder.path();
        let writes: String = self.elastic.with_store(|store| {
            let lines = store.applied.iter().map(|one| {
                let attribute = &one.source["misp"]["attribute"]["uuid"];
                let (action, index, id, version) = (one.action, &one.index, &one.id, one.version);
                format!("{action} {index} {id} {version} {attribute}\n")
            });
            lines.collect()
        });
        // It has failed already.
        let _ = std::fs::write(folder.join("writes"), writes);
        eprintln!("{}: left in {}", self.name, folder.display());
    }
}

/// What a verdict was about.
pub(crate) struct Verdict {
    /// Of the pass that brought everything up to date.
    pub(crate) account: Account,
    pub(crate) documents: usize,
}

async fn connected(mode: Mode, instance: &str, misp: &FakeMisp, elastic: &FakeElastic) -> Setup {
    let mode = match mode {
        Mode::Latest => "latest",
        Mode::Append => "append",
    };
    let more = format!(", mode: {mode}, retry_wait: 5ms, max_bulk_count: 200");
    let extra = format!(", attributes_page: 40{instance}");
    let setup = Setup::with_elastic(misp, &extra, elastic, &more).with_compiled();
    setup.set("mapping", "{name: ecs-9}");
    let templates = MAPPINGS.map(|name| ["--mapping", name]).concat();
    well(
        &setup,
        &[&["setup", "elasticsearch"], &templates[..]].concat(),
    )
    .await;
    setup
}

async fn killed_again_and_again(mode: Mode, instance: &str, nth: u64) {
    let seed = number("MISP_ECS_SEED", 1) * 4 + nth;
    let kills = number("MISP_ECS_KILLS", 4);
    let mut world = World::new(mode, instance, seed).await;
    let editing = world.disturb();
    let (mut starts, mut killed, mut gave_up) = (0, 0, 0);
    while killed < kills {
        starts += 1;
        world.edit();
        if world.random.u8(0..4) == 0 {
            let name = world.some_mapping();
            well(&world.setup, &["mapping", "use", name]).await;
        }
        let words: &[&str] = match world.random.u8(0..6) {
            0 => &["reprocess"],
            1 => &["sweep", "--confirm"],
            _ => &["run", "--once"],
        };
        let mut host = Host::start(&world.setup, words);
        match world.moment(&mut host).await {
            None => {
                host.kill().await;
                killed += 1;
            }
            // A pass gives up when something fails again and again.
            Some(_) => gave_up += u64::from(!host.end().await.0.success()),
        }
    }
    let Verdict { account, documents } = world.verdict(editing).await;
    eprintln!(
        "{}: {starts} starts, {killed} killed, {gave_up} gave up; {} requests, {} bulks, \
         {documents} documents; at the end {}",
        world.name,
        world.misp.request_count(),
        world.elastic.bulk_count(),
        account.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_from_events_by_publish() {
    killed_again_and_again(Mode::Latest, "", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn append_from_attributes_by_publish() {
    killed_again_and_again(Mode::Append, ", endpoint: attributes", 1).await;
}
