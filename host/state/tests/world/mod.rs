//! A made-up MISP, mapping and output around the real pipeline and the real state.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test, and not every suite uses all of them"
)]

mod output;
mod received;
mod server;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pipeline::{
    Backoff, Batch, BatchLimits, Class, Classify, Cursor, DeadLetter, DeadLetters, Document,
    EventSeen, Facts, Ledger, ListedAttribute, ListedEvent, Listing, Mapped, MappingIdentity,
    Operation, Options, Outcome, OutputError, Page, PageFacts, Pipeline, PublishedSince, Reason,
    RefusalKind, Refused, Removal, ServerClock, Sink, Slot, Source, SourceError, State, Transform,
    TransformError, Whole,
};
use serde_json::{Map, Value, json};
use splitter::{Body, Records, SplitLimits};
use state::Store;

use output::FakeOutput;
#[allow(unused_imports, reason = "not every suite uses all of them")]
pub(crate) use received::{Received, has, told};
use server::KeyRefused;
pub(crate) use server::Server;
use tokio_util::sync::CancellationToken;

pub(crate) type Shared<T> = Arc<Mutex<T>>;

/// Everything around one state folder.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) servers: BTreeMap<&'static str, Arc<Mutex<Server>>>,
    /// By name and target.
    pub(crate) outputs: Mutex<BTreeMap<(String, String), Shared<Received>>>,
    pub(crate) letters: Arc<Mutex<Vec<DeadLetter>>>,
    pub(crate) mapping: Arc<Mutex<Mapping>>,
    /// Whatever the options say.
    pub(crate) batch: BatchLimits,
    /// The instances that are configured, in the order in which they take precedence.
    pub(crate) configured: Vec<String>,
}

/// A batch for each record, of at most two attributes.
pub(crate) const ONE_BY_ONE: BatchLimits = BatchLimits {
    attributes: 1,
    bytes: 1,
};

/// How the mapping behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapping {
    /// The name that it goes by, after `fake`.
    pub(crate) name: String,
    /// What its ids end in.
    pub(crate) ids: String,
    /// Attributes that are refused.
    pub(crate) refuses: BTreeSet<String>,
    /// Events whose records are refused whole.
    pub(crate) refuses_whole: BTreeSet<String>,
    /// Values that make a delete.
    pub(crate) deletes: BTreeSet<String>,
    /// Are ids made of values?
    pub(crate) by_value: bool,
    /// When documents expire, UNIX milliseconds.
    pub(crate) expires_ms: Option<i64>,
}

impl World {
    pub(crate) fn new(instances: &[&'static str]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            servers: instances
                .iter()
                .map(|name| (*name, Arc::new(Mutex::new(Server::default()))))
                .collect(),
            outputs: Mutex::default(),
            letters: Arc::default(),
            mapping: Arc::default(),
            batch: BatchLimits::default(),
            configured: instances.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn server(&self, instance: &str) -> std::sync::MutexGuard<'_, Server> {
        self.servers[instance].lock().unwrap()
    }

    pub(crate) fn received(&self, name: &str, target: &str) -> Arc<Mutex<Received>> {
        let mut outputs = self.outputs.lock().unwrap();
        Arc::clone(
            outputs
                .entry((name.to_owned(), target.to_owned()))
                .or_default(),
        )
    }

    /// The values that an output has, by id.
    pub(crate) fn values(&self, name: &str) -> BTreeMap<String, String> {
        let received = self.received(name, "here");
        let received = received.lock().unwrap();
        received
            .documents
            .iter()
            .map(|(id, (body, _))| (id.clone(), body.clone()))
            .collect()
    }

    pub(crate) fn open(&self) -> Arc<Store> {
        let store = Store::open(self.folder()).unwrap();
        store.configure(&self.configured).unwrap();
        Arc::new(store)
    }

    /// What removes an instance over an open store.
    pub(crate) fn removal(&self, store: &Arc<Store>, instance: &str) -> (Removal, Arc<Ledger>) {
        let ledger = Arc::new(Ledger::default());
        let output = FakeOutput {
            name: "out".to_owned(),
            target: "here".to_owned(),
            received: self.received("out", "here"),
        };
        let removal = Removal {
            instance: instance.to_owned(),
            mapping: Slot::new(Arc::new(FakeMapping(Arc::clone(&self.mapping)))),
            outputs: vec![Sink::required(Arc::new(output))],
            dead_letters: Arc::new(FakeLetters(Arc::clone(&self.letters))),
            state: Arc::clone(store) as Arc<dyn State>,
            ledger: Arc::clone(&ledger),
            options: Options::default(),
        };
        (removal, ledger)
    }

    /// A pipeline over an open store.
    pub(crate) fn pipeline(
        &self,
        store: &Arc<Store>,
        instance: &'static str,
        outputs: &[(&str, &str)],
        mut options: Options,
    ) -> (Pipeline, Arc<Ledger>) {
        options.batch = self.batch;
        let ledger = Arc::new(Ledger::default());
        let server = Arc::clone(&self.servers[instance]);
        let pipeline = Pipeline {
            instance: instance.to_owned(),
            begin_walk: Box::new(move |cursor| {
                Ok(Box::new(FakeSource {
                    server: Arc::clone(&server),
                    after: cursor.map_or(0, |cursor| cursor.0.parse().unwrap()),
                    since: None,
                    parts: VecDeque::new(),
                }))
            }),
            mapping: Slot::new(Arc::new(FakeMapping(Arc::clone(&self.mapping)))),
            wake: Arc::default(),
            outputs: outputs
                .iter()
                .map(|(name, target)| {
                    let output = Arc::new(FakeOutput {
                        name: (*name).to_owned(),
                        target: (*target).to_owned(),
                        received: self.received(name, target),
                    });
                    match name.starts_with("optional") {
                        true => Sink::optional(output, Duration::from_secs(30)),
                        false => Sink::required(output),
                    }
                })
                .collect(),
            dead_letters: Arc::new(FakeLetters(Arc::clone(&self.letters))),
            state: Arc::clone(store) as Arc<dyn State>,
            ledger: Arc::clone(&ledger),
            options,
        };
        (pipeline, ledger)
    }

    /// One poll by a host that starts and ends with it.
    pub(crate) async fn poll_with(&self, instance: &'static str, options: Options) -> Arc<Ledger> {
        let store = self.open();
        let (pipeline, ledger) = self.pipeline(&store, instance, &[("out", "here")], options);
        pipeline.run(CancellationToken::new()).await.unwrap();
        assert_eq!(ledger.counts().balance(), Ok(()));
        ledger
    }

    pub(crate) async fn poll(&self, instance: &'static str) -> Arc<Ledger> {
        self.poll_with(instance, Options::default()).await
    }
}

/// Options with which every poll sweeps.
pub(crate) fn sweeping() -> Options {
    Options {
        sweep: Some(Duration::ZERO),
        ..Options::default()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("told to fail")]
struct Told;

impl Classify for Told {
    fn class(&self) -> Class {
        Class::Transient { after: None }
    }
}

/// Options of a host that polls again and again.
pub(crate) fn service() -> Options {
    Options {
        interval: Some(Duration::from_secs(600)),
        backoff: Backoff::SERVICE,
        ..Options::default()
    }
}

struct FakeSource {
    server: Arc<Mutex<Server>>,
    after: i64,
    /// Where the walk began.
    since: Option<i64>,
    /// Pages of the event that is being read.
    parts: VecDeque<Page>,
}

impl FakeSource {
    /// An event in pages of so many attributes: it is whole with the last of them.
    fn in_parts(&self, uuid: &str, at_once: usize, cursor: &Cursor) -> VecDeque<Page> {
        let server = self.server.lock().unwrap();
        let event = &server.events[uuid];
        let attributes: Vec<Value> = event
            .attributes
            .iter()
            .map(|(uuid, attribute)| {
                json!({"uuid": uuid, "type": "text", "value": attribute.value,
                       "timestamp": attribute.timestamp.to_string()})
            })
            .collect();
        let mut pages: VecDeque<Page> = attributes
            .chunks(at_once)
            .map(|some| {
                let body = json!({"response": [{"Event": {"uuid": uuid, "info": "x",
                    "publish_timestamp": event.publish_timestamp.to_string(),
                    "Attribute": some}}]});
                let body = Body::from(body.to_string().into_bytes());
                Page {
                    records: Records::from_answer(body, SplitLimits::default()).unwrap(),
                    cursor: None,
                    whole: Whole::Events(Vec::new()),
                    fetched_ms: 1_000 + server.now,
                    facts: PageFacts::default(),
                    unread: Vec::new(),
                }
            })
            .collect();
        if let Some(last) = pages.back_mut() {
            last.cursor = Some(cursor.clone());
            last.whole = Whole::Events(vec![EventSeen {
                uuid: uuid.to_owned(),
                publish_timestamp: event.publish_timestamp,
            }]);
        }
        pages
    }

    fn page(&self, uuids: &[String], cursor: Option<Cursor>) -> Page {
        let server = self.server.lock().unwrap();
        let events: Vec<Value> = uuids
            .iter()
            .flat_map(|uuid| {
                let copies = [server.earlier.get(uuid), server.events.get(uuid)];
                copies.map(|event| Some((uuid, event?)))
            })
            .flatten()
            .filter(|(uuid, event)| event.published && !server.hidden.contains(*uuid))
            .map(|(uuid, event)| {
                let attributes: Vec<Value> = event
                    .attributes
                    .iter()
                    .map(|(uuid, attribute)| {
                        json!({"uuid": uuid, "type": "text", "value": attribute.value,
                               "timestamp": attribute.timestamp.to_string()})
                    })
                    .collect();
                json!({"Event": {"uuid": uuid, "info": "x",
                    "publish_timestamp": event.publish_timestamp.to_string(),
                    "Attribute": attributes}})
            })
            .collect();
        let items = events.len() as u64;
        let body = json!({"response": events}).to_string().into_bytes();
        let limits = SplitLimits {
            attributes: 2,
            ..SplitLimits::default()
        };
        Page {
            records: Records::from_answer(Body::from(body), limits).unwrap(),
            cursor,
            whole: Whole::Slices,
            fetched_ms: 1_000 + server.now,
            facts: PageFacts {
                items,
                ..PageFacts::default()
            },
            unread: Vec::new(),
        }
    }
}

#[async_trait]
impl Source for FakeSource {
    async fn next_page(&mut self) -> Result<Option<Page>, SourceError> {
        if let Some(part) = self.parts.pop_front() {
            return Ok(Some(part));
        }
        let at_once = self.server.lock().unwrap().attributes_at_once;
        let next: Vec<(i64, String)> = {
            let mut server = self.server.lock().unwrap();
            if server.down {
                return Err(SourceError::new(Told));
            }
            if let Some(left) = server.refusals.checked_sub(1) {
                server.refusals = left;
                return Err(SourceError::new(KeyRefused));
            }
            let server = &*server;
            let mut later: Vec<(i64, String)> = server
                .events
                .iter()
                .filter(|(_, event)| event.published && event.publish_timestamp > self.after)
                .filter(|(uuid, _)| !server.hidden.contains(*uuid))
                .map(|(uuid, event)| (event.publish_timestamp, uuid.clone()))
                .collect();
            later.sort();
            later.truncate(if at_once.is_some() { 1 } else { 2 });
            later
        };
        let Some((last, _)) = next.last() else {
            return Ok(None);
        };
        self.since.get_or_insert(self.after);
        self.after = *last;
        if let (Some(at_once), Some((_, event))) = (at_once, next.first()) {
            self.parts = self.in_parts(event, at_once, &Cursor(self.after.to_string()));
            return Ok(self.parts.pop_front());
        }
        let uuids: Vec<String> = next.into_iter().map(|(_, uuid)| uuid).collect();
        Ok(Some(
            self.page(&uuids, Some(Cursor(self.after.to_string()))),
        ))
    }

    async fn named_page(&mut self, events: &mut Vec<String>) -> Result<Option<Page>, SourceError> {
        let some: Vec<String> = events.drain(..events.len().min(2)).collect();
        Ok(Some(self.page(&some, None)))
    }

    fn restart(&mut self) {
        self.after = 0;
    }

    async fn published(&mut self) -> Result<Option<PublishedSince>, SourceError> {
        // This server publishes once a second.
        let seconds = self.since.take().unwrap_or(self.after) + 1;
        let server = self.server.lock().unwrap();
        let events = server.events.iter();
        let events =
            events.filter(|(_, event)| event.published && event.publish_timestamp >= seconds);
        Ok(Some(PublishedSince {
            seconds,
            events: events.map(|(uuid, _)| uuid.clone()).collect(),
        }))
    }

    fn server_clock(&self) -> Option<ServerClock> {
        Some(self.server.lock().unwrap().clock.clone())
    }

    fn listing(&self) -> Option<Box<dyn Listing>> {
        let mut server = self.server.lock().unwrap();
        let again = server.published_while_listed.take();
        if let Some(event) = &again {
            server.set(event, "b", "later");
        }
        let (mut attributes, mut events) = (Vec::new(), Vec::new());
        if !server.empty_listing {
            for (place, (uuid, event)) in server.events.iter().enumerate() {
                events.push(ListedEvent {
                    id: place.to_string(),
                    uuid: uuid.clone(),
                    timestamp: event.timestamp,
                    published: event.published || again.as_ref() == Some(uuid),
                });
                let matches = event.published && !server.hidden.contains(uuid);
                for (uuid, attribute) in event.attributes.iter().filter(|_| matches) {
                    attributes.push(ListedAttribute {
                        uuid: uuid.clone(),
                        event_id: place.to_string(),
                        timestamp: attribute.timestamp,
                    });
                }
            }
        }
        if let Some(event) = &again {
            server.publish(event);
        }
        Some(Box::new(FakeListing {
            attributes: Some(attributes),
            events: Some(events),
        }))
    }
}

struct FakeListing {
    attributes: Option<Vec<ListedAttribute>>,
    events: Option<Vec<ListedEvent>>,
}

#[async_trait]
impl Listing for FakeListing {
    async fn attributes(&mut self) -> Result<Option<Vec<ListedAttribute>>, SourceError> {
        Ok(self.attributes.take())
    }

    async fn events(&mut self) -> Result<Option<Vec<ListedEvent>>, SourceError> {
        Ok(self.events.take())
    }
}

struct FakeMapping(Arc<Mutex<Mapping>>);

#[async_trait]
impl Transform for FakeMapping {
    fn identity(&self) -> Arc<MappingIdentity> {
        Arc::new(MappingIdentity {
            name: format!("fake{}", self.0.lock().unwrap().name),
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
        let mapping = self.0.lock().unwrap().clone();
        let mapped = batch.records.iter().map(|record| {
            let json: Value = serde_json::from_slice(&record.json).unwrap();
            let event = &json["Event"];
            let mut outcome = Outcome {
                event: event["uuid"].as_str().unwrap().to_owned(),
                ..Outcome::default()
            };
            if mapping.refuses_whole.contains(&outcome.event) {
                return Err(Reason {
                    kind: RefusalKind::Invalid,
                    text: "told to".to_owned(),
                });
            }
            let attributes = event["Attribute"].as_array().unwrap();
            if attributes.is_empty() {
                outcome
                    .documents
                    .push(document(&mapping, &outcome.event, None, ""));
            }
            for attribute in attributes {
                let uuid = attribute["uuid"].as_str().unwrap();
                if mapping.refuses.contains(uuid) {
                    outcome.refused.push(Refused {
                        attribute: Some(uuid.to_owned()),
                        reason: Reason {
                            kind: RefusalKind::Invalid,
                            text: "told to".to_owned(),
                        },
                    });
                    continue;
                }
                let timestamp = attribute["timestamp"].as_str().unwrap().parse().unwrap();
                let value = attribute["value"].as_str().unwrap();
                let mut document = document(&mapping, uuid, Some(timestamp), value);
                if mapping.by_value {
                    document.id = value.to_owned();
                }
                outcome.documents.push(document);
            }
            Ok(outcome)
        });
        Ok(mapped.collect())
    }
}

fn document(mapping: &Mapping, id: &str, timestamp: Option<i64>, value: &str) -> Document {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    Document {
        id: format!("{id}{}", mapping.ids),
        attribute: timestamp.map(|_| id.to_owned()),
        attribute_timestamp: timestamp,
        operation: if mapping.deletes.contains(value) {
            Operation::Delete
        } else {
            Operation::Put
        },
        dataset: None,
        timestamp_ms: 0,
        modified_ms: 0,
        expires_ms: mapping.expires_ms,
        // The type is the value: filters select by it.
        facts: Arc::new(Facts {
            attribute_type: timestamp.map(|_| value.to_owned()),
            ..Facts::default()
        }),
        fingerprint: hasher.finish(),
        body: Bytes::copy_from_slice(value.as_bytes()),
        notes: Vec::new(),
    }
}

struct FakeLetters(Arc<Mutex<Vec<DeadLetter>>>);

#[async_trait]
impl DeadLetters for FakeLetters {
    async fn write(&self, letters: &[DeadLetter]) -> Result<(), OutputError> {
        self.0.lock().unwrap().extend_from_slice(letters);
        Ok(())
    }
}

/// Where the state's database is.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join("state.redb")
}
