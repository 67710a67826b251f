//! What a feed holds now, for sweep and audit: every file is read, since no manifest lists
//! attributes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_trait::async_trait;
use misp_model::{Event, Item, Json, Object};
use pipeline::{ListedAttribute, ListedEvent, Listing, SourceError};
use splitter::{Records, SplitLimits};
use uuid::Uuid;

use crate::error::{Blame, FeedError};
use crate::manifest::Entry;
use crate::page::{Wanted, load};
use crate::place::Place;

/// Lists every attribute of every event that the manifest names.
pub(crate) struct FeedListing {
    place: Place,
    split: SplitLimits,
    /// Never handed out, so no part of what is compared.
    left_out: BTreeSet<Uuid>,
    /// Files that are still to be read; `None` before the first call.
    to_read: Option<VecDeque<(Uuid, Entry)>>,
    /// Every event that was read, or could not be, by uuid: each once.
    events: BTreeMap<String, ListedEvent>,
}

impl FeedListing {
    pub(crate) fn new(place: Place, split: SplitLimits, left_out: BTreeSet<Uuid>) -> Self {
        Self {
            place,
            split,
            left_out,
            to_read: None,
            events: BTreeMap::new(),
        }
    }

    async fn next_attributes(&mut self) -> Result<Option<Vec<ListedAttribute>>, FeedError> {
        if self.to_read.is_none() {
            let listed = self.place.manifest(None).await?;
            let entries = listed.map(|listed| listed.manifest.entries);
            let entries = entries.unwrap_or_default().into_iter();
            self.to_read = Some(
                entries
                    .filter(|(uuid, _)| !self.left_out.contains(uuid))
                    .collect(),
            );
        }
        while let Some((uuid, entry)) = self.to_read.as_ref().and_then(VecDeque::front).cloned() {
            let listed = self.read(uuid, &entry).await?;
            if let Some(to_read) = &mut self.to_read {
                to_read.pop_front();
            }
            if !listed.is_empty() {
                return Ok(Some(listed));
            }
        }
        Ok(None)
    }

    /// The attributes of one file; none of one that cannot be read.
    async fn read(&mut self, uuid: Uuid, entry: &Entry) -> Result<Vec<ListedAttribute>, FeedError> {
        let wanted = Wanted::of(uuid, entry);
        let file = wanted.file.clone();
        let loaded = match load(&self.place, wanted, self.split).await {
            Ok(loaded) => loaded,
            Err(error) if entry.named && error.blame() != Blame::Feed => {
                tracing::warn!(%error, "an event could not be listed: what it held is kept");
                self.keep(uuid);
                return Ok(Vec::new());
            }
            // Which event's attributes would be missing is not known.
            Err(error) => return Err(error),
        };
        let split = self.split;
        let listed =
            tokio::task::spawn_blocking(move || list(&file, loaded.into_body(), split)).await?;
        let (events, attributes) = listed?;
        for event in events {
            self.events.insert(event.uuid.clone(), event);
        }
        Ok(attributes)
    }

    /// Counts the event as one that is being worked on, whenever that began: what is known of it
    /// is then no orphan.
    fn keep(&mut self, event: Uuid) {
        let uuid = event.to_string();
        let listed = ListedEvent {
            id: uuid.clone(),
            uuid: uuid.clone(),
            timestamp: i64::MAX,
            published: false,
        };
        self.events.entry(uuid).or_insert(listed);
    }
}

#[async_trait]
impl Listing for FeedListing {
    async fn attributes(&mut self) -> Result<Option<Vec<ListedAttribute>>, SourceError> {
        self.next_attributes().await.map_err(SourceError::new)
    }

    async fn events(&mut self) -> Result<Option<Vec<ListedEvent>>, SourceError> {
        let events = std::mem::take(&mut self.events);
        Ok(Some(events.into_values().collect::<Vec<_>>()).filter(|events| !events.is_empty()))
    }
}

type Listed = (Vec<ListedEvent>, Vec<ListedAttribute>);

/// The events of a file and their live attributes. A feed's events have no ids that mean
/// anything elsewhere: their uuids stand for them.
fn list(file: &str, body: splitter::Body, split: SplitLimits) -> Result<Listed, FeedError> {
    let (mut events, mut attributes) = (Vec::new(), Vec::new());
    let records =
        Records::from_answer(body, split).map_err(|error| FeedError::split(file, error))?;
    for record in records {
        let record = record.map_err(|error| FeedError::split(file, error))?;
        if record.last {
            events.push(ListedEvent {
                id: record.head.uuid.clone(),
                uuid: record.head.uuid.clone(),
                timestamp: record.head.timestamp.unwrap_or(0),
                published: true,
            });
        }
        // What the mapping will refuse has no place in a listing either.
        let Ok(json) = Json::parse(&record.json) else {
            continue;
        };
        for item in misp_model::items(&json).unwrap_or_default() {
            let Item::Event(event) = item else { continue };
            attributes
                .extend(live(event).filter_map(|attribute| listed(attribute, &record.head.uuid)));
        }
    }
    Ok((events, attributes))
}

/// The attributes of an event, those of its objects included, that are not deleted.
fn live<'j, 'a>(event: Event<'j, 'a>) -> impl Iterator<Item = &'j Object<'a>> {
    let objects = event.objects().into_iter().flatten();
    let of_objects = objects.flat_map(Event::object_attributes);
    let all = event.attributes().into_iter().chain(of_objects).flatten();
    all.filter(|attribute| {
        let deleted = attribute.some("deleted").and_then(Json::boolean);
        deleted != Some(true)
    })
}

fn listed(attribute: &Object<'_>, event: &str) -> Option<ListedAttribute> {
    let uuid = attribute.some("uuid")?.text()?.into_owned();
    Some(ListedAttribute {
        uuid,
        event_id: event.to_owned(),
        timestamp: attribute
            .some("timestamp")
            .and_then(Json::integer)
            .unwrap_or(0),
    })
}
