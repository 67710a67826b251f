//! Sources of either endpoint, and what they handed out.

use std::collections::{BTreeMap, BTreeSet};

use misp_client::{AttributesWalk, EventsWalk, WalkOptions};
use misp_ecs_tests::FakeMisp;
use pipeline::{Cursor, Page, Source, Whole};
use serde_json::Value;

use super::client;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Events,
    Attributes,
}

pub(crate) const BOTH: [Endpoint; 2] = [Endpoint::Events, Endpoint::Attributes];

pub(crate) fn source(
    misp: &FakeMisp,
    endpoint: Endpoint,
    options: WalkOptions,
    cursor: Option<&Cursor>,
) -> Box<dyn Source> {
    match endpoint {
        Endpoint::Events => Box::new(EventsWalk::new(client(misp), options, cursor).unwrap()),
        Endpoint::Attributes => {
            Box::new(AttributesWalk::new(client(misp), options, cursor).unwrap())
        }
    }
}

/// What came: live attributes with the values they had last, whole events, the last cursor.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) whole: BTreeSet<String>,
    pub(crate) cursor: Option<Cursor>,
    /// Every attribute as it came: event, attribute, value; none if it is deleted.
    pub(crate) events: Vec<(String, String, Option<String>)>,
}

impl Came {
    pub(crate) fn take(&mut self, page: Page) {
        if let Whole::Events(events) = &page.whole {
            self.whole
                .extend(events.iter().map(|event| event.uuid.clone()));
        }
        if page.cursor.is_some() {
            self.cursor = page.cursor;
        }
        for record in page.records {
            let record = record.unwrap();
            let json: Value = serde_json::from_slice(&record.json).unwrap();
            match json.get("Event").filter(|_| json.get("value").is_none()) {
                Some(event) => {
                    if record.last {
                        self.whole.insert(record.head.uuid.clone());
                    }
                    let objects = event["Object"].as_array().into_iter().flatten();
                    let inside =
                        objects.flat_map(|o| o["Attribute"].as_array().into_iter().flatten());
                    let own = event["Attribute"].as_array().into_iter().flatten();
                    own.chain(inside)
                        .for_each(|one| self.attribute(&record.head.uuid, one));
                }
                None => self.attribute(&record.head.uuid, &json),
            }
        }
    }

    fn attribute(&mut self, event: &str, attribute: &Value) {
        let uuid = attribute["uuid"].as_str().unwrap().to_owned();
        let live = attribute["deleted"] != true;
        let value = live.then(|| attribute["value"].as_str().unwrap().to_owned());
        self.events.push((event.to_owned(), uuid.clone(), value));
        if attribute["deleted"] == true {
            self.attributes.remove(&uuid);
        } else {
            let value = attribute["value"].as_str().unwrap().to_owned();
            self.attributes.insert(uuid, value);
        }
    }

    pub(crate) fn uuids(&self) -> Vec<String> {
        self.attributes.keys().cloned().collect()
    }
}

pub(crate) async fn walk(source: &mut dyn Source, came: &mut Came) {
    while let Some(page) = source.next_page().await.unwrap() {
        came.take(page);
    }
}

pub(crate) fn small() -> WalkOptions {
    WalkOptions {
        page_size: 3,
        attributes_page: 20,
        ..WalkOptions::default()
    }
}

pub(crate) fn published(misp: &FakeMisp) -> Vec<String> {
    let mut all = misp.with_store(|store| store.published_attributes());
    all.sort();
    all
}

/// What a source's listing lists.
pub(crate) async fn listed(source: &dyn Source) -> Vec<String> {
    let mut listing = source.listing().unwrap();
    let mut listed = Vec::new();
    while let Some(some) = listing.attributes().await.unwrap() {
        listed.extend(some.into_iter().map(|one| one.uuid));
    }
    listed.sort();
    listed
}
