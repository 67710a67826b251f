//! What an index holds: ids, versions and hashes, by scrolling.

use async_trait::async_trait;
use pipeline::{Inventory, OutputError, StoredDocument};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::encode::hash;
use super::error::ElasticError;
use super::output::Core;

/// Documents in one answer; most have some 10 kB.
const PAGE: u64 = 500;
/// How long the server keeps the place between two questions.
const KEEP: &str = "5m";

/// One walk through the indices of an output with the mode `latest`. The scroll is the server's
/// own: Elasticsearch 8 and 9 and OpenSearch 2 and 3 have it alike, unlike points in time.
pub(super) struct Scroll<'o> {
    core: &'o Core,
    at: At,
    /// How many there are, and how many have come.
    total: u64,
    came: u64,
}

/// The part of an answer that is used.
#[derive(Deserialize)]
struct Page {
    #[serde(rename = "_scroll_id")]
    place: Option<String>,
    timed_out: Option<bool>,
    #[serde(rename = "_shards")]
    shards: Option<Shards>,
    hits: Hits,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Hits {
    total: Option<Total>,
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_version")]
    version: u64,
    /// The bytes that were delivered: servers keep them as they came.
    #[serde(rename = "_source")]
    source: Option<Box<RawValue>>,
}

enum At {
    Start,
    Place(String),
    End,
}

impl<'o> Scroll<'o> {
    pub(super) fn new(core: &'o Core) -> Self {
        Self {
            core,
            at: At::Start,
            total: 0,
            came: 0,
        }
    }

    async fn page(&mut self) -> Result<Option<Vec<StoredDocument>>, ElasticError> {
        let searched = &self.core.names.searched;
        let client = &self.core.client;
        let (path, body) = match &self.at {
            At::End => return Ok(None),
            At::Start => {
                let refresh = format!("{searched}/_refresh?ignore_unavailable=true");
                match client.json(Method::POST, &refresh, None).await {
                    // What came in the last second may then be missed.
                    Err(ElasticError::Forbidden { .. }) => {
                        tracing::warn!("the credentials may not refresh the index");
                    }
                    refreshed => drop(refreshed?),
                }
                let body = json!({"size": PAGE, "version": true,
                    "track_total_hits": true, "sort": ["_doc"], "query": {"match_all": {}}});
                let path = format!("{searched}/_search?scroll={KEEP}&ignore_unavailable=true");
                (path, body)
            }
            At::Place(id) => (
                "_search/scroll".to_owned(),
                json!({"scroll": KEEP, "scroll_id": id}),
            ),
        };
        let answer = client
            .read::<Page>(Method::POST, &path, Some(&body))
            .await?;
        let Some(answer) = answer else {
            // There is no index yet; a place that is gone is an error.
            if matches!(self.at, At::Start) {
                self.at = At::End;
                return Ok(None);
            }
            return Err(unreadable(
                "the server has forgotten the place in the listing",
            ));
        };
        let failed = answer.shards.map_or(0, |shards| shards.failed);
        if failed > 0 || answer.timed_out == Some(true) {
            return Err(unreadable("some shards did not answer"));
        }
        let Hits { total, hits } = answer.hits;
        if matches!(self.at, At::Start) {
            let total = total.ok_or_else(|| unreadable("there is no total in it"))?;
            self.total = total.value;
        }
        let place = answer.place;
        if hits.is_empty() {
            self.end(place.as_deref()).await;
            if self.came != self.total {
                return Err(unreadable(&format!(
                    "{} documents came of {}",
                    self.came, self.total
                )));
            }
            return Ok(None);
        }
        let place = place.ok_or_else(|| unreadable("there is no place to go on at in it"))?;
        self.at = At::Place(place);
        self.came += hits.len() as u64;
        Ok(Some(hits.into_iter().map(|hit| self.stored(hit)).collect()))
    }

    fn stored(&self, hit: Hit) -> StoredDocument {
        let mapping = self.core.names.mapping_of(&hit.index);
        StoredDocument {
            mapping: mapping.map(str::to_owned),
            id: hit.id,
            version: hit.version,
            hash: hit.source.map(|source| hash(source.get().as_bytes())),
        }
    }

    /// The place would be kept for some minutes; nothing depends on it.
    async fn end(&mut self, place: Option<&str>) {
        self.at = At::End;
        let body = json!({ "scroll_id": place });
        let freed = self
            .core
            .client
            .json(Method::DELETE, "_search/scroll", Some(&body));
        if let Err(error) = freed.await {
            tracing::debug!(%error, "the place in the listing was not freed");
        }
    }
}

fn unreadable(reason: &str) -> ElasticError {
    ElasticError::Unreadable {
        reason: reason.to_owned(),
    }
}

#[async_trait]
impl Inventory for Scroll<'_> {
    async fn documents(&mut self) -> Result<Option<Vec<StoredDocument>>, OutputError> {
        self.page().await.map_err(OutputError::new)
    }
}
