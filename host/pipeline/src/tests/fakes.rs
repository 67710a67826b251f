//! The four sides, scripted: they fail, reject, hang or crash when told to, and write down what happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use splitter::{Body, Records, SplitLimits};
use tokio::sync::Notify;

use super::fake_state::FakeState;
use crate::{
    Batch, Class, Classify, Cursor, DeadLetter, DeadLetters, Delivery, Document, Ledger,
    ListedAttribute, ListedEvent, Listing, Mapped, MappingIdentity, Operation, Options, Outcome,
    Output, OutputError, Page, PageFacts, Pipeline, Reason, RefusalKind, Refused, Sink, Slot,
    Source, SourceError, Transform, TransformError, Verdict, Whole,
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
    /// Never comes back; the state, once [`World::gate`] opens.
    Hang,
    /// An output: works, once this step is done.
    After(&'static str),
    /// An output: fails, once this step is done.
    FailAfter(&'static str, Class),
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

    pub(super) fn next(&self) -> Act {
        self.0.lock().unwrap().pop_front().unwrap_or(Act::Work)
    }
}

/// Everything that outlives a crash, and what happened in order.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) log: Mutex<Vec<String>>,
    /// The same step by step, with what was tried and what the state was asked.
    steps: Mutex<Vec<String>>,
    stepped: Notify,
    /// Pages of a server: attribute uuids, by page.
    pub(super) pages: Mutex<Vec<Vec<String>>>,
    pub(super) source: Plan,
    /// Its listing; without one the source cannot say what is there.
    pub(super) listing: Option<Plan>,
    /// How often it was asked.
    pub(super) listed: Mutex<usize>,
    pub(super) mapping: Plan,
    pub(super) outputs: BTreeMap<&'static str, Plan>,
    /// The outputs that the others leave behind after so long.
    pub(super) optional: BTreeMap<&'static str, Duration>,
    pub(super) letters: Plan,
    pub(super) store: Plan,
    pub(super) looking_up: Plan,
    pub(super) noting: Plan,
    pub(super) remembering: Plan,
    /// What a call of the state that hangs waits for.
    pub(super) gate: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
    pub(super) cursor: Mutex<Option<Cursor>>,
    pub(super) version: Mutex<u64>,
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

    pub(super) fn note(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }

    pub(super) fn step(&self, text: String) {
        self.steps.lock().unwrap().push(text);
        self.stepped.notify_waiters();
    }

    pub(super) fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }

    /// Waits until this step is done.
    pub(super) async fn until(&self, step: &str) {
        loop {
            let mut stepped = pin!(self.stepped.notified());
            stepped.as_mut().enable();
            if self.steps().iter().any(|done| done == step) {
                return;
            }
            stepped.await;
        }
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
        let outputs = self.outputs.keys().map(|name| {
            let output = Arc::new(FakeOutput(name, Arc::clone(self)));
            match self.optional.get(name) {
                Some(after) => Sink::optional(output, *after),
                None => Sink::required(output),
            }
        });
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
            _ => {}
        }
        let page = self.world.pages.lock().unwrap().get(self.at).cloned();
        let Some(uuids) = page else { return Ok(None) };
        self.at += 1;
        let attributes: Vec<Value> = uuids
            .iter()
            .map(|uuid| {
                let value = match uuid.starts_with("deep") {
                    true => (0..200).fold(json!(uuid), |value, _| json!([value])),
                    false => json!(uuid),
                };
                json!({"uuid": uuid, "type": "text", "value": value})
            })
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
            unread: Vec::new(),
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

struct FakeMapping(Arc<World>);

#[async_trait]
impl Transform for FakeMapping {
    fn identity(&self) -> Arc<MappingIdentity> {
        Arc::new(MappingIdentity {
            name: "fake".to_owned(),
            version: "1".to_owned(),
            digest: "0".repeat(64),
            settings: String::new(),
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
            Act::Short => 1,
            _ => 0,
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
        facts: Arc::default(),
        fingerprint: 0,
        body: Bytes::from_static(b"{}"),
        notes: Vec::new(),
    }
}

/// The ids of a batch, in its order.
pub(super) fn ids<'d>(batch: impl Iterator<Item = &'d Delivery>) -> String {
    let ids: Vec<&str> = batch.map(|one| one.document.id.as_str()).collect();
    ids.join(" ")
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
        let ids = ids(batch.iter());
        world.step(format!("to {name} {ids}"));
        let short = match world.outputs[name].next() {
            Act::Fail(class) => return Err(OutputError::new(Told(class))),
            Act::FailAfter(step, class) => {
                world.until(step).await;
                return Err(OutputError::new(Told(class)));
            }
            Act::After(step) => {
                world.until(step).await;
                0
            }
            Act::Hang => std::future::pending().await,
            Act::Work => 0,
            Act::Short => 1,
        };
        world.step(format!("{name} has {ids}"));
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
            _ => {}
        }
        self.0.step(format!("{} letters", letters.len()));
        self.0.note(format!("{} letters", letters.len()));
        self.0.kept.lock().unwrap().extend_from_slice(letters);
        Ok(())
    }
}
