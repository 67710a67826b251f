//! A client of a fake MISP, and walks that keep what they were handed.
#![allow(dead_code, reason = "each suite uses its part")]

pub(crate) mod came;

use std::collections::BTreeMap;
use std::time::Duration;

use misp_client::{ApiKey, Client, ClientOptions, EventsWalk, ProxyChoice, WalkOptions};
use misp_ecs_tests::FakeMisp;
use pipeline::{Class, Classify, Cursor, PageFacts, Source, SourceError};
use serde_json::{Map, Value};

pub(crate) fn options(misp: &FakeMisp) -> ClientOptions {
    ClientOptions {
        proxy: ProxyChoice::Direct,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(20),
        ..ClientOptions::new(misp.url(), ApiKey::new(misp.key()).unwrap())
    }
}

pub(crate) fn client(misp: &FakeMisp) -> Client {
    Client::new(options(misp)).unwrap()
}

pub(crate) fn sized(page_size: u32) -> WalkOptions {
    WalkOptions {
        page_size,
        ..WalkOptions::default()
    }
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

/// A walk and all it handed out.
pub(crate) struct Taken {
    pub(crate) walk: EventsWalk,
    /// How often each publication came: (uuid, publish_timestamp).
    pub(crate) came: BTreeMap<(String, i64), usize>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) facts: Vec<PageFacts>,
    /// Attributes in all records.
    pub(crate) attributes: u64,
}

impl Taken {
    pub(crate) fn new(misp: &FakeMisp, options: WalkOptions) -> Self {
        Self::resume(client(misp), options, None)
    }

    pub(crate) fn resume(client: Client, options: WalkOptions, cursor: Option<Cursor>) -> Self {
        Self {
            walk: EventsWalk::new(client, options, cursor.as_ref()).unwrap(),
            came: BTreeMap::new(),
            cursor,
            facts: Vec::new(),
            attributes: 0,
        }
    }

    /// The next page, taken in; false at the end of the walk.
    pub(crate) async fn page(&mut self) -> Result<bool, SourceError> {
        let Some(page) = self.walk.next_page().await? else {
            return Ok(false);
        };
        self.facts.push(page.facts);
        self.cursor = page.cursor;
        for record in page.records {
            let record = record.unwrap();
            self.attributes += u64::from(record.attributes);
            if record.last {
                let key = (record.head.uuid, record.head.publish_timestamp.unwrap());
                *self.came.entry(key).or_default() += 1;
            }
        }
        Ok(true)
    }

    /// To the end of this walk.
    pub(crate) async fn poll(&mut self) {
        while self.page().await.unwrap() {}
    }

    /// The error of the next page.
    pub(crate) async fn failure(&mut self) -> (Class, String) {
        let error = self.page().await.unwrap_err();
        (error.class(), error.to_string())
    }

    pub(crate) fn uuids(&self) -> Vec<&str> {
        self.came.keys().map(|(uuid, _)| uuid.as_str()).collect()
    }

    pub(crate) fn times(&self, uuid: &str) -> usize {
        self.came
            .iter()
            .filter(|((came, _), _)| came == uuid)
            .map(|(_, times)| times)
            .sum()
    }
}

/// The published events of a fake.
pub(crate) fn published(misp: &FakeMisp) -> Vec<(String, i64)> {
    let mut all: Vec<(String, i64)> = misp.with_store(|store| {
        store
            .events()
            .iter()
            .filter(|event| event["published"] == true)
            .map(|event| {
                let second = event["publish_timestamp"].as_str().unwrap();
                (
                    event["uuid"].as_str().unwrap().to_owned(),
                    second.parse().unwrap(),
                )
            })
            .collect()
    });
    all.sort();
    all
}
