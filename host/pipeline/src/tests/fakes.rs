//! The four sides, scripted: they fail, reject, hang or crash when told to, and write down what happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use splitter::{Body, Records, SplitLimits};

use crate::{
    Batch, Changes, Class, Classify, Commit, Comparison, Cursor, DeadLetter, DeadLetters, Delivery,
    Difference, DifferenceCounts, Document, Held, Ledger, ListedAttribute, ListedEvent, Listing,
    Mapped, MappingIdentity, Operation, Options, Outcome, Output, OutputError, OutputKey, Page,
    PageFacts, Pipeline, Reason, RefusalKind, Refused, Remembered, Sink, Slot, Source, SourceError,
    Standing, State, StateError, Transform, TransformError, Verdict, Whole,
};

/// An error of this class.
#[derive(Debug, thiserror::Error)]
#[error("told to fail")]
pub(super) struct Told(pub(super) Class);

impl Classify for Told {
    fn class(&self) -> Class {
        self.0
    }
}

pub(super) const LATER: Class = Class::Transient { after: None };

/// What one call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Work,
    Fail(Class),
    /// Never comes back.
    Hang,
    /// One result too few.
    Short,
}

/// What the next calls do; after them all work.
#[derive(Debug, Default)]
pub(super) struct Plan(Mutex<VecDeque<Act>>);

impl Plan {
    pub(super) fn then(&self, acts: impl IntoIterator<Item = Act>) {
        self.0.lock().unwrap().extend(acts);
    }

    fn next(&self) -> Act {
        self.0.lock().unwrap().pop_front().unwrap_or(Act::Work)
    }
}

/// Everything that outlives a crash, and what happened in order.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) log: Mutex<Vec<String>>,
    /// Pages of a server: attribute uuids, by page.
    pub(super) pages: Mutex<Vec<Vec<String>>>,
    pub(super) source: Plan,
    /// Its listing; without one the source cannot say what is there.
    pub(super) listing: Option<Plan>,
    /// How often it was asked.
    pub(super) listed: Mutex<usize>,
    pub(super) mapping: Plan,
    pub(super) outputs: BTreeMap<&'static str, Plan>,
    pub(super) letters: Plan,
    pub(super) store: Plan,
    pub(super) cursor: Mutex<Option<Cursor>>,
    version: Mutex<u64>,
    /// Ids and versions, by output, in the order they were stored.
    pub(super) stored: Mutex<BTreeMap<String, Vec<(String, u64)>>>,
    pub(super) kept: Mutex<Vec<DeadLetter>>,
    /// The search flags that each page was asked with.
    pub(super) flags: Mutex<Vec<Value>>,
    /// When what was last done to its end, UNIX milliseconds.
    pub(super) done: Mutex<BTreeMap<String, i64>>,
    /// How often the source was asked.
    pub(super) asked: Mutex<usize>,
    /// Events to be read again; the source cannot give those that begin with `broken`.
    pub(super) wanted: Mutex<Vec<String>>,
    /// Those that it was asked for, each time.
    pub(super) named: Mutex<Vec<String>>,
}

impl World {
    pub(super) fn new(pages: &[&[&str]], outputs: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            pages: Mutex::new(
                pages
                    .iter()
                    .map(|page| page.iter().map(|uuid| (*uuid).to_owned()).collect())
                    .collect(),
            ),
            outputs: outputs
                .iter()
                .map(|name| (*name, Plan::default()))
                .collect(),
            ..Self::default()
        })
    }

    fn note(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(super) fn stored(&self, output: &str) -> Vec<String> {
        let stored = self.stored.lock().unwrap();
        stored
            .get(output)
            .into_iter()
            .flatten()
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// A host that starts now, from the stored cursor.
    pub(super) fn pipeline(self: &Arc<Self>, options: Options) -> (Pipeline, Arc<Ledger>) {
        let ledger = Arc::new(Ledger::default());
        let outputs = self
            .outputs
            .keys()
            .map(|name| Sink::required(Arc::new(FakeOutput(name, Arc::clone(self)))));
        let world = Arc::clone(self);
        let pipeline = Pipeline {
            instance: "lab".to_owned(),
            begin_walk: Box::new(move |cursor| {
                Ok(Box::new(FakeSource {
                    at: cursor.map_or(0, |cursor| cursor.0.parse().unwrap()),
                    flags: Map::new(),
                    world: Arc::clone(&world),
                }))
            }),
            mapping: Slot::new(Arc::new(FakeMapping(Arc::clone(self)))),
            wake: Arc::default(),
            outputs: outputs.collect(),
            dead_letters: Arc::new(FakeLetters(Arc::clone(self))),
            state: Arc::new(FakeState(Arc::clone(self))),
            ledger: Arc::clone(&ledger),
            options,
        };
        (pipeline, ledger)
    }
}

struct FakeSource {
    at: usize,
    flags: Map<String, Value>,
    world: Arc<World>,
}

#[async_trait]
impl Source for FakeSource {
    async fn next_page(&mut self) -> Result<Option<Page>, SourceError> {
        *self.world.asked.lock().unwrap() += 1;
        let flags = Value::Object(self.flags.clone());
        self.world.flags.lock().unwrap().push(flags);
        match self.world.source.next() {
            Act::Fail(class) => return Err(SourceError::new(Told(class))),
            Act::Hang => std::future::pending().await,
            Act::Work | Act::Short => {}
        }
        let page = self.world.pages.lock().unwrap().get(self.at).cloned();
        let Some(uuids) = page else { return Ok(None) };
        self.at += 1;
        let attributes: Vec<Value> = uuids
            .iter()
            .map(|uuid| json!({"uuid": uuid, "type": "text", "value": uuid}))
            .collect();
        let answer = json!({"response": [{"Event": {"uuid": format!("e{}", self.at), "info": "x", "Attribute": attributes}}]});
        let records = Records::from_answer(
            Body::from(answer.to_string().into_bytes()),
            SplitLimits {
                attributes: 2,
                ..SplitLimits::default()
            },
        );
        Ok(Some(Page {
            records: records.unwrap(),
            cursor: Some(Cursor(self.at.to_string())),
            whole: Whole::Slices,
            fetched_ms: 1_000,
            facts: PageFacts {
                items: 1,
                ..PageFacts::default()
            },
        }))
    }

    async fn named_page(&mut self, events: &mut Vec<String>) -> Result<Option<Page>, SourceError> {
        let first = events.first().cloned().unwrap_or_default();
        self.world.named.lock().unwrap().push(first.clone());
        if first.starts_with("broken") {
            return Err(SourceError::new(Told(LATER)));
        }
        events.clear();
        Ok(None)
    }

    fn restart(&mut self) {
        self.at = 0;
    }

    fn set_search_flags(&mut self, flags: &Map<String, Value>) {
        self.flags.clone_from(flags);
    }

    fn listing(&self) -> Option<Box<dyn Listing>> {
        let world = Arc::clone(&self.world);
        world.listing.as_ref()?;
        Some(Box::new(FakeListing(world)))
    }
}

/// Lists nothing, or fails as the plan says.
struct FakeListing(Arc<World>);

#[async_trait]
impl Listing for FakeListing {
    async fn attributes(&mut self) -> Result<Option<Vec<ListedAttribute>>, SourceError> {
        *self.0.listed.lock().unwrap() += 1;
        match self.0.listing.as_ref().map(Plan::next) {
            Some(Act::Fail(class)) => Err(SourceError::new(Told(class))),
            _ => Ok(None),
        }
    }

    async fn events(&mut self) -> Result<Option<Vec<ListedEvent>>, SourceError> {
        Ok(None)
    }
}

/// Finds no difference.
struct FakeComparison;

impl Comparison for FakeComparison {
    fn add_attributes(&mut self, _: &[ListedAttribute]) -> Result<(), StateError> {
        Ok(())
    }

    fn add_events(&mut self, _: &[ListedEvent]) -> Result<(), StateError> {
        Ok(())
    }

    fn compare(
        &mut self,
        _: &OutputKey,
        _: &mut dyn FnMut(Difference) -> bool,
    ) -> Result<DifferenceCounts, StateError> {
        Ok(DifferenceCounts::default())
    }
}

struct FakeMapping(Arc<World>);

#[async_trait]
impl Transform for FakeMapping {
    fn identity(&self) -> Arc<MappingIdentity> {
        Arc::new(MappingIdentity {
            name: "fake".to_owned(),
            version: "1".to_owned(),
            digest: "0".repeat(64),
        })
    }

    fn search_flags(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        &NONE
    }

    fn private_types(&self) -> Arc<BTreeSet<String>> {
        Arc::default()
    }

    async fn transform(&self, batch: Batch) -> Result<Vec<Mapped>, TransformError> {
        let short = match self.0.mapping.next() {
            Act::Fail(class) => return Err(TransformError::new(Told(class))),
            Act::Hang => std::future::pending().await,
            Act::Work => 0,
            Act::Short => 1,
        };
        let mapped = batch.records.iter().skip(short).map(|record| {
            let json: Value = serde_json::from_slice(&record.json).unwrap();
            let mut outcome = Outcome {
                event: record.head.uuid.clone(),
                ..Outcome::default()
            };
            for attribute in json["Event"]["Attribute"].as_array().unwrap() {
                let uuid = attribute["uuid"].as_str().unwrap().to_owned();
                if uuid.starts_with("refuse") {
                    outcome.refused.push(Refused {
                        attribute: Some(uuid),
                        reason: Reason {
                            kind: RefusalKind::Invalid,
                            text: "told to".to_owned(),
                        },
                    });
                } else {
                    outcome.documents.push(document(uuid));
                }
            }
            Ok(outcome)
        });
        Ok(mapped.collect())
    }
}

fn document(id: String) -> Document {
    Document {
        attribute: Some(id.clone()),
        id,
        attribute_timestamp: None,
        operation: Operation::Put,
        dataset: None,
        timestamp_ms: 0,
        modified_ms: 0,
        expires_ms: None,
        fingerprint: 0,
        body: Bytes::from_static(b"{}"),
        notes: Vec::new(),
    }
}

struct FakeOutput(&'static str, Arc<World>);

#[async_trait]
impl Output for FakeOutput {
    fn name(&self) -> &str {
        self.0
    }

    fn target(&self) -> String {
        String::new()
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        let Self(name, world) = self;
        let short = match world.outputs[name].next() {
            Act::Fail(class) => return Err(OutputError::new(Told(class))),
            Act::Hang => std::future::pending().await,
            Act::Work => 0,
            Act::Short => 1,
        };
        let verdicts = batch.iter().skip(short).map(|delivery| {
            let id = &delivery.document.id;
            if id.starts_with("reject") {
                return Verdict::Rejected {
                    text: "told to".to_owned(),
                };
            }
            world.note(format!("{name} {id}"));
            let mut stored = world.stored.lock().unwrap();
            let entry = (id.clone(), delivery.version);
            stored.entry((*name).to_owned()).or_default().push(entry);
            Verdict::Stored
        });
        Ok(verdicts.collect())
    }

    async fn check(&self) -> Result<(), OutputError> {
        Ok(())
    }
}

struct FakeLetters(Arc<World>);

#[async_trait]
impl DeadLetters for FakeLetters {
    async fn write(&self, letters: &[DeadLetter]) -> Result<(), OutputError> {
        match self.0.letters.next() {
            Act::Fail(class) => return Err(OutputError::new(Told(class))),
            Act::Hang => std::future::pending().await,
            Act::Work | Act::Short => {}
        }
        self.0.note(format!("{} letters", letters.len()));
        self.0.kept.lock().unwrap().extend_from_slice(letters);
        Ok(())
    }
}

struct FakeState(Arc<World>);

/// Knows the cursor, and nothing of what went out: host/state tests the rest with the real one.
impl State for FakeState {
    fn cursor(&self, _: &str) -> Result<Option<Cursor>, StateError> {
        Ok(self.0.cursor.lock().unwrap().clone())
    }

    fn next_version(&self, fetched_ms: i64) -> Result<u64, StateError> {
        let mut version = self.0.version.lock().unwrap();
        *version = (*version + 1).max(u64::try_from(fetched_ms).unwrap());
        Ok(*version)
    }

    fn commit(&self, commit: &Commit<'_>) -> Result<(), StateError> {
        if let Act::Fail(class) = self.0.store.next() {
            return Err(StateError::new(Told(class)));
        }
        let Some(cursor) = commit.cursor else {
            return Ok(());
        };
        self.0.note(format!("commit {}", cursor.0));
        *self.0.cursor.lock().unwrap() = Some(cursor.clone());
        Ok(())
    }

    fn standing(&self, _: &str, _: &OutputKey) -> Result<Standing, StateError> {
        Ok(Standing::New)
    }

    fn leave_behind(&self, _: &str, _: &OutputKey, _: bool) -> Result<(), StateError> {
        Ok(())
    }

    fn caught_up(&self, _: &str, _: &OutputKey) -> Result<(), StateError> {
        Ok(())
    }

    fn remembered(
        &self,
        _: &str,
        _: &OutputKey,
        documents: &[Delivery],
    ) -> Result<Vec<Option<Remembered>>, StateError> {
        Ok(vec![None; documents.len()])
    }

    fn record(&self, _: &[Changes<'_>]) -> Result<(), StateError> {
        Ok(())
    }

    fn older(
        &self,
        _: &str,
        _: &OutputKey,
        _: &str,
        _: u64,
        _: usize,
    ) -> Result<Vec<Held>, StateError> {
        Ok(Vec::new())
    }

    fn due(&self, _: &str, _: &OutputKey, _: i64, _: usize) -> Result<Vec<Held>, StateError> {
        Ok(Vec::new())
    }

    fn want(&self, _: &str, _: &[String]) -> Result<(), StateError> {
        Ok(())
    }

    fn wanted(&self, _: &str, after: Option<&str>, most: usize) -> Result<Vec<String>, StateError> {
        let wanted = self.0.wanted.lock().unwrap();
        let later = wanted
            .iter()
            .filter(|event| after.is_none_or(|after| event.as_str() > after));
        Ok(later.take(most).cloned().collect())
    }

    fn last_done(&self, _: &str, what: &str) -> Result<Option<i64>, StateError> {
        Ok(self.0.done.lock().unwrap().get(what).copied())
    }

    fn set_done(&self, _: &str, what: &str, at_ms: i64) -> Result<(), StateError> {
        let mut done = self.0.done.lock().unwrap();
        done.insert(what.to_owned(), at_ms);
        Ok(())
    }

    fn comparison(self: Arc<Self>, _: &str) -> Result<Box<dyn Comparison>, StateError> {
        Ok(Box::new(FakeComparison))
    }
}
